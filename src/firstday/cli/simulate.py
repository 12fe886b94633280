"""firstday simulate: an invented music service over time, as tables or in the layout of the paper's data."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import typer

from firstday.cli.options import JsonFlag, print_json
from firstday.progress import open_progress
from firstday.simulate.simulation_settings import Layout, SimulationSettings
from firstday.simulate.tables import simulate as write_simulation


def simulate(
    out: Annotated[Path, typer.Argument(help="New folder for the tables.")],
    users: Annotated[int, typer.Option(help="Number of users, at least 20.")],
    items: Annotated[int, typer.Option(help="Number of items, at least 20.")],
    days: Annotated[int, typer.Option(help="Length of the log, in days.")] = 90,
    seed: Annotated[int, typer.Option(help="Random seed; the same seed gives the same files.")] = 0,
    layout: Annotated[
        Layout,
        typer.Option(help="Output: tables that firstday reads, or the paper's released data in both spaces."),
    ] = Layout.TABLES,
    as_json: JsonFlag = False,
) -> None:
    """Simulate a music service over time and write its tables to OUT, in chunks.

    Example: firstday simulate tables --users 20000 --items 10000
    """
    began = perf_counter()
    settings = SimulationSettings(users, items, days=days, seed=seed)
    content: dict[str, Any] = {"seed": seed, "days": days}
    with open_progress() as progress:
        if layout is Layout.DEEZER_KDD21:
            from firstday.simulate.released import simulate_released  # it loads the training libraries

            content |= {"folder": str(out), "rows": simulate_released(settings, out, progress=progress)}
            following = f"firstday reproduce {out} --space svd"
        else:
            counts = write_simulation(settings, out, progress=progress)
            content |= {"tables": str(out), "rows": counts.rows, "signals": counts.signals}
            following = f"firstday evaluate {out} --strategy popular --strategy segment"
    if as_json:
        print_json(content)
        return
    rows = ", ".join(f"{n:,} {name}" for name, n in content["rows"].items())
    typer.echo(f"Wrote {out} in {perf_counter() - began:.0f} s: {rows}.\nNext: {following}")
