"""firstday check: validate tables, print what is in them, and what training would make of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
    check_outputs,
    print_json,
    print_notes,
    read_settings,
    start_engine,
)
from firstday.cli.printing import print_rows
from firstday.data.left_out import write_left_out
from firstday.data.splits.outlook import Outlook
from firstday.data.summary import Summary
from firstday.engine.engines import Check
from firstday.engine.engines import check as check_tables
from firstday.errors import ConfigError, DataError


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
        raise ConfigError("check: --left-out goes with --drop-bad-rows; give both.")
    check_outputs(left_out)
    settings = read_settings(tables, config, overrides, protocol=protocol, device="cpu")  # nothing is trained here
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
    summary, outlook = checked.summary, checked.outlook
    counts = {} if summary is None else vars(summary)
    print_json(
        {
            "ok": not checked.faults,
            "trainable": outlook is not None and not outlook.refusal,
            "faults": checked.faults,
            "notes": checked.notes,
            "summary": {name: n for name, n in counts.items() if name not in ("first", "last")},
            "outlook": {} if outlook is None else vars(outlook),
        }
    )


def _print_summary(name: str, summary: Summary, notes: tuple[str, ...]) -> None:
    """Print what is in tables as a table, and the notes on reading them."""
    rows = [(name, f"{getattr(summary, name):,}") for name in ("users", "items", "interactions")]
    for kind, unit in (("pairs", "interactions"), ("entities", "members"), ("groups", "values")):
        rows += [(f"{kind}: {member}", f"{n:,} {unit}") for member, n in sorted(getattr(summary, kind).items())]
    if summary.impressions:
        lists = f" in {summary.lists:,} lists" if summary.lists else ""
        rows.append(("impressions", f"{summary.impressions:,}{lists}"))
    rows += [(f"experiment: {experiment}", f"{n:,} users") for experiment, n in summary.experiments.items()]
    for heading, n, total in (
        ("users to whom something was shown", summary.users_shown_something, summary.users),
        ("users with an age", summary.ages, summary.users),
        ("users with a registration time", summary.dated, summary.users),
        ("users whose interactions all lie within 24 hours", summary.users_within_24_hours, summary.users_with_times),
        ("items without a vector", summary.items_without_vector, summary.items),
    ):
        if n:
            rows.append((heading, f"{n:,} ({n / total:.0%})"))
    if summary.friends:
        rows.append(("friends", f"{summary.friends:,}"))
    if summary.dimensions:
        rows.append(("precomputed vectors", f"{summary.dimensions:,} numbers each"))
    print_rows(name, ("tables", "count"), rows)
    for note in notes:
        typer.echo(f"Note: {note}")


def _print_outlook(outlook: Outlook) -> None:
    """Print what training would make of a dataset, and whether it would begin."""
    if outlook.sentences:
        typer.echo(f"What training would make of it (protocol {outlook.protocol}):")
    for sentence in outlook.sentences:
        typer.echo(f"- {sentence}")
    refusal = f", but training would refuse the tables: {outlook.refusal}" if outlook.refusal else "."
    typer.echo(f"No faults{refusal}")
