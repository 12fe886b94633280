"""firstday simulate: an invented music service over time, as tables or in the layout of the paper's data."""

from __future__ import annotations

import json
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer
from rich.console import Console

from firstday.cli.options import JsonFlag
from firstday.config import MAX_SEED
from firstday.progress import open_progress
from firstday.simulate.simulation_settings import (
    MAX_DAYS,
    MAX_ITEMS,
    MAX_USERS,
    MIN_DAYS,
    MIN_ITEMS,
    MIN_USERS,
    Layout,
    SimulationSettings,
)
from firstday.simulate.tables import simulate as write_simulation


def simulate(
    out: Annotated[Path, typer.Argument(help="A new folder for the tables.")],
    users: Annotated[int, typer.Option(min=MIN_USERS, max=MAX_USERS, help="Number of users.")],
    items: Annotated[int, typer.Option(min=MIN_ITEMS, max=MAX_ITEMS, help="Number of items.")],
    days: Annotated[int, typer.Option(min=MIN_DAYS, max=MAX_DAYS, help="Length of the log, days.")] = 90,
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="The same seed gives the same files.")] = 0,
    layout: Annotated[
        Layout,
        typer.Option(help="What is written: tables that firstday reads, or the paper's released data in both spaces."),
    ] = Layout.TABLES,
    as_json: JsonFlag = False,
) -> None:
    """Simulate a music service over time and write its tables to OUT, in chunks.

    Example: firstday simulate tables --users 20000 --items 10000
    """
    began = perf_counter()
    settings = SimulationSettings(users, items, days=days, seed=seed)
    if layout is Layout.DEEZER_KDD21:
        _simulate_released(settings, out, began, as_json=as_json)
        return
    with open_progress() as progress:
        counts = write_simulation(settings, out, progress=progress)
    seconds = perf_counter() - began
    if as_json:
        summary = {"tables": str(out), "seed": seed, "days": days, "rows": counts.rows, "signals": counts.signals}
        typer.echo(json.dumps(summary, ensure_ascii=False, indent=1))
        return
    console = Console(highlight=False, soft_wrap=True)
    rows = ", ".join(f"{n:,} {name}" for name, n in counts.rows.items())
    console.print(f"Wrote {out} in {seconds:.0f} s: {rows}.", markup=False)
    console.print(f"Next: firstday evaluate {out} --strategy popular --strategy segment", markup=False)


def _simulate_released(settings: SimulationSettings, out: Path, began: float, *, as_json: bool) -> None:
    """Write the layout of the paper's released data and print the numbers of rows."""
    from firstday.simulate.released import simulate_released  # it loads the training libraries

    with open_progress() as progress:
        rows = simulate_released(settings, out, progress=progress)
    seconds = perf_counter() - began
    if as_json:
        summary = {"folder": str(out), "seed": settings.seed, "days": settings.days, "rows": rows}
        typer.echo(json.dumps(summary, ensure_ascii=False, indent=1))
        return
    console = Console(highlight=False, soft_wrap=True)
    row_text = ", ".join(f"{n:,} {name}" for name, n in rows.items())
    console.print(f"Wrote {out} in {seconds:.0f} s: {row_text}.", markup=False)
    console.print(f"Next: firstday reproduce {out} --space svd", markup=False)
