"""Measure the effect of each departure from the authors' released code: writes docs/results/paper-departures.json.

export PYTHONPATH=benchmarks
python benchmarks/lab/paper_departures.py RUNS                       both spaces at the released size: some hours
python benchmarks/lab/paper_departures.py RUNS --only svd-code       continue with some of the runs

Data is simulated in the folder RUNS, which also keeps the metrics per user of each run. A run that is there is not
repeated, and all that are there are compared. `--users`, `--items` and `--out` are for smaller data.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import typer
from growth import run  # the file next to this one
from result_files import RESULTS, to_json, write_results

from firstday.config import load_config
from firstday.lab.reproduce.command import PRESET
from firstday.lab.reproduce.deezer_kdd21 import Space, read_paper_data
from firstday.lab.reproduce.released_code import DEPARTURES
from firstday.lab.reproduce.table import choose_strategies, configure, reproduce_table
from firstday.metrics import METRICS, bootstrap_means, deviations_of_fifths

SPACES: tuple[Space, ...] = ("svd", "mf")
LIKE_CODE: dict[str, tuple[str, ...]] = {"here": (), **{name: (name,) for name in DEPARTURES}, "code": (*DEPARTURES,)}
"""Departures in which a run follows the code, by name of the run."""


def main(
    runs: Path,
    only: list[str] = [],
    users: int = 100_000,
    items: int = 50_000,
    out: Path = RESULTS / "paper-departures.json",
) -> None:
    """Simulate, make the runs that are missing, and write what was found."""
    released = runs / "released"
    if not released.exists():
        size = ("--users", str(users), "--items", str(items))
        run("lab", "simulate", str(released), *size, "--layout", "deezer-kdd21")
    found: dict[str, Any] = {"users": users, "songs": items}
    for space in SPACES:
        paths = {name: runs / f"{space}-{name}.parquet" for name in LIKE_CODE}
        for name, path in paths.items():
            if not path.exists() and path.stem in (only or [path.stem]):
                reproduce(released, space, LIKE_CODE[name]).write_parquet(path)
        frames = {name: pl.read_parquet(path) for name, path in paths.items() if path.exists()}
        found[space] = {name: compare(frame, frames["here"]) for name, frame in frames.items()}
    write_results(found, out)


def reproduce(released: Path, space: Space, like_code: tuple[str, ...]) -> pl.DataFrame:
    """Return the metrics of each strategy and user."""
    data = read_paper_data(released, space)
    config = configure(load_config(PRESET), len(data.train), None, None)
    strategies = choose_strategies(with_baselines=False)
    table = reproduce_table(data, config, strategies, like_code=like_code)
    rows: pl.DataFrame = table.results.users()
    return rows.select("strategy", "user_id", *METRICS)


def compare(rows: pl.DataFrame, here: pl.DataFrame) -> dict[str, Any]:
    """Return each strategy's means and deviations over fifths, and the differences to the default, paired by user."""
    paired = rows.join(here, on=["strategy", "user_id"], suffix="_here", maintain_order="left")
    found: dict[str, Any] = {}
    for (strategy,), of_users in paired.group_by("strategy", maintain_order=True):
        values = of_users.select(METRICS).to_numpy()
        differences = values - of_users.select(f"{metric}_here" for metric in METRICS).to_numpy()
        intervals = bootstrap_means(differences, np.arange(len(values)))
        found[str(strategy)] = figures = {}
        columns = zip(METRICS, values.mean(axis=0), deviations_of_fifths(values), intervals, strict=True)
        for metric, mean, deviation, interval in columns:
            figures[metric] = round(float(mean), 2)
            figures[f"{metric}_deviation"] = round(float(deviation), 2)
            figures |= to_json(f"{metric}_minus_here", interval)
    return found


if __name__ == "__main__":
    typer.run(main)
