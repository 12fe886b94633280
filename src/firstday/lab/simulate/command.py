"""firstday lab simulate: simulate a service over time, as tables or in the layout of the paper's data."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Annotated, Literal

import typer

from firstday.cli.options import JsonFlag, print_json
from firstday.config import MAX_SEED
from firstday.lab.simulate.simulation_settings import SimulationSettings
from firstday.lab.simulate.tables import simulate as simulate_tables
from firstday.progress import open_progress


def simulate(
    out: Annotated[Path, typer.Argument(help="New folder for the tables.")],
    users: Annotated[int, typer.Option(min=20, help="Number of users.")],
    items: Annotated[int, typer.Option(min=20, help="Number of items.")],
    days: Annotated[int, typer.Option(min=2, help="Length of the log, in days.")] = 90,
    seed: Annotated[
        int, typer.Option(min=0, max=MAX_SEED, help="Random seed; the same seed gives the same files.")
    ] = 0,
    layout: Annotated[
        Literal["tables", "series", "deezer-kdd21"],
        typer.Option(help="Output: tables of music, tables of series, or the paper's released data in both spaces."),
    ] = "tables",
    as_json: JsonFlag = False,
) -> None:
    """Simulate a service over time and write its tables to OUT, in chunks: of music, or of series with new episodes.

    Example: firstday lab simulate tables --users 20000 --items 10000
    Example: firstday lab simulate shows --users 20000 --items 10000 --layout series
    """
    began = perf_counter()
    write = simulate_tables
    key = "tables"
    next_command = f"evaluate {out}"
    if layout == "deezer-kdd21":
        from firstday.lab.simulate.released import simulate_released  # loads the training libraries

        write = simulate_released
        key = "folder"
        next_command = f"lab reproduce {out} --space svd"
    with open_progress() as progress:
        settings = SimulationSettings(users, items, days=days, seed=seed, series=layout == "series")
        rows = write(settings, out, progress=progress)
    if as_json:
        print_json({"seed": seed, "days": days, key: str(out), "rows": rows})
        return
    counts = ", ".join(f"{n:,} {name}" for name, n in rows.items())
    typer.echo(f"Wrote {out} in {perf_counter() - began:.0f} s: {counts}.\nNext: firstday {next_command}")
