"""firstday simulate: an invented music service over time, as tables or in the layout of the paper's data."""

from __future__ import annotations

import json
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer
from rich.console import Console

from firstday.cli.options import JsonFlag
from firstday.progress import open_progress
from firstday.simulate.simulation_settings import Layout, SimulationSettings
from firstday.simulate.tables import simulate as write_simulation


def simulate(
    out: Annotated[Path, typer.Argument(help="A new folder for the tables.")],
    users: Annotated[int, typer.Option(help="Number of users, at least 20.")],
    items: Annotated[int, typer.Option(help="Number of items, at least 20.")],
    days: Annotated[int, typer.Option(help="Length of the log, days.")] = 90,
    seed: Annotated[int, typer.Option(help="The same seed gives the same files.")] = 0,
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
    with open_progress() as progress:
        if layout is Layout.TABLES:
            counts = write_simulation(settings, out, progress=progress)
            place, rows, signals = "tables", counts.rows, {"signals": counts.signals}
            then = f"evaluate {out} --strategy popular --strategy segment"
        else:
            from firstday.simulate.released import simulate_released  # it loads the training libraries

            rows = simulate_released(settings, out, progress=progress)
            place, signals, then = "folder", {}, f"reproduce {out} --space svd"
    seconds = perf_counter() - began
    if as_json:
        summary = {place: str(out), "seed": seed, "days": days, "rows": rows, **signals}
        typer.echo(json.dumps(summary, ensure_ascii=False, indent=1))
        return
    console = Console(highlight=False, soft_wrap=True)
    row_text = ", ".join(f"{n:,} {name}" for name, n in rows.items())
    console.print(f"Wrote {out} in {seconds:.0f} s: {row_text}.", markup=False)
    console.print(f"Next: firstday {then}", markup=False)
