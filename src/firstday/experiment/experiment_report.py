"""The report of an experiment: one HTML file that opens offline."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import firstday
from firstday.config import ExperimentConfig
from firstday.evaluation.report.render import check_report_path, fill_template, write_page
from firstday.experiment.experiment_plots import plot_cohorts, plot_outcomes
from firstday.experiment.experiment_results import (
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
        The file cannot be written, or has another ending.
    """
    check_report_path(path)
    write_page(Path(path), render_experiment(results, config=config, command=command))


def render_experiment(
    results: ExperimentResults, *, config: ExperimentConfig | None = None, command: str | None = None
) -> str:
    """Return the page; see `write_experiment_report`."""
    plots = {}
    for treatment in results.treatments:
        plots[f"outcomes {treatment}"] = plot_outcomes(results, treatment)
        plots[f"cohorts {treatment}"] = plot_cohorts(results, treatment)
    decides = results.decides
    content = {
        "results": results,
        "config": config or ExperimentConfig(),
        "command": command,
        "version": firstday.__version__,
        "sentences": results.sentences(),
        "deciding": [_cells(row) for row in results.deciding()],
        "everyone": [_cells(row) for row in results.of_everyone()],
        "cohorts": [_cells(row) for row in results.cohorts() if (row.outcome, row.days) == decides],
        "all_cohorts": [_cells(row) for row in results.cohorts()],
        "groups": [_cells(row) for row in results.groups()],
        "is_adjusted": any(row.comparison.unadjusted is not None for row in results.of_everyone()),
        "narrower": _mean_narrowing(results.deciding()),
    }
    return fill_template("experiment.html", content, plots, package="firstday.experiment")


def _cells(row: Row) -> dict[str, str | int | bool]:
    """Return what a table shows of a comparison."""
    comparison, outcome = row.comparison, row.outcome
    is_ratio = comparison.ratio is not None
    fixed = comparison.ratio or comparison.difference
    always = comparison.ratio_always if is_ratio else comparison.difference_always
    power = row.power
    return {
        "outcome": outcome.title,
        "days": f"{row.days:g}",
        "window": write_days(row.days),
        "variant": row.variant,
        "column": row.column,
        "value": row.value,
        "n_control": comparison.n_control,
        "n_treatment": comparison.n_treatment,
        "control": write_value(outcome, comparison.control),
        "treatment": write_value(outcome, comparison.treatment),
        "difference": write_change(outcome, comparison.difference, None),
        "difference_ends": write_ends(outcome, comparison.difference, is_ratio=False),
        "change": write_change(outcome, comparison.difference, comparison.ratio),
        "ends": write_ends(outcome, fixed, is_ratio=is_ratio),
        "always_ends": "-" if always is None else write_ends(outcome, always, is_ratio=is_ratio),
        "p": write_p(comparison.p_value),
        "p_corrected": write_p(row.p_corrected),
        "is_always_clear": comparison.is_always_clear,
        "smallest": "-" if power is None else f"{100 * power.smallest_effect:.1f} %",
        "power": "-" if power is None else f"{100 * power.power:.0f} %",
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
