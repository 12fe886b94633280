"""firstday check: validate tables and print what is in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from firstday.cli.options import DropOption, JsonFlag, PathOption, TablesArgument, check_file_target, print_notes
from firstday.config import load_config
from firstday.data.dataset import Dataset
from firstday.data.left_out import write_left_out
from firstday.data.load import check_tables
from firstday.data.splits.registration import DAY_US
from firstday.errors import ConfigError, DataError


def check(
    tables: TablesArgument,
    path: PathOption = None,
    config: Annotated[Path | None, typer.Option(help="A TOML file of settings; its signals are known.")] = None,
    drop_bad_rows: DropOption = 0.0,
    left_out: Annotated[
        Path | None, typer.Option(help="With --drop-bad-rows: a file to write the bad rows to, a line of JSON each.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Validate TABLES: all faults at once, or what is in them.

    Example: firstday check tables/ --config firstday.toml
    """
    if left_out is not None:
        if not drop_bad_rows:
            raise ConfigError("check: --left-out goes with --drop-bad-rows; give both.")
        check_file_target(left_out)
    settings = None if config is None else load_config(config)
    try:
        checked = check_tables(tables, path=path, config=settings, drop_bad_rows=drop_bad_rows)
    except DataError as error:
        if not as_json:
            raise
        _print_json(None, error.faults, ())
        raise typer.Exit(2) from None
    if left_out is not None:
        write_left_out(left_out, checked.left_out)
    if as_json:
        _print_json(checked.dataset, checked.faults, checked.notes)
    if checked.dataset is None:
        if as_json:
            raise typer.Exit(2)
        print_notes(checked.notes)
        raise DataError(checked.faults)
    if not as_json:
        _print_summary(checked.dataset)


def _print_json(dataset: Dataset | None, faults: tuple[str, ...], notes: tuple[str, ...]) -> None:
    """Print the faults, notes and counts as JSON."""
    summary: dict[str, object] = {}
    if dataset is not None:
        n_timed, n_one_day = _count_one_day_users(dataset)
        summary = {
            **dataset.summary(),
            "ages": _count_ages(dataset),
            "users_with_times": n_timed,
            "users_within_24_hours": n_one_day,
        }
    content = {"ok": not faults, "faults": list(faults), "notes": list(notes), "summary": summary}
    typer.echo(json.dumps(content, ensure_ascii=False, indent=2))


def _count_ages(dataset: Dataset) -> int:
    """Count users whose age is known."""
    return 0 if dataset.ages is None else int(np.count_nonzero(dataset.ages >= 0))


def _count_one_day_users(dataset: Dataset) -> tuple[int, int]:
    """Count users with times, and users whose interactions all lie within 24 hours.

    If the second are many, most users have only a day one, and the protocol `sampled` fits better.
    """
    first, last = dataset.events.spans(len(dataset.users))
    return int((first >= 0).sum()), int(((first >= 0) & (last - first < DAY_US)).sum())


def _print_summary(dataset: Dataset) -> None:
    """Print the counts of a dataset as a table."""
    console = Console()
    table = Table(title=escape(dataset.name), show_header=False, title_justify="left")
    table.add_column()
    table.add_column(justify="right")
    summary = dataset.summary()
    for row_name in ("users", "items", "interactions"):
        table.add_row(row_name, f"{summary[row_name]:,}")
    for row_name, unit in (("pairs", "interactions"), ("entities", "members"), ("groups", "values")):
        counts = summary[row_name]
        assert isinstance(counts, dict)
        for name, n in counts.items():
            table.add_row(f"{row_name}: {escape(name)}", f"{n:,} {unit}")
    n_with_age = _count_ages(dataset)
    if n_with_age:
        table.add_row("users with an age", f"{n_with_age:,} ({n_with_age / len(dataset.users):.0%})")
    if dataset.registered_at is not None:
        n_dated = np.count_nonzero(dataset.registered_at >= 0)
        table.add_row("users with a registration time", f"{n_dated:,} ({n_dated / len(dataset.users):.0%})")
    n_timed, n_one_day = _count_one_day_users(dataset)
    if n_timed:
        table.add_row("users whose interactions all lie within 24 hours", f"{n_one_day:,} ({n_one_day / n_timed:.0%})")
    if dataset.friends is not None:
        table.add_row("friends", f"{dataset.friends.n_entries:,}")
    if dataset.precomputed is not None:
        table.add_row("precomputed vectors", f"{dataset.precomputed.item_vectors.shape[1]:,} numbers each")
    console.print(table)
    for note in dataset.notes:
        console.print(f"Note: {note}", markup=False, highlight=False, soft_wrap=True)
    console.print("No faults.", highlight=False)
