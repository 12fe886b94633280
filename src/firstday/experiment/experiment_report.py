"""The report of an experiment: one HTML file that opens offline."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from firstday.config import ExperimentConfig
from firstday.evaluation.comparison_tables import Cell, Table
from firstday.evaluation.report.render import fill_template, write_page
from firstday.experiment.experiment_plots import plot_cohorts, plot_outcomes
from firstday.experiment.experiment_results import (
    COHORT,
    EVERYONE,
    ExperimentResults,
    Row,
    write_change,
    write_ends,
    write_value,
)
from firstday.experiment.outcomes import write_days


def write_experiment_report(
    results: ExperimentResults, path: str | Path, *, config: ExperimentConfig | None = None, command: str | None = None
) -> None:
    """Write the report; where users are not divided as they should be, it says that and no more, unless there are rows.

    Parameters
    ----------
    results
        From `firstday.experiment.analyse.analyse`.
    path
        The file, ``.html``; a file that is there is replaced in one step.
    config
        The settings; the defaults if None.
    command
        What was run.

    Raises
    ------
    MissingExtraError
        Jinja2 or Matplotlib is not installed.
    ConfigError
        The file cannot be written.
    """
    write_page(Path(path), render_experiment(results, config=config, command=command))


def render_experiment(
    results: ExperimentResults, *, config: ExperimentConfig | None = None, command: str | None = None
) -> str:
    """Return the page; see `write_experiment_report`."""
    plots = {}
    for treatment in results.treatments:
        plots[f"outcomes {treatment}"] = plot_outcomes(results, treatment)
        plots[f"cohorts {treatment}"] = plot_cohorts(results, treatment)
    content = {
        "results": results,
        "config": config or ExperimentConfig(),
        "command": command,
        "sentences": results.sentences(),
        "deciding": [
            (
                row.variant,
                write_change(row.outcome, row.comparison.difference, row.comparison.ratio),
                row.outcome.title,
                write_days(row.days),
            )
            for row in results.deciding()
        ],
        "everyone": tabulate_changes(results, results.of_everyone(), "Everyone whose window has ended"),
        "cohorts": tabulate_changes(results, results.cohorts(), "By week of registration"),
        "groups": tabulate_changes(results, results.groups(), "By group, within the window that decides"),
        "is_adjusted": any(row.comparison.unadjusted is not None for row in results.of_everyone()),
        "narrower": _mean_narrowing(results.deciding()),
    }
    return fill_template("experiment.html", content, plots, package="firstday.experiment")


def tabulate_changes(results: ExperimentResults, rows: Sequence[Row], title: str) -> Table:
    """Tabulate comparisons with their intervals; that of the outcome that decides is accented."""
    names = [f"{row.outcome.title}, {write_days(row.days)}" for row in rows]
    deciding = [name for name, row in zip(names, rows, strict=True) if (row.outcome, row.days) == results.decides]
    cells = [_write_row(row, name) for row, name in zip(rows, names, strict=True)]
    hidden = {"variant"} if len(results.treatments) == 1 else set()
    hidden |= set() if any(row.power for row in rows) else {"smallest change", "power"}
    columns = tuple(heading for heading in (cells[0] if cells else ()) if heading not in hidden)
    shown = tuple(tuple(row[heading] for heading in columns) for row in cells)
    return Table(title, columns, shown, deciding[0] if deciding else "", ("variant",))


def _write_row(row: Row, name: str) -> dict[str, Cell]:
    comparison, outcome, power = row.comparison, row.outcome, row.power
    difference, ratio, is_ratio = comparison.difference, comparison.ratio, comparison.ratio is not None
    always = comparison.ratio_always if is_ratio else comparison.difference_always
    of_whom = row.value if row.column in (EVERYONE, COHORT) else f"{row.column}: {row.value}"
    return {
        "outcome": (of_whom, name) if of_whom else (name,),
        "variant": (row.variant,),
        "users": (f"{comparison.n_control:,}", f"{comparison.n_treatment:,}"),
        "control": (write_value(outcome, comparison.control),),
        "treatment": (write_value(outcome, comparison.treatment),),
        "difference": (write_change(outcome, difference, None), write_ends(outcome, difference, is_ratio=False)),
        "change": (
            write_change(outcome, difference, ratio),
            write_ends(outcome, ratio or difference, is_ratio=is_ratio),
        ),
        "at every look": ("-" if always is None else write_ends(outcome, always, is_ratio=is_ratio),),
        "p": (write_p(comparison.p_value), f"corrected {write_p(row.p_corrected)}"),
        "smallest change": ("-" if power is None else f"{100 * power.smallest_effect:.1f} %",),
        "power": ("-" if power is None else f"{100 * power.power:.0f} %",),
    }


def write_p(value: float) -> str:
    """Write a p-value."""
    if math.isnan(value):
        return "-"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _mean_narrowing(rows: Iterable[Row]) -> float | None:
    """Return by how much, a share, the covariate narrows the deciding interval; None where it is under 0.5 %."""
    shares = [
        1 - (row.comparison.difference.high - row.comparison.difference.low) / (plain.high - plain.low)
        for row in rows
        if (plain := row.comparison.unadjusted) is not None and plain.high > plain.low
    ]
    mean = sum(shares) / max(1, len(shares))
    return mean if mean >= 0.005 else None
