"""Reproduce the paper's table at the size of its data: time per stage, peak memory and figures.

export PYTHONPATH=benchmarks
python benchmarks/lab/paper_scale.py                 a tenth, a third and all of it: docs/results/paper-scale.json
python benchmarks/lab/paper_scale.py --scales 0.1    a tenth alone, a minute or two

Data is simulated in the released layout (50,000 songs, 70,000 + 20,000 + 10,000 users). Each stage, from files on disk
to the table, runs in its own process; times include loading libraries.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import typer
from growth import run  # the file next to this one
from result_files import RESULTS, write_results

N_USERS = 100_000
N_SONGS = 50_000
AUTHORS_S = {"data": 5084, "training": 9, "full evaluation": 1418, "clustering": 14672, "semi evaluation": 991}
"""Times in seconds that the authors' script states for TT-SVD on "a standard machine", training on a GPU."""


def main(
    scales: list[float] = [0.1, 1 / 3, 1.0],
    folder: Path | None = None,
    released: Path | None = None,
) -> None:
    """Simulate in `folder` and reproduce at each size; `released` is existing data of the full size, if any."""
    found: dict[str, Any] = {"cores": os.cpu_count(), "authors_seconds": AUTHORS_S, "scales": []}
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        for scale in scales:
            found["scales"].append(measure(Path(scratch), scale, released if scale == 1 else None))
            write_results(found, RESULTS / "paper-scale.json")


def measure(folder: Path, scale: float, given: Path | None) -> dict[str, Any]:
    """Simulate one size and reproduce the table in both spaces; in the SVD space also with learned baselines."""
    n_users = round(N_USERS * scale)
    n_songs = round(N_SONGS * scale)
    released = given or folder / f"released-{n_users}"
    row: dict[str, Any] = {"users": n_users, "songs": n_songs}
    if given is None:
        row["simulate"] = simulate(released, n_users, n_songs)
    for space in ("svd", "mf"):
        row[space] = reproduce(folder, released, "--space", space, "--without-baselines")
    row["svd_with_peers"] = reproduce(folder, released, "--space", "svd")
    return row


def reproduce(folder: Path, released: Path, *options: str) -> dict[str, Any]:
    """Reproduce the table; return time, memory, seconds per stage, and figures."""
    out = folder / "table.json"
    took = run("lab", "reproduce", str(released), *options, "--without-code", "--json", str(out))
    values = json.loads(out.read_text(encoding="utf-8"))
    for stage, seconds in values["seconds"].items():
        print(f"  {stage:16} {seconds:8.1f} s")
    kept = ("title", "precision", "precision_deviation", "recall", "ndcg", "profile_only", "paper", "ms_per_user")
    figures = {result["strategy"]: {name: result[name] for name in kept} for result in values["results"]}
    counts = {name: values[name] for name in ("n_warm", "n_validation", "n_cold", "inputs", "simulated", "training")}
    return {**took, **counts, "stages": values["seconds"], "figures": figures}


def simulate(released: Path, n_users: int, n_songs: int) -> dict[str, float]:
    """Simulate the released layout; return time and memory."""
    return run(
        "lab", "simulate", str(released), "--users", str(n_users), "--items", str(n_songs), "--layout", "deezer-kdd21"
    )


if __name__ == "__main__":
    typer.run(main)
