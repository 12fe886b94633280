"""firstday experiment: compare the variants of an experiment."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from firstday.cli.options import (
    ConfigOption,
    DropOption,
    JsonOption,
    SetOption,
    check_output,
    print_notes,
    read_settings,
    require_libraries,
    split_pairs,
    write_json,
)
from firstday.cli.printing import print_error
from firstday.data.load import load
from firstday.errors import ConfigError
from firstday.experiment.analyse import analyse
from firstday.experiment.experiment_results import ExperimentResults
from firstday.experiment.experiment_tables import take_experiment
from firstday.experiment.outcomes import write_days
from firstday.experiment.own_outcomes import add_outcomes

PLACE = 12  # in firstday --help
MISMATCH = 3
"""Exit status on a sample ratio mismatch."""


def experiment(
    tables: Annotated[str, typer.Argument(help="Folder of tables, including `assignments`.")],
    name: Annotated[str, typer.Option(help="Experiment name.")],
    control: Annotated[
        str | None, typer.Option(help="Variant to compare the others with (default: control, or the first).")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Intended traffic split, such as 'control=50, treatment=50', including variants without users "
            "(default: equal shares of the variants found)."
        ),
    ] = None,
    outcome: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="Numeric column of `interactions`, such as revenue, whose sum per user is an outcome; repeatable.",
        ),
    ] = None,
    anyway: Annotated[bool, typer.Option("--anyway", help="Compare despite a sample ratio mismatch.")] = False,
    config: ConfigOption = None,
    overrides: SetOption = None,
    drop_bad_rows: DropOption = 0.0,
    json_out: JsonOption = None,
) -> None:
    """Compare the variants of an experiment: outcomes 1, 7 and 30 days after assignment.

    On a sample ratio mismatch, nothing is compared and the exit status is 3. Needs the extra `experiment`.

    Example: firstday experiment tables/ --name onboarding-2026 --outcome revenue --json results.json
    """
    check_output(json_out)
    intended = None if weights is None else parse_weights(weights)
    require_libraries("an experiment's analysis", "experiment", "tea_tasting")
    settings = read_settings(tables, config, overrides)
    if outcome:
        settings = settings.override("experiment.outcomes", outcome)
    dataset = load(tables, config=settings, drop_bad_rows=drop_bad_rows)
    print_notes(dataset.notes)
    taken = take_experiment(dataset, name, use=settings.signals.use, like=settings.experiment.like)
    if settings.experiment.outcomes:
        taken = add_outcomes(taken, tables, dataset, settings)
    results = analyse(taken, settings.experiment, control=control, weights=intended, anyway=anyway)
    if not write_json(results.to_json(), json_out):
        print_experiment(results)
    if results.sample_ratio.broken:
        ratio = results.sample_ratio.sentence()
        print_error(f"{name}: sample ratio mismatch: {ratio}; find the cause, or compare regardless with --anyway.")
        raise typer.Exit(MISMATCH)


def parse_weights(text: str) -> dict[str, float]:
    """Parse weights such as ``control=50, treatment=50``."""
    example = "'control=50, treatment=50'"
    pairs = split_pairs("--weights", text.split(","), example)
    try:
        return {name: float(weight) for name, weight in pairs.items()}
    except ValueError:
        raise ConfigError(f"--weights: not a number in {text!r}; write {example}.") from None


def print_experiment(results: ExperimentResults) -> None:
    """Print a table of tea-tasting for each window and treatment."""
    is_broken = results.sample_ratio.broken
    if is_broken and not results.comparisons:
        return
    print_notes(results.notes)
    if not is_broken:
        typer.echo(f"Sample ratio as expected: {results.sample_ratio.sentence()}.")
    for days, of_window in results.comparisons.items():
        for treatment, result in of_window.items():
            users = results.n_whole[days]
            typer.echo(
                f"\n{treatment} ({users[treatment]:,} users) against {results.control} ({users[results.control]:,}), "
                f"{write_days(days)}, intervals of {100 * results.config.level:g} %:\n{result}"
            )
    if not any(results.comparisons.values()):
        days = min(results.comparisons)
        end = f"{results.first + timedelta(days=days):%Y-%m-%d %H:%M} UTC"
        typer.echo(f"No window has ended for enough users yet; the first one, {write_days(days)}, ends {end}.")
