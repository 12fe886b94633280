"""Scaling of time and memory with users and interactions, up to the limit: writes docs/results/growth.json.

python benchmarks/growth.py                                  10,000 and 100,000 users, and more interactions a user
python benchmarks/growth.py --users 1000000 --no-events      takes most of an hour on 2 cores, and up to 24 GiB

Sizes and stages that are not measured keep their earlier figures. Each stage runs in its own process; peak memory is
reported by the operating system.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import polars as pl
import typer
from result_files import RESULTS, read_results, write_results

REPEATS = (1, 4, 16)
REPEATED_USERS = 20_000


def main(
    users: list[int] = [10_000, 100_000],
    items: int = 50_000,
    train_up_to: int = 10**9,
    evaluate_up_to: int = 100_000,
    folder: Path | None = None,
    *,
    events: bool = True,
) -> None:
    """Train on and evaluate services of the given sizes, and write the figures.

    Temporary tables and models go to `folder`. Without `events`, the rows in which only events grow are skipped.
    """
    path = RESULTS / "growth.json"
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        found = read_results(path)
        if events:
            found["by_events"] = grow_events(Path(scratch), items)
        for n_users in users:
            row = grow_users(Path(scratch), n_users, items, train_up_to, evaluate_up_to)
            rows = {other["users"]: other for other in found.get("by_users", [])}
            rows[n_users] = {**rows.get(n_users, {}), **row}
            found["by_users"] = [rows[size] for size in sorted(rows)]
            write_results(found, path)


def grow_users(folder: Path, n_users: int, n_items: int, train_up_to: int, evaluate_up_to: int) -> dict[str, Any]:
    """Simulate a service of a given size, check, train and evaluate."""
    tables = folder / "tables"
    model = folder / "model"
    row: dict[str, Any] = {"users": n_users, "items": n_items}
    sizes = ("--users", str(n_users), "--items", str(n_items))
    row["simulate"] = run("simulate", str(tables), *sizes)
    row["check"] = run("check", str(tables))
    row["interactions"] = count(tables)
    if n_users <= train_up_to:
        row["train"] = run("train", str(tables), "--out", str(model))
        row["warm_users"] = json.loads((model / "manifest.json").read_text())["data"]["warm_users"]
    if n_users <= evaluate_up_to:
        results = folder / "results.json"
        row["evaluate"] = run("evaluate", str(tables), "--json", str(results))
        found = json.loads(results.read_text())
        precision = {result["strategy"]: result["precision"] for result in found["results"]}
        row["precision"] = {name: precision[name] for name in ("popular", "segment")}
        row["cold_users"] = found["n_cold"]
    for place in (tables, model):
        shutil.rmtree(place, ignore_errors=True)
    return row


def grow_events(folder: Path, n_items: int) -> list[dict[str, Any]]:
    """Repeat each user's interactions several times, a second later each time, so that only events grow."""
    tables = folder / "repeated"
    run("simulate", str(tables), "--users", str(REPEATED_USERS), "--items", str(n_items))
    original = sorted((tables / "interactions").iterdir())
    rows = []
    there = 1
    for times in REPEATS:
        for repeat in range(there, times):
            for file in original:
                later = pl.col("timestamp").dt.offset_by(f"{repeat}s")
                pl.scan_parquet(file).with_columns(later).sink_parquet(file.with_stem(f"{file.stem}-{repeat:02}"))
        there = times
        rows.append({"users": REPEATED_USERS, "interactions": count(tables), "check": run("check", str(tables))})
    shutil.rmtree(tables)
    return rows


def count(tables: Path) -> int:
    """Count interactions."""
    n: int = pl.scan_parquet(tables / "interactions" / "*.parquet").select(pl.len()).collect().item()
    return n


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
