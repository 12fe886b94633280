"""What is lost: an executor changes nothing, a killed driver leaves the old model; other file systems work."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from spark_cluster import SparkCluster

import firstday
from firstday.artifact.folder import MANIFEST, STAGING
from firstday.config import Config
from firstday.engine import engines
from firstday.engine.spark.recommend_on_spark import recommend_on_spark, write_lists
from firstday.engine.spark.storage import Storage
from firstday.errors import ArtifactError
from firstday.recommend.recommender import Recommender, open_model
from firstday.training.fit import train
from tests.data.dirty_tables import N_ITEMS, N_USERS, write_tables
from tests.spark.conftest import checksums, driver_environment

pytestmark = [pytest.mark.usefixtures("spark"), pytest.mark.slow]


def describe_executor(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Return where the executor has firstday, and its process."""
    daemon = Path(f"/proc/{os.getppid()}/status").read_text()
    (executor,) = re.findall(r"^PPid:\s+(\d+)$", daemon, re.MULTILINE)
    for batch in batches:
        assert batch.num_rows
    yield pa.RecordBatch.from_pylist([{"place": firstday.__file__, "executor": int(executor)}])


def test_a_job_runs_on_two_executors_that_import_the_same_package(spark: SparkSession, cluster: SparkCluster) -> None:
    rows = spark.range(0, 1_000, numPartitions=2).mapInArrow(describe_executor, "place string, executor long").collect()
    assert {row["place"] for row in rows} == {firstday.__file__}
    assert {row["executor"] for row in rows} == set(cluster.executor_pids(spark.sparkContext.applicationId))
    assert len(rows) == len(cluster.worker_pids) == 2


def test_a_killed_executor_and_other_partitions_change_nothing(
    service: Path, sample: Path, sample_config: Config, spark: SparkSession, cluster: SparkCluster, tmp_path: Path
) -> None:
    """It is killed with the parts that it kept, just before everyone is asked; its parts are read anew."""
    settings = {
        "spark.sql.adaptive.enabled": "true",
        "spark.sql.files.maxPartitionBytes": "100KB",
        "spark.sql.shuffle.partitions": "9",
    }
    before = {name: str(spark.conf.get(name)) for name in settings}
    killed: list[int] = []

    def kill_one(stage: str, done: int, _total: int) -> None:
        if stage == "segments" and not done and not killed:
            killed.append(cluster.kill_executor(spark.sparkContext.applicationId))

    set_all(spark, settings)
    try:
        tables = engines.load(f"file://{service}", config=sample_config, engine="spark")
        train(tables, sample_config, progress=kill_one).save(tmp_path / "disturbed")
    finally:
        set_all(spark, before)
    assert killed
    assert checksums(tmp_path / "disturbed") == checksums(sample)


def set_all(spark: SparkSession, settings: dict[str, str]) -> None:
    for name, value in settings.items():
        spark.conf.set(name, value)


def test_a_killed_driver_leaves_the_old_model(tiny: Recommender, cluster: SparkCluster, tmp_path: Path) -> None:
    model = tiny.save(tmp_path / "model")
    tables = tmp_path / "tables"
    tables.mkdir()
    write_tables(tables, "parquet", {})
    before = json.loads((model / MANIFEST).read_text())["version"]
    settings = tmp_path / "settings.toml"
    settings.write_text(
        'protocol = "sampled"\n[cold_model]\nepochs = 1\nhidden = [8]\n[ranker]\nenabled = false\n'
        "[sampled]\nday_ones = 1\nmin_items = 5\n"
    )
    command = [sys.executable, "-m", "firstday", "train", f"file://{tables}", "--out", str(model)]
    command += ["--config", str(settings), "--engine", "spark", "--spark-master", cluster.url]
    command += ["--spark-conf", "spark.cores.max=1", "--spark-conf", "spark.executor.memory=700m"]
    environment = driver_environment(tmp_path)
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        while process.poll() is None and not list(model.glob(f"{STAGING}*")):
            time.sleep(0.001)
        killed = process.poll() is None
        if killed:  # while it writes the new model
            os.kill(process.pid, signal.SIGKILL)
        output = process.stdout.read().decode() if process.stdout else ""
    assert killed, output
    opened = open_model(model)  # whole, the old one or the new one: every checksum is compared
    assert opened.model.n_items in (tiny.model.n_items, N_ITEMS)
    after = json.loads((model / MANIFEST).read_text())["version"]
    assert after == before or (model / after).is_dir()


def test_models_and_lists_in_another_file_system(
    trained: Recommender, tiny: Recommender, spark: SparkSession, tmp_path: Path
) -> None:
    """All goes through Hadoop's classes: tables are read there, models and lists are written there, in one step."""
    lake = "viewfs://lake/data"
    write_tables(tmp_path, "parquet", {})
    Storage(spark, f"{lake}/tables").put(tmp_path)
    assert engines.check(f"{lake}/tables", engine="spark").summary == engines.check(tmp_path).summary
    place = engines.ModelPlace(f"{lake}/models/day-one", on_cluster=True)
    place.check()
    place.save(tiny)
    place.save(trained, ("{}",))
    opened = place.open()
    assert opened.model.facts == trained.model.facts
    files = [file.path for file in Storage(spark, f"{lake}/models").list_files()]
    assert files.count(f"day-one/{MANIFEST}") == 1
    assert len({file.split("/")[1] for file in files if file.startswith("day-one/")}) == 2  # the manifest, one version
    assert "day-one.left-out.jsonl" in files
    out = f"{lake}/lists.parquet"
    for _ in range(2):  # an older list is replaced
        lists, summary, _ = recommend_on_spark(opened, f"{lake}/tables", 5)
        write_lists(lists, out)
    rows = spark.read.parquet(out)
    assert rows.count() == summary.n_rows == 5 * summary.n_users
    assert summary.n_users == N_USERS
    with pytest.raises(ArtifactError):
        engines.ModelPlace(f"{lake}/tables", on_cluster=True).check()
