"""Plots of an experiment's report."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping

from firstday.evaluation.plots import ACCENT, LINE, MUTED, draw_rows, drawing, name_rows
from firstday.experiment.experiment_results import ExperimentResults, Row
from firstday.metrics import Interval


def plot_outcomes(results: ExperimentResults, treatment: str) -> str | None:
    """Draw the change of each outcome in % of the control: thick for one look, thin for every look."""
    rows = [row for row in results.of_everyone() if row.variant == treatment]
    deciding = [row.title for row in rows if (row.outcome, row.days) == results.decides]
    return _plot_changes(f"outcomes-{treatment}", {row.title: row for row in rows}, deciding)


def plot_cohorts(results: ExperimentResults, treatment: str) -> str | None:
    """Draw the change of the deciding outcome in each registration cohort, in % of the control."""
    rows = [row for row in results.cohorts() if row.variant == treatment and (row.outcome, row.days) == results.decides]
    return _plot_changes(f"cohorts-{treatment}", {row.value: row for row in rows}, ())


def _plot_changes(name: str, rows: Mapping[str, Row], accented: Container[str]) -> str | None:
    """Draw ratios with their intervals, one below the other; None where none has a ratio."""
    ratios = {
        label: _to_percent(ratio)
        for label, row in rows.items()
        if (ratio := row.comparison.ratio) is not None and not math.isnan(ratio.low)
    }
    if not ratios:
        return None
    with drawing(name, 0.7 + 0.3 * len(ratios)) as (figure, out):
        axes = figure.add_subplot()
        axes.axvline(0, color=LINE, lw=1.4)
        for place, (label, ratio) in enumerate(ratios.items()):
            color = ACCENT if label in accented else MUTED
            if (always := rows[label].comparison.ratio_always) is not None:
                axes.hlines(place, _to_percent(always).low, _to_percent(always).high, color=color, lw=1)
            draw_rows(axes, [place], [ratio], color)
        name_rows(axes, list(ratios), [label in accented for label in ratios])
        axes.set_xlabel("change, %")
    return out[0]


def _to_percent(ratio: Interval) -> Interval:
    return Interval(*(100 * (value - 1) for value in (ratio.mean, ratio.low, ratio.high)))
