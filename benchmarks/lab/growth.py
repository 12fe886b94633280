"""Scaling of time and memory with users: writes docs/results/growth.json.

export PYTHONPATH=benchmarks
python benchmarks/lab/growth.py                                  10,000 and 100,000 users
python benchmarks/lab/growth.py --users 1000000 --no-evaluate    takes most of an hour on 2 cores, and up to 24 GiB

Sizes and stages that are not measured keep their earlier figures. Each stage runs in its own process; peak memory is
reported by the operating system.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import polars as pl
import typer
from result_files import RESULTS, read_results, write_results


def main(
    users: list[int] = [10_000, 100_000], items: int = 50_000, folder: Path | None = None, *, evaluate: bool = True
) -> None:
    """Train on and evaluate services of the given sizes, and write the figures; tables and models go to `folder`."""
    path = RESULTS / "growth.json"
    rows = {row["users"]: row for row in read_results(path)["by_users"]}
    for n_users in users:
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            row = grow(Path(scratch), n_users, items, evaluate=evaluate)
        rows[n_users] = {**rows.get(n_users, {}), **row}
        write_results({"by_users": [rows[size] for size in sorted(rows)]}, path)


def grow(folder: Path, n_users: int, n_items: int, *, evaluate: bool) -> dict[str, Any]:
    """Simulate a service of a given size, check, train and evaluate."""
    tables = folder / "tables"
    model = folder / "model"
    row: dict[str, Any] = {"users": n_users, "items": n_items}
    row["simulate"] = run("simulate", str(tables), "--users", str(n_users), "--items", str(n_items))
    row["check"] = run("check", str(tables))
    row["interactions"] = pl.scan_parquet(tables / "interactions" / "*.parquet").select(pl.len()).collect().item()
    row["train"] = run("train", str(tables), "--out", str(model))
    row["warm_users"] = json.loads((model / "manifest.json").read_text())["data"]["warm_users"]
    if evaluate:
        results = folder / "results.json"
        asked = ("--strategy", "popular", "--strategy", "segment", "--json", str(results))
        row["evaluate"] = run("evaluate", str(tables), *asked)
        found = json.loads(results.read_text())
        row["precision"] = {result["strategy"]: result["precision"] for result in found["results"]}
        row["cold_users"] = found["n_cold"]
    return row


def run(*arguments: str) -> dict[str, float]:
    """Run a firstday command; return its wall time in seconds and its peak memory in GiB."""
    began = perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "firstday", *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"error: firstday {' '.join(arguments)} failed.")
    scale = 2**30 if sys.platform == "darwin" else 2**20  # ru_maxrss is in bytes on macOS, in KiB elsewhere
    found = {"seconds": round(perf_counter() - began, 1), "peak_gib": round(usage.ru_maxrss / scale, 2)}
    print(f"{arguments[0]:9} {found['seconds']:8.1f} s {found['peak_gib']:6.2f} GiB", flush=True)
    return found


if __name__ == "__main__":
    typer.run(main)
