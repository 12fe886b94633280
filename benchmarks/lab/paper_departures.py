"""Measure the effect of each departure from the authors' released code: writes docs/results/paper-departures.json.

export PYTHONPATH=benchmarks
python benchmarks/lab/paper_departures.py RUNS                         both spaces at the released size: some hours
python benchmarks/lab/paper_departures.py RUNS --users 10000 --items 5000 --out tenth.json

Data is simulated in RUNS, which also keeps what each run gives by user: a run that is there is not repeated, so that
the benchmark can be continued, and `--space` and `--name` make some of the runs. Differences are paired by user.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import polars as pl
import typer
from growth import run  # the file next to this one
from result_files import RESULTS, to_json, write_results

from firstday.config import load_config
from firstday.lab.reproduce.command import PRESET
from firstday.lab.reproduce.deezer_kdd21 import read_paper_data
from firstday.lab.reproduce.released_code import DEPARTURES
from firstday.lab.reproduce.table import choose_strategies, configure, reproduce_table
from firstday.metrics import METRICS, bootstrap_means, deviations_of_fifths

Space = Literal["svd", "mf"]
LIKE_CODE = {"here": (), **{name: (name,) for name in DEPARTURES}, "code": tuple(DEPARTURES)}
"""Departures in which each run follows the code, by name of the run."""


def main(
    runs: Path,
    space: list[Space] = ["svd", "mf"],
    name: list[str] = list(LIKE_CODE),
    users: int = 100_000,
    items: int = 50_000,
    out: Path = RESULTS / "paper-departures.json",
) -> None:
    """Simulate, make the runs that are missing in `runs`, and write what is there."""
    released = runs / "released"
    if not released.exists():
        size = ("--users", str(users), "--items", str(items))
        run("lab", "simulate", str(released), *size, "--layout", "deezer-kdd21")
    for of_space in space:
        for of_run in name:
            path = runs / f"{of_space}-{of_run}.parquet"
            if not path.exists():
                reproduce(released, of_space, LIKE_CODE[of_run]).write_parquet(path)
    spaces = {of_space: compare(runs, of_space) for of_space in space}
    write_results({"users": users, "songs": items, "spaces": spaces}, out)


def reproduce(released: Path, space: Space, like_code: tuple[str, ...]) -> pl.DataFrame:
    """Return what `reproduce` measures by user."""
    data = read_paper_data(released, space)
    config = configure(load_config(PRESET), len(data.train), None, None)
    strategies = choose_strategies(with_baselines=False)
    return reproduce_table(data, config, strategies, like_code=like_code).results.rows


def compare(runs: Path, space: Space) -> dict[str, Any]:
    """Return means by run and strategy, and the differences to the default that are not 0."""
    here = read_run(runs, space, "here")
    found: dict[str, Any] = {}
    for name in LIKE_CODE:
        rows = read_run(runs, space, name)
        found[name] = {}
        for strategy, values in rows.items():
            means = values.mean().row(0, named=True)
            deviations = dict(zip(METRICS, deviations_of_fifths(values.to_numpy()), strict=True))
            differences = (values - here[strategy]).to_numpy()
            intervals = dict(zip(METRICS, bootstrap_means(differences, users_of(values)), strict=True))
            figures: dict[str, Any] = {}
            for metric in METRICS:
                figures[metric] = round(means[metric], 2)
                figures[f"{metric}_deviation"] = round(deviations[metric], 2)
                figures |= to_json(f"{metric}_minus_here", intervals[metric])
            found[name][strategy] = figures
    return found
