"""The experiment report: one self-contained HTML file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from firstday.config import ExperimentConfig
from firstday.evaluation.comparison_tables import Cell, Table
from firstday.evaluation.report.render import fill_template
from firstday.experiment.experiment_plots import plot_changes
from firstday.experiment.experiment_results import COHORT, EVERYONE, ExperimentResults, Row
from firstday.experiment.outcomes import write_days


def render_experiment(results: ExperimentResults, config: ExperimentConfig, command: str | None = None) -> str:
    """Render the report; without rows, as after a sample ratio mismatch, it says only that.

    Raises
    ------
    MissingExtraError
        Jinja2 or Matplotlib is not installed.
    """
    plots = {}
    for treatment in results.treatments:
        rows = [row for row in results.rows if row.variant == treatment]
        changes = {row.title: row for row in rows if row.column == EVERYONE}
        deciding = next((title for title, row in changes.items() if row.window == results.decides), "")
        plots[f"outcomes {treatment}"] = plot_changes(f"outcomes-{treatment}", changes, deciding)
        weeks = {row.value: row for row in rows if row.column == COHORT and row.window == results.decides}
        plots[f"cohorts {treatment}"] = plot_changes(f"cohorts-{treatment}", weeks)
    content = {
        "results": results,
        "config": config,
        "command": command,
        "sentences": results.sentences(),
        "deciding": [
            (row.variant, row.write_change()[0], row.outcome.title, write_days(row.days)) for row in results.deciding()
        ],
        "everyone": tabulate_changes(results, results.of_everyone(), "Everyone whose window has ended"),
        "cohorts": tabulate_changes(results, results.cohorts(), "By week of registration"),
        "groups": tabulate_changes(results, results.groups(), "By group, within the window that decides"),
        "is_adjusted": any(row.comparison.unadjusted is not None for row in results.of_everyone()),
        "narrower": _mean_narrowing(results.deciding()),
    }
    return fill_template("experiment.html", content, plots, package="firstday.experiment")


def tabulate_changes(results: ExperimentResults, rows: Sequence[Row], title: str) -> Table:
    """Tabulate comparisons with their intervals; the deciding outcome is highlighted."""
    deciding = next((row.title for row in rows if row.window == results.decides), "")
    cells = [_write_row(row) for row in rows]
    hidden = {"variant"} if len(results.treatments) == 1 else set()
    hidden |= set() if any(row.comparison.power for row in rows) else {"smallest change", "power"}
    columns = tuple(heading for heading in (cells[0] if cells else ()) if heading not in hidden)
    return Table(title, columns, tuple(tuple(row[name] for name in columns) for row in cells), deciding, ("variant",))


def _write_row(row: Row) -> dict[str, Cell]:
    comparison, power = row.comparison, row.comparison.power
    of_whom = row.value if row.column in (EVERYONE, COHORT) else f"{row.column}: {row.value}"
    control, treatment = row.write_values()
    return {
        "outcome": (of_whom, row.title) if of_whom else (row.title,),
        "variant": (row.variant,),
        "users": (f"{comparison.n_control:,}", f"{comparison.n_treatment:,}"),
        "control": (control,),
        "treatment": (treatment,),
        "difference": row.write_effect(comparison.difference, is_ratio=False),
        "change": row.write_change(),
        "at every look": (row.write_always(),),
        "p": (write_p(comparison.p_value), f"corrected {write_p(row.p_corrected)}"),
        "smallest change": (f"{100 * power.smallest_effect:.1f} %" if power else "-",),
        "power": (f"{100 * power.power:.0f} %" if power else "-",),
    }


def write_p(value: float) -> str:
    """Format a p-value."""
    if math.isnan(value):
        return "-"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _mean_narrowing(rows: Iterable[Row]) -> float | None:
    """Return the share by which the covariate narrows the deciding interval; None below 0.5 %."""
    shares = [
        1 - (row.comparison.difference.high - row.comparison.difference.low) / (plain.high - plain.low)
        for row in rows
        if (plain := row.comparison.unadjusted) is not None and plain.high > plain.low
    ]
    mean = sum(shares) / max(1, len(shares))
    return mean if mean >= 0.005 else None
