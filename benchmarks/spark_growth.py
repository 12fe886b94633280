"""Time and memory of both engines on the same growing services: writes docs/results/spark-growth.json.

python benchmarks/spark_growth.py grow 100000 300000 1000000
python benchmarks/spark_growth.py weigh                          what a row and an item weigh

Spark is a standalone master and two workers on this machine, with one core each. The driver may use 4 GiB, each
executor 2 GiB: 1.1 GiB of Java heap, the rest for Python. Both engines train on at most 50,000 users, with few epochs,
since these do not depend on the number of users. Memory is the peak total resident memory of a stage's processes,
sampled twice a second: the driver's Python and Java, and the larger executor's.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import threading
from contextlib import nullcontext
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import typer
from growth import count, run
from result_files import RESULTS, read_results, write_results
from spark_cluster import HOST, SparkCluster, spark_cluster, spark_environment

RESULTS_FILE = RESULTS / "spark-growth.json"
MOST_USERS = 50_000
DRIVER_GIB = 4
EXECUTOR_GIB = 2
SETTINGS = {
    "training.most_users": MOST_USERS,
    "cold_model.epochs": 2,
    "ranker.epochs": 1,
    "embedding.dimensions": 64,
    "recommend.warm_users": 50_000,
}


def grow(sizes: list[int], items: int = 50_000, folder: Path | None = None) -> None:
    """Measure both engines on services of the given sizes, and write the figures after each."""
    before = read_results(RESULTS_FILE)
    rows: list[dict[str, Any]] = [row for row in before.get("rows", []) if row["users"] not in sizes]
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        for n_users in sizes:
            tables = Path(scratch) / "tables"
            run("lab", "simulate", str(tables), "--users", str(n_users), "--items", str(items))
            service = {"users": n_users, "interactions": count(tables)}
            rows += [
                {**service, "engine": engine, **measure(tables, engine, Path(scratch))} for engine in ("local", "spark")
            ]
            shutil.rmtree(tables)
            settings = {"n_workers": 2, "cores": 1, "driver_gib": DRIVER_GIB, "executor_gib": EXECUTOR_GIB, **SETTINGS}
            rows.sort(key=lambda row: (row["users"], row["engine"]))
            write_results({**before, "settings": settings, "rows": rows}, RESULTS_FILE)


def measure(tables: Path, engine: str, scratch: Path) -> dict[str, Any]:
    """Check and train with one engine, in separate processes."""
    on_spark = engine == "spark"
    with spark_cluster(scratch / "spark", 2, 1, "2g") if on_spark else nullcontext() as cluster:
        environment = spark_environment(scratch / "spark") if cluster else dict(os.environ)
        master = cluster.url if cluster else ""
        command = [sys.executable, __file__, "work", engine, str(tables), str(scratch / "model"), master]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        watch = Watch(process.pid, cluster)
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("STAGE "):
                watch.begin(line.removeprefix("STAGE ").strip())
        process.wait()
        stages = watch.end()
        if process.returncode:
            sys.exit(f"error: {engine} failed on {tables}.")
    shutil.rmtree(scratch / "spark", ignore_errors=True)
    shutil.rmtree(scratch / "model", ignore_errors=True)
    reading = [stage for stage in stages if stage["stage"] in ("read", "outlook")]
    training = [stage for stage in stages if stage["stage"] not in ("start", "read", "outlook")]
    return {
        "stages": stages,
        "check_seconds": round(sum(stage["seconds"] for stage in reading), 1),
        "train_seconds": round(sum(stage["seconds"] for stage in training), 1),
        "peak_gib": {
            "driver": max(stage["driver_gib"] for stage in stages),
            "executor": max(stage["executor_gib"] for stage in stages),
        },
    }


class Watch:
    """Samples the memory of processes while a stage runs."""

    def __init__(self, pid: int, cluster: SparkCluster | None) -> None:
        self._pid, self._cluster = pid, cluster
        self._stages: list[dict[str, Any]] = []
        self._began = perf_counter()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look_on, daemon=True)
        self.begin("start")
        self._thread.start()

    def begin(self, stage: str) -> None:
        """End the previous stage and begin a new one."""
        now = perf_counter()
        if self._stages:
            self._stages[-1]["seconds"] = round(now - self._began, 1)
        self._began = now
        self._stages.append({"stage": stage, "seconds": 0.0, "driver_gib": 0.0, "executor_gib": 0.0})

    def end(self) -> list[dict[str, Any]]:
        """Stop sampling, and return the stages."""
        self._over.set()
        self._thread.join()
        self._stages[-1]["seconds"] = round(perf_counter() - self._began, 1)
        return self._stages

    def _look_on(self) -> None:
        while not self._over.wait(0.5):
            sizes, children = read_processes()
            stage = self._stages[-1]
            stage["driver_gib"] = max(stage["driver_gib"], add_up(self._pid, sizes, children))
            for executor in self._cluster.executor_pids() if self._cluster else ():
                stage["executor_gib"] = max(stage["executor_gib"], add_up(executor, sizes, children))


def weigh() -> None:
    """Measure the bytes of a row in transit to its part, of a row in a part, and of an item."""
    from firstday.data.load import load
    from firstday.data.parts import keep_users, pack
    from firstday.engine.spark.read_tables import map_tables
    from firstday.engine.spark.session import open_session
    from firstday.engine.spark.sources import take_tables
    from firstday.tables.faults import Findings

    with tempfile.TemporaryDirectory() as scratch:
        tables = Path(scratch) / "tables"
        local = Path(scratch) / "local"
        run("lab", "simulate", str(tables), "--users", "20000", "--items", "5000")
        dataset = load(tables)
        open_session(
            "local[1]", {"spark.local.dir": str(local), "spark.driver.host": HOST, "spark.ui.enabled": "false"}
        )
        rows = take_tables(tables.as_uri(), Findings())[1]["interactions"]
        assert rows is not None
        map_tables({"interactions": rows}, 8, lambda _: (b"", None)).count()
        moved = sum(file.stat().st_size for file in local.rglob("shuffle_*.data"))
        part = keep_users(dataset, np.arange(4_000))
        content = read_results(RESULTS_FILE)
        content["bytes"] = {
            "row_in_shuffle": round(moved / count(tables), 1),
            "row_in_part": round(len(pack(part)) / len(part.events), 1),
            "item_in_catalogue": round(
                len(pickle.dumps((dataset.items, dataset.titles, dataset.entities))) / len(dataset.items)
            ),
        }
    write_results(content, RESULTS_FILE)


def read_processes() -> tuple[dict[int, int], dict[int, list[int]]]:
    """Return the unshared memory of each process in KiB, and the children of each."""
    sizes: dict[int, int] = {}
    children: dict[int, list[int]] = {}
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
                numbers = (place / "smaps_rollup").read_text().splitlines()
            except OSError:
                continue
            pss = next((int(line.split()[1]) for line in numbers if line.startswith("Pss:")), 0)
            sizes[int(place.name)] = pss
            children.setdefault(parent, []).append(int(place.name))
    return sizes, children


def add_up(pid: int, sizes: dict[int, int], children: dict[int, list[int]]) -> float:
    """Return the memory of a process and all its descendants in GiB."""
    total = 0
    waiting = [pid]
    while waiting:
        process = waiting.pop()
        total += sizes.get(process, 0)
        waiting += children.get(process, [])
    return round(total / 2**20, 2)


def work(engine: str, tables: str, model: str, master: str) -> None:
    """Check and train, and announce each stage."""
    from firstday.config import Config
    from firstday.engine import engines
    from firstday.training.fit import train

    config = Config().override(SETTINGS)
    if engine == "spark":
        from firstday.engine.spark.session import open_session

        settings = {
            "spark.driver.host": HOST,
            "spark.driver.bindAddress": HOST,
            "spark.driver.memory": "1g",
            "spark.executor.memory": "1100m",
            "spark.memory.fraction": "0.4",
            "spark.executor.cores": "1",
            "spark.ui.enabled": "false",
            "spark.sql.shuffle.partitions": "8",
            "spark.log.level": "ERROR",
        }
        open_session(master, settings)
    print("STAGE read", flush=True)
    checked = engines.check(tables, config=config, engine=engine)
    assert checked.dataset is not None, checked.faults
    assert checked.outlook is not None
    assert checked.outlook.protocol == "registration"
    shown = ""

    def report(stage: str, _done: int, _total: int) -> None:
        nonlocal shown
        if stage != shown:
            shown = stage
            print(f"STAGE {stage}", flush=True)

    print("STAGE split", flush=True)
    recommender = train(checked.dataset, config, progress=report)
    recommender.save(model)
    facts = recommender.model.facts["data"]
    print(json.dumps({name: facts.get(name) for name in ("warm_users", "learned_from")}), flush=True)


if __name__ == "__main__":
    commands = typer.Typer()
    for command in (grow, weigh, work):
        commands.command()(command)
    commands()
