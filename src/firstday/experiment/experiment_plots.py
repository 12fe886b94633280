"""Pictures of an experiment's report, each one ``<svg>`` element that follows light and dark mode."""

from __future__ import annotations

import math
from collections.abc import Sequence

from firstday.evaluation.plots import ACCENT, INK, LINE, MUTED, WIDTH_IN, drawing
from firstday.experiment.experiment_results import ExperimentResults, Row
from firstday.experiment.outcomes import write_days


def plot_outcomes(results: ExperimentResults, treatment: str) -> str | None:
    """Draw the change of each outcome in % of the control: thick for one look, thin for every look."""
    rows = [row for row in results.of_everyone() if row.variant == treatment]
    names = [f"{row.outcome.title}, {write_days(row.days)}" for row in rows]
    return _plot_changes(
        f"outcomes-{treatment}", rows, names, [(row.outcome, row.days) == results.decides for row in rows]
    )


def plot_cohorts(results: ExperimentResults, treatment: str) -> str | None:
    """Draw the change of the deciding outcome in each registration cohort, in % of the control."""
    rows = [row for row in results.cohorts() if row.variant == treatment and (row.outcome, row.days) == results.decides]
    return _plot_changes(f"cohorts-{treatment}", rows, [row.value for row in rows], [False] * len(rows))


def _plot_changes(name: str, rows: Sequence[Row], names: Sequence[str], accented: Sequence[bool]) -> str | None:
    """Draw ratios with their intervals, one below the other; None where none has a ratio."""
    drawn = [
        (row.comparison, label, accent)
        for row, label, accent in zip(rows, names, accented, strict=True)
        if row.comparison.ratio is not None and not math.isnan(row.comparison.ratio.low)
    ]
    if not drawn:
        return None
    with drawing(name, WIDTH_IN, 0.7 + 0.3 * len(drawn)) as (figure, out):
        axes = figure.add_subplot()
        axes.axvline(0, color=LINE, lw=1.4)
        for place, (comparison, _, accent) in enumerate(drawn):
            colour, always = ACCENT if accent else MUTED, comparison.ratio_always
            assert comparison.ratio is not None
            if always is not None:
                axes.plot([100 * (always.low - 1), 100 * (always.high - 1)], [place, place], color=colour, lw=1)
            ends = [100 * (comparison.ratio.low - 1), 100 * (comparison.ratio.high - 1)]
            axes.plot(ends, [place, place], color=colour, lw=4, alpha=0.55)
            axes.plot(100 * (comparison.ratio.mean - 1), place, "o", color=colour, ms=7)
        axes.set_ylim(len(drawn) - 0.4, -0.6)
        axes.set_yticks(range(len(drawn)), [label for _, label, _ in drawn])
        axes.tick_params(axis="y", length=0)
        for text, (_, _, accent) in zip(axes.get_yticklabels(), drawn, strict=True):
            text.set(color=ACCENT if accent else INK, weight="bold" if accent else "normal")
        axes.locator_params(axis="x", nbins=6)
        axes.set_xlabel("change, %")
        axes.grid(axis="x")
    return out[0]
