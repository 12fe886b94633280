"""firstday experiment: compare the variants of an experiment, by registration cohort."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from firstday.cli.options import (
    ConfigOption,
    DropOption,
    JsonOption,
    ReportOption,
    SetOption,
    check_output,
    command_line,
    print_notes,
    read_settings,
    require_libraries,
    split_pairs,
    write_json,
)
from firstday.cli.printing import print_error, print_table
from firstday.data.dataset import Dataset
from firstday.data.load import load
from firstday.errors import ConfigError
from firstday.experiment.analyse import analyse
from firstday.experiment.experiment_report import render_experiment, tabulate_changes
from firstday.experiment.experiment_results import ExperimentResults
from firstday.experiment.experiment_tables import take_experiment
from firstday.files import write_file
from firstday.recommend.list_files import read_list_file

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
    lists: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FILE",
            help="Lists that were not shown, as written by `recommend --batch`, to evaluate off-policy with "
            "propensities; repeatable.",
        ),
    ] = None,
    anyway: Annotated[bool, typer.Option("--anyway", help="Compare despite a sample ratio mismatch.")] = False,
    config: ConfigOption = None,
    overrides: SetOption = None,
    drop_bad_rows: DropOption = 0.0,
    json_out: JsonOption = None,
    report: ReportOption = None,
) -> None:
    """Compare the variants of an experiment: outcomes 1, 7 and 30 days after assignment, by registration cohort.

    On a sample ratio mismatch, nothing is compared and the exit status is 3. Needs the extra `experiment`.

    Example: firstday experiment tables/ --name onboarding-2026 --json results.json --report report.html
    """
    check_output(json_out)
    check_output(report, ".html")
    intended = None if weights is None else parse_weights(weights)
    require_libraries("an experiment's report", "experiment", "tea_tasting")
    settings = read_settings(tables, config, overrides)
    dataset = load(tables, config=settings, drop_bad_rows=drop_bad_rows)
    print_notes(dataset.notes)
    paths = split_pairs("--lists", lists, "blend=lists.parquet")
    results = analyse(
        take_experiment(dataset, name, use=settings.signals.use, like=settings.experiment.like),
        settings.experiment,
        control=control,
        weights=intended,
        lists={title: read_lists(Path(path), dataset) for title, path in paths.items()},
        anyway=anyway,
    )
    is_printed = write_json(results.to_json(), json_out)
    if report is not None:
        write_file(report, render_experiment(results, command_line()))
    if not is_printed:
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


def read_lists(path: Path, dataset: Dataset) -> pl.DataFrame:
    """Read lists as written by `firstday recommend --batch`; users missing from the tables are ignored.

    The columns are `user_ix`, `item_ix` (-1 if missing from the tables) and `position` (from 1).
    """
    frame = read_list_file(path)
    missing = [column for column in ("user_id", "item_id", "rank") if column not in frame.columns]
    if missing:
        raise ConfigError(f"{path}: has no column {missing[0]}; give lists written by firstday recommend --batch.")
    indexed = pl.DataFrame(
        {
            "user_ix": dataset.users.lookup(frame["user_id"]),
            "item_ix": dataset.items.lookup(frame["item_id"]),
            "position": frame["rank"].cast(pl.Int32, strict=False),
        }
    )
    return indexed.filter(pl.col("user_ix") >= 0)


def print_experiment(results: ExperimentResults) -> None:
    """Print the outcomes of all users as sentences and a table."""
    if results.sample_ratio.broken and not results.everyone:
        return
    print_notes(results.notes)
    if not results.sample_ratio.broken:
        typer.echo(f"Sample ratio as expected: {results.sample_ratio.sentence()}.")
    if results.everyone:
        title = f"All users whose window has ended, intervals of {100 * results.config.level:g} %"
        table = tabulate_changes(results, results.everyone, title)
        names = table.columns[: table.columns.index("users")]
        print_table(table.select(*names, "control", "treatment", "change"))
        print_table(table.select(*names, "at every look", "p"))
    for sentence in results.sentences():
        typer.echo(sentence)
    for estimate in results.lists:
        typer.echo(estimate.sentence())
