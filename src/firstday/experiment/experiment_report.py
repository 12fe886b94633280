"""The experiment report: one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from firstday.evaluation.plots import LINE, MUTED, draw, draw_dots
from firstday.evaluation.report.render import fill_template
from firstday.evaluation.text_table import Table
from firstday.experiment.compare import COHORT, EVERYONE, Comparison
from firstday.experiment.experiment_results import ExperimentResults
from firstday.metrics import Interval


def render_experiment(results: ExperimentResults, command: str | None = None) -> str:
    """Render the report; without comparisons, as after a sample ratio mismatch, it says only that.

    Raises
    ------
    MissingExtraError
        Jinja2 or Matplotlib is not installed.
    """
    plots = {}
    cohorts = [row for row in results.cohorts if row.outcome == results.primary]
    for number, treatment in enumerate(results.treatments):
        outcomes = {row.outcome.title: row for row in results.everyone if row.variant == treatment}
        weeks = {row.value: row for row in cohorts if row.variant == treatment}
        plots[f"outcomes {treatment}"] = plot_changes(f"outcomes-{number}", outcomes, results.title)
        plots[f"cohorts {treatment}"] = plot_changes(f"cohorts-{number}", weeks, results.title)
    content = {
        "results": results,
        "command": command,
        "everyone": tabulate_changes(results, results.everyone, "All users whose window has ended"),
        "cohorts": tabulate_changes(results, results.cohorts, "By week of registration"),
        "groups": tabulate_changes(results, results.groups, "By group, in the window of the primary outcome"),
    }
    return fill_template("experiment.html", content, plots, package="firstday.experiment")


def plot_changes(name: str, rows: Mapping[str, Comparison], accented: str) -> str | None:
    """Plot relative changes in %: thick fixed-horizon intervals, thin always-valid ones. None without ratios."""
    changes = {}
    for label, row in rows.items():
        if row.ratio and row.ratio_ci:
            ratios = (row.ratio, *row.ratio_ci, *(row.ratio_always_ci or ()))
            changes[label] = [100 * (ratio - 1) for ratio in ratios]
    if not changes:
        return None

    def paint(axes: Any) -> None:
        axes.axvline(0, color=LINE, lw=1.4)
        for number, figures in enumerate(changes.values()):
            axes.hlines([number], *figures[-2:], color=MUTED, lw=1)
        dots = {label: Interval(*figures[:3]) for label, figures in changes.items()}
        draw_dots(axes, dots, accented)
        axes.set_xlabel("change, %")

    return draw(name, 0.7 + 0.3 * len(changes), paint)


def tabulate_changes(results: ExperimentResults, rows: Sequence[Comparison], title: str) -> Table:
    """Tabulate comparisons with their intervals; the primary outcome is highlighted."""
    table = Table(title, [_write_row(row) for row in rows], results.title, ("variant",))
    if len(results.treatments) > 1:
        return table
    return table.select(*(name for name in table.columns if name != "variant"))


def _write_row(row: Comparison) -> dict[str, str]:
    subgroup = row.value if row.column in (EVERYONE, COHORT) else f"{row.column}: {row.value}"
    control, treatment = row.write_values()
    change, fixed, always = row.write_change()
    cells = {
        "outcome": f"{subgroup}\n{row.outcome.title}".strip(),
        "variant": row.variant,
        "users": f"{row.users_control:,}\n{row.users_variant:,}",
        "control": control,
        "treatment": treatment,
        "change": f"{change}\n{fixed}",
        "at every look": always,
        "p": f"{_write('.2g', row.p_value)}\ncorrected {_write('.2g', row.p_corrected)}",
    }
    if row.column == EVERYONE:
        cells |= {"smallest change": _write(".1%", row.smallest_effect), "power": _write(".0%", row.power)}
    return cells


def _write(form: str, value: float | None) -> str:
    return "-" if value is None else format(value, form)
