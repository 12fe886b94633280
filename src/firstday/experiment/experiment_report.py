"""The experiment report: one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from firstday.evaluation.comparison_tables import Table
from firstday.evaluation.plots import ACCENT, LINE, MUTED, draw, draw_dots
from firstday.evaluation.report.render import fill_template
from firstday.experiment.compare import COHORT, EVERYONE, Comparison
from firstday.experiment.experiment_results import ExperimentResults
from firstday.metrics import Interval

Cell = tuple[str, ...]
"""Text, followed by small print."""


def render_experiment(results: ExperimentResults, command: str | None = None) -> str:
    """Render the report; without comparisons, as after a sample ratio mismatch, it says only that.

    Raises
    ------
    MissingExtraError
        Jinja2 or Matplotlib is not installed.
    """
    plots = {}
    for treatment in results.treatments:
        everyone = {row.outcome.title: row for row in results.everyone if row.variant == treatment}
        deciding = [row for row in results.cohorts if row.variant == treatment and row.outcome == results.decides]
        plots[f"outcomes {treatment}"] = plot_changes(f"outcomes-{treatment}", everyone, results.title)
        plots[f"cohorts {treatment}"] = plot_changes(f"cohorts-{treatment}", {row.value: row for row in deciding})
    content = {
        "results": results,
        "command": command,
        "everyone": tabulate_changes(results, results.everyone, "All users whose window has ended"),
        "cohorts": tabulate_changes(results, results.cohorts, "By week of registration"),
        "groups": tabulate_changes(results, results.groups, "By group, within the deciding window"),
    }
    return fill_template("experiment.html", content, plots, package="firstday.experiment")


def plot_changes(name: str, rows: Mapping[str, Comparison], accented: str = "") -> str | None:
    """Plot relative changes in %: thick fixed-horizon intervals, thin always-valid ones. None without ratios."""
    ratios = {label: row for label, row in rows.items() if row.ratio_ci}
    if not ratios:
        return None

    def paint(axes: Any) -> None:
        axes.axvline(0, color=LINE, lw=1.4)
        changes = {}
        for place, (label, found) in enumerate(ratios.items()):
            figures = (found.ratio or 0.0, *(found.ratio_ci or ()), *(found.ratio_always_ci or ()))
            mean, *ends = (100 * (ratio - 1) for ratio in figures)
            axes.hlines([place], *ends[-2:], color=ACCENT if label == accented else MUTED, lw=1)
            changes[label] = Interval(mean, *ends[:2])
        draw_dots(axes, changes, accented)
        axes.set_xlabel("change, %")

    return draw(name, 0.7 + 0.3 * len(ratios), paint)


def tabulate_changes(results: ExperimentResults, rows: Sequence[Comparison], title: str) -> Table:
    """Tabulate comparisons with their intervals; the deciding outcome is highlighted."""
    cells = [_write_row(row) for row in rows]
    hidden = "variant" if len(results.treatments) == 1 else ""
    columns = tuple(heading for heading in max(cells, key=len, default={}) if heading != hidden)
    lines = [{name: "\n".join(row.get(name, ("-",))) for name in columns} for row in cells]
    return Table(title, lines, results.title, ("variant",))


def _write_row(row: Comparison) -> dict[str, Cell]:
    subgroup = row.value if row.column in (EVERYONE, COHORT) else f"{row.column}: {row.value}"
    control, treatment = row.write_values()
    change, fixed, always = row.write_change()
    cells: dict[str, Cell] = {
        "outcome": (subgroup, row.outcome.title) if subgroup else (row.outcome.title,),
        "variant": (row.variant,),
        "users": (f"{row.users_control:,}", f"{row.users_variant:,}"),
        "control": (control,),
        "treatment": (treatment,),
        "change": (change, fixed),
        "at every look": (always,),
        "p": (write_p(row.p_value), f"corrected {write_p(row.p_corrected)}"),
    }
    if row.power is not None and row.smallest_effect is not None:
        cells |= {"smallest change": (f"{row.smallest_effect:.1%}",), "power": (f"{row.power:.0%}",)}
    return cells


def write_p(value: float | None) -> str:
    """Format a p-value."""
    return "-" if value is None else f"{value:.2g}"
