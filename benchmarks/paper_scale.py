"""Reproduce the paper's table at the size of its data: time per stage, peak memory and figures.

python benchmarks/paper_scale.py                 a tenth, a third and all of it: docs/results/paper-scale.json
python benchmarks/paper_scale.py --scales 0.1    a tenth alone, a minute or two
python benchmarks/paper_scale.py --training      how long to train at the full size: docs/results/paper-training.json

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
SCHEDULES = {
    "one-cycle, 5 epochs": "epochs = 5\npatience = 5",
    "one-cycle, 10 epochs": "epochs = 10\npatience = 10",
    "one-cycle, 20 epochs": "epochs = 20\npatience = 20",
    "as published (flat 1e-5, 130 epochs)": None,
}
"""Schedules that `--training` compares: settings of [cold_model], or None for `--as-published`."""


def main(
    scales: list[float] = [0.1, 1 / 3, 1.0],
    folder: Path | None = None,
    released: Path | None = None,
    *,
    training: bool = False,
) -> None:
    """Simulate in `folder` and reproduce at each size; `released` is existing data of the full size, if any."""
    if training:
        compare_training(folder, released)
        return
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
    took = run("lab", "reproduce", str(released), *options, "--json", str(out))
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


def compare_training(place: Path | None, given: Path | None) -> None:
    """Train with different schedules at full size; write precision on validation and test users."""
    rows = []
    with tempfile.TemporaryDirectory(dir=place) as folder:
        released = given or Path(folder) / "released"
        if given is None:
            simulate(released, N_USERS, N_SONGS)
        # Two input clusters, since they do not matter here.
        few = ("--strategy", "personal", "--strategy", "segment", "--input-clusters", "2", "--space", "svd")
        for name, settings in SCHEDULES.items():
            options = ["--as-published"]
            if settings is not None:
                file = Path(folder) / "settings.toml"
                file.write_text(f"[segments]\nrestarts = 1\n[cold_model]\n{settings}\n", encoding="utf-8")
                options = ["--config", str(file)]
            rows.append({"name": name, **reproduce(Path(folder), released, *few, *options)})
            write_results(rows, RESULTS / "paper-training.json")


if __name__ == "__main__":
    typer.run(main)
