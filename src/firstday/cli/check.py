"""firstday check: validate tables; print their contents and how training would use them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from firstday.cli.options import (
    DropOption,
    EngineOption,
    JsonFlag,
    PathOption,
    ProtocolOption,
    SetOption,
    SparkConfOption,
    SparkMasterOption,
    TablesArgument,
    check_output,
    print_json,
    print_notes,
    read_settings,
    start_engine,
)
from firstday.cli.printing import print_signals
from firstday.config import Config
from firstday.data.left_out import write_left_out
from firstday.data.signal_roles import describe_signals
from firstday.data.splits.outlook import Outlook
from firstday.data.summary import Summary
from firstday.engine.engines import Check
from firstday.engine.engines import check as check_tables
from firstday.errors import ConfigError, DataError
from firstday.recommend.rules.filters import describe_columns

PLACE = 2  # in firstday --help
COUNT_LABELS = {"ages": "users with an age"}
TOLD_ELSEWHERE = ("pairs", "dated", "timed", "users_with_several", "users_within_24_hours", "moments")
"""Counts that the lines on signals and the sentences on training contain."""
MAX_NAMES = 8
"""Number of names per printed line; --json has all."""


def check(
    tables: TablesArgument,
    path: PathOption = None,
    config: Annotated[Path | None, typer.Option(help="TOML file of settings, including custom signals.")] = None,
    overrides: SetOption = None,
    protocol: ProtocolOption = None,
    drop_bad_rows: DropOption = 0.0,
    left_out: Annotated[
        Path | None, typer.Option(help="With --drop-bad-rows: write the dropped rows to this file, as JSON lines.")
    ] = None,
    engine: EngineOption = None,
    spark_master: SparkMasterOption = None,
    spark_conf: SparkConfOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Validate TABLES: report all errors at once, or the contents and how training would use them.

    Example: firstday check tables/ --config firstday.toml
    """
    if left_out is not None and not drop_bad_rows:
        raise ConfigError("check: --left-out needs --drop-bad-rows; give both.")
    check_output(left_out)
    settings = read_settings(tables, config, overrides, protocol, "cpu")  # nothing is trained here
    try:
        start_engine(engine, spark_master, spark_conf)
        checked = check_tables(tables, path=path, config=settings, drop_bad_rows=drop_bad_rows, engine=engine)
    except DataError as error:
        if not as_json:
            raise
        _print_json(Check(None, error.faults), settings)
        raise typer.Exit(2) from None
    if left_out is not None:
        write_left_out(left_out, checked.left_out)
    if as_json:
        _print_json(checked, settings)
    else:
        print_notes(checked.notes)
        if checked.dataset is None or checked.summary is None or checked.outlook is None:
            raise DataError(checked.faults, checked.hint)
        _print_outlook(checked.outlook)
        _print_contents(checked.dataset.name, checked.summary, describe_columns(checked.dataset.columns))
        print_signals(describe_signals(vars(checked.summary), settings))
    if checked.outlook is None or checked.outlook.refusal:
        raise typer.Exit(2)


def _print_json(checked: Check, settings: Config) -> None:
    """Print the faults, notes, counts, signals and outlook as JSON."""
    summary = checked.summary
    outlook = checked.outlook
    counts = {} if summary is None else vars(summary)
    print_json(
        {
            "ok": not checked.faults,
            "trainable": outlook is not None and not outlook.refusal,
            "faults": list(map(str, checked.faults)),
            "notes": checked.notes,
            "summary": {name: n for name, n in counts.items() if name != "moments"},
            "signals": list(describe_signals(counts, settings)) if counts else [],
            "item_columns": [] if checked.dataset is None else describe_columns(checked.dataset.columns),
            "outlook": {} if outlook is None else vars(outlook),
        }
    )


def _print_outlook(outlook: Outlook) -> None:
    """Print whether training would refuse a dataset, and how it would use it."""
    refusal = f", but training would refuse the tables: {outlook.refusal}" if outlook.refusal else "."
    typer.echo(f"No faults{refusal}\nHow training would use it:")
    for sentence in outlook.sentences:
        typer.echo(f"- {sentence}")


def _print_contents(name: str, summary: Summary, columns: list[dict[str, Any]]) -> None:
    """Print counts of the tables' contents, and the item columns that filters can read."""
    counts = {key: value for key, value in vars(summary).items() if key not in TOLD_ELSEWHERE}
    numbers = [f"{n:,} {COUNT_LABELS.get(key, key)}" for key, n in counts.items() if isinstance(n, int) and n]
    typer.echo(f"{name} has {', '.join(numbers)}.")
    for key, members in counts.items():
        if isinstance(members, Mapping) and members:
            largest = sorted(members.items(), key=lambda member: -member[1])
            typer.echo(f"- {key}: {_list_first([f'{member} {n:,}' for member, n in largest])}")
    if columns:
        names = [f"{column['name']} ({column['type']})" for column in columns]
        typer.echo(f"- item columns for filters: {_list_first(names)}")


def _list_first(names: Sequence[str]) -> str:
    """List the first names, and say how many more there are."""
    n_more = len(names) - MAX_NAMES
    return ", ".join(names[:MAX_NAMES]) + (f" and {n_more:,} more (--json)" if n_more > 0 else "")
