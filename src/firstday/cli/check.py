"""firstday check: validate tables, print what is in them, and what training would make of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from firstday.cli.options import (
    DropOption,
    EngineOption,
    JsonFlag,
    PathOption,
    ProtocolOption,
    SparkConfOption,
    SparkMasterOption,
    TablesArgument,
    check_file_target,
    print_notes,
    start_engine,
)
from firstday.config import load_config, suit_config
from firstday.data.left_out import write_left_out
from firstday.data.splits.outlook import Outlook
from firstday.data.summary import Summary
from firstday.engine.engines import Check
from firstday.engine.engines import check as check_tables
from firstday.errors import ConfigError, DataError


def check(
    tables: TablesArgument,
    path: PathOption = None,
    config: Annotated[Path | None, typer.Option(help="A TOML file of settings; its signals are known.")] = None,
    protocol: ProtocolOption = None,
    drop_bad_rows: DropOption = 0.0,
    left_out: Annotated[
        Path | None, typer.Option(help="With --drop-bad-rows: a file to write the bad rows to, a line of JSON each.")
    ] = None,
    engine: EngineOption = None,
    spark_master: SparkMasterOption = None,
    spark_conf: SparkConfOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Validate TABLES: all faults at once, or what is in them and what training would make of them.

    Example: firstday check tables/ --config firstday.toml
    """
    if left_out is not None:
        if not drop_bad_rows:
            raise ConfigError("check: --left-out goes with --drop-bad-rows; give both.")
        check_file_target(left_out)
    settings = suit_config(tables) if config is None else load_config(config)
    if protocol is not None:
        settings = settings.override("protocol", protocol.value)
    try:
        engine_name = start_engine(engine, spark_master, spark_conf)
        checked = check_tables(tables, path=path, config=settings, drop_bad_rows=drop_bad_rows, engine=engine_name)
    except DataError as error:
        if not as_json:
            raise
        _print_json(Check(None, error.faults))
        raise typer.Exit(2) from None
    if left_out is not None:
        write_left_out(left_out, checked.left_out)
    if as_json:
        _print_json(checked)
    elif checked.dataset is None or checked.summary is None or checked.outlook is None:
        print_notes(checked.notes)
        raise DataError(checked.faults, checked.hint)
    else:
        _print_summary(checked.dataset.name, checked.summary, checked.notes)
        _print_outlook(checked.outlook)
    if checked.outlook is None or checked.outlook.refusal:
        raise typer.Exit(2)


def _print_json(checked: Check) -> None:
    """Print the faults, notes, counts and outlook as JSON."""
    counts: dict[str, object] = {}
    summary, outlook = checked.summary, checked.outlook
    if summary is not None:
        counts = {
            "users": summary.users,
            "items": summary.items,
            "interactions": summary.interactions,
            "pairs": dict(summary.pairs),
            "entities": dict(summary.entities),
            "groups": dict(summary.groups),
            "friends": summary.friends,
            "items_without_vector": summary.without_vector,
            "impressions": summary.impressions,
            "lists": summary.lists,
            "users_shown_something": summary.shown_users,
            "experiments": dict(summary.experiments),
            "ages": summary.ages,
            "users_with_times": summary.timed,
            "users_within_24_hours": summary.one_day,
        }
    content = {
        "ok": not checked.faults,
        "trainable": outlook is not None and not outlook.refusal,
        "faults": list(checked.faults),
        "notes": list(checked.notes),
        "summary": counts,
        "outlook": {} if outlook is None else outlook.to_json(),
    }
    typer.echo(json.dumps(content, ensure_ascii=False, indent=2))


def _print_summary(name: str, summary: Summary, notes: tuple[str, ...]) -> None:
    """Print what is in tables as a table, and the notes on reading them."""
    console = Console()
    table = Table(title=escape(name), show_header=False, title_justify="left")
    table.add_column()
    table.add_column(justify="right")
    for row_name, n in (("users", summary.users), ("items", summary.items), ("interactions", summary.interactions)):
        table.add_row(row_name, f"{n:,}")
    for row_name, unit, counts in (
        ("pairs", "interactions", summary.pairs),
        ("entities", "members", summary.entities),
        ("groups", "values", summary.groups),
    ):
        for member, n in sorted(counts.items()):
            table.add_row(f"{row_name}: {escape(member)}", f"{n:,} {unit}")
    if summary.impressions:
        lists = f" in {summary.lists:,} lists" if summary.lists else ""
        table.add_row("impressions", f"{summary.impressions:,}{lists}")
        table.add_row("users to whom something was shown", _share(summary.shown_users, summary.users))
    for experiment, n in summary.experiments.items():
        table.add_row(f"experiment: {escape(experiment)}", f"{n:,} users")
    if summary.ages:
        table.add_row("users with an age", _share(summary.ages, summary.users))
    if summary.dated:
        table.add_row("users with a registration time", _share(summary.dated, summary.users))
    if summary.timed:
        table.add_row("users whose interactions all lie within 24 hours", _share(summary.one_day, summary.timed))
    if summary.friends:
        table.add_row("friends", f"{summary.friends:,}")
    if summary.dimensions:
        table.add_row("precomputed vectors", f"{summary.dimensions:,} numbers each")
    if summary.without_vector:
        table.add_row("items without a vector", _share(summary.without_vector, summary.items))
    console.print(table)
    for note in notes:
        console.print(f"Note: {note}", markup=False, highlight=False, soft_wrap=True)


def _share(n: int, total: int) -> str:
    """Return "638 (68%)"."""
    return f"{n:,} ({n / max(1, total):.0%})"


def _print_outlook(outlook: Outlook) -> None:
    """Print what training would make of a dataset, and whether it would begin."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    if outlook.sentences:
        console.print(f"What training would make of it (protocol {outlook.protocol}):")
    for sentence in outlook.sentences:
        console.print(f"- {sentence}")
    if outlook.refusal:
        console.print(f"No faults, but training would refuse the tables: {outlook.refusal}")
    else:
        console.print("No faults.")
