"""A lost executor changes nothing, a driver that dies leaves the old model, and other file systems work."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from typer.testing import CliRunner

import firstday
from firstday.cli.main import app
from firstday.config import Config
from firstday.engine import engines
from firstday.engine.spark import engine
from firstday.engine.spark.storage import Storage
from firstday.errors import ArtifactError
from firstday.model.folder import MANIFEST
from firstday.recommend.recommender import Recommender
from firstday.training.fit import train
from tests.data.dirty_tables import N_ITEMS, N_USERS, write_tables
from tests.spark.conftest import checksums
from tests.spark.spark_cluster import SparkCluster

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


def test_models_and_lists_in_another_file_system(
    tiny: Recommender, spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commands go through Hadoop's classes: tables are read there, and models and lists are written there."""
    lake = "viewfs://lake/data"
    rename = Storage.rename
    tables = f"{lake}/tables"
    out = f"{lake}/lists.parquet"
    write_tables(tmp_path, "csv", {})
    Storage(spark, tables).put(tmp_path)
    assert engines.check(tables, engine="spark").summary == engines.check(tmp_path).summary
    with pytest.raises(ArtifactError, match="contains no model"):
        engine.check_place(tables)
    place = f"{lake}/models/day-one"
    engine.save_model(tiny, place)

    def refuse(storage: Storage, source: str, target: str) -> None:
        if target == MANIFEST:
            raise OSError("the driver dies")
        rename(storage, source, target)

    options = ["--engine", "spark", "--spark-conf", "spark.sql.shuffle.partitions=2"]
    command = ["train", tables, "--out", place, *options]
    for setting in ("protocol=sampled", "cold_model.epochs=1", "ranker.enabled=false", "sampled.min_items=5"):
        command += ["--set", setting]
    with monkeypatch.context() as patch:
        patch.setattr(Storage, "rename", refuse)
        assert isinstance(CliRunner().invoke(app, command).exception, OSError)
    assert engine.open_model(place).model.n_items == tiny.model.n_items != N_ITEMS
    run(*command)
    engine.save_model(engine.open_model(place), place, ("{}",))
    files = sorted(Storage(spark, f"{lake}/models").list_files())
    assert len({file.split("/")[1] for file in files if file.startswith("day-one/")}) == 2  # the manifest, one version
    assert {file for file in files if "/" not in file} == {"day-one.left-out.jsonl"}
    for _ in range(2):  # an older list is replaced
        run("recommend", place, "--batch", tables, "--out", out, "-k", "5", *options)
    lists = spark.read.parquet(out)
    assert lists.count() == 5 * lists.select("user_id").distinct().count() == 5 * N_USERS


def run(*command: str) -> None:
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
