"""firstday check: validate tables; print their contents and how training would use them."""

from __future__ import annotations

from collections.abc import Mapping
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
from firstday.cli.printing import print_table
from firstday.data.left_out import write_left_out
from firstday.data.splits.outlook import Outlook
from firstday.data.summary import Summary
from firstday.engine.engines import Check
from firstday.engine.engines import check as check_tables
from firstday.errors import ConfigError, DataError
from firstday.evaluation.text_table import Table
from firstday.recommend.rules.filters import describe_columns

PLACE = 2  # in firstday --help
COUNT_LABELS = {
    "ages": "users with an age",
    "dated": "users with a registration time",
    "users_with_several": "users with several timed interactions",
    "users_within_24_hours": "users with all of several within 24 hours",
}
"""Labels of counts of users, which are also printed as a share of all users."""


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
    settings = read_settings(tables, config, overrides, protocol=protocol, device="cpu")  # nothing is trained here
    try:
        start_engine(engine, spark_master, spark_conf)
        checked = check_tables(tables, path=path, config=settings, drop_bad_rows=drop_bad_rows, engine=engine)
    except DataError as error:
        if not as_json:
            raise
        _print_json(Check(None, error.faults))
        raise typer.Exit(2) from None
    if left_out is not None:
        write_left_out(left_out, checked.left_out)
    if as_json:
        _print_json(checked)
    else:
        print_notes(checked.notes)
        if checked.dataset is None or checked.summary is None or checked.outlook is None:
            raise DataError(checked.faults, checked.hint)
        _print_summary(checked.dataset.name, checked.summary)
        _print_columns(describe_columns(checked.dataset.columns))
        _print_outlook(checked.outlook)
    if checked.outlook is None or checked.outlook.refusal:
        raise typer.Exit(2)


def _print_json(checked: Check) -> None:
    """Print the faults, notes, counts and outlook as JSON."""
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
            "item_columns": [] if checked.dataset is None else describe_columns(checked.dataset.columns),
            "outlook": {} if outlook is None else vars(outlook),
        }
    )


def _print_columns(columns: list[dict[str, Any]]) -> None:
    """Print the item columns that filters can read."""
    rows = []
    for column in columns:
        values = [f"{value:.15g}" if isinstance(value, float) else str(value) for value in column["values"][:5]]
        separator = " to " if column["type"] == "number" else ", "
        text = f"{column['n_values']:,}: {separator.join(values)}"
        rows.append({"column": column["name"], "type": column["type"], "values": text})
    if rows:
        print_table(Table("items, for filters", rows, words=("type", "values")))


def _print_summary(name: str, summary: Summary) -> None:
    """Print counts of the tables' contents."""
    counts: dict[str, str] = {}
    for key, value in vars(summary).items():
        if isinstance(value, Mapping):
            counts |= {f"{key}: {member}": f"{n:,}" for member, n in sorted(value.items())}
        elif value and key != "moments":
            share = f" ({value / summary.users:.0%})" if key in COUNT_LABELS else ""
            counts[COUNT_LABELS.get(key, key)] = f"{value:,}{share}"
    print_table(Table(name, [{"tables": label, "count": text} for label, text in counts.items()]))


def _print_outlook(outlook: Outlook) -> None:
    """Print how training would use a dataset, and whether it would refuse to."""
    typer.echo("How training would use it:")
    for sentence in outlook.sentences:
        typer.echo(f"- {sentence}")
    refusal = f", but training would refuse the tables: {outlook.refusal}" if outlook.refusal else "."
    typer.echo(f"No faults{refusal}")
