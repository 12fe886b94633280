"""Executors import what the driver does, a driver that dies leaves the old model, and other file systems work."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from typer.testing import CliRunner

import firstday
from firstday.cli.main import app
from firstday.engine.spark import engine
from firstday.engine.spark.storage import Storage
from firstday.errors import ArtifactError
from firstday.model.folder import MANIFEST
from firstday.recommend.recommender import Recommender
from tests.data.dirty_tables import N_ITEMS, N_USERS, write_tables
from tests.spark.conftest import executors_of

pytestmark = [pytest.mark.usefixtures("spark"), pytest.mark.slow]


def describe_executor(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Return where the executor has firstday, and its process."""
    daemon = Path(f"/proc/{os.getppid()}/status").read_text()
    (executor,) = re.findall(r"^PPid:\s+(\d+)$", daemon, re.MULTILINE)
    for batch in batches:
        assert batch.num_rows
    yield pa.RecordBatch.from_pylist([{"place": firstday.__file__, "executor": int(executor)}])


def test_a_job_runs_on_an_executor_that_imports_the_same_package(spark: SparkSession) -> None:
    rows = spark.range(0, 1_000, numPartitions=2).mapInArrow(describe_executor, "place string, executor long").collect()
    assert {row["place"] for row in rows} == {firstday.__file__}
    assert {row["executor"] for row in rows} == executors_of(spark)
    assert len(rows) == 2


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
    brief = "cold_model.epochs=1 cold_model.hidden=[8] embedding.dimensions=4 embedding.als_iterations=2"
    for setting in f"protocol=sampled sampled.min_items=5 sampled.day_ones=1 ranker.enabled=false {brief}".split():
        command += ["--set", setting]
    other = Recommender(replace(tiny.model, facts={}))
    with monkeypatch.context() as patch:
        patch.setattr(Storage, "rename", refuse)
        with pytest.raises(OSError, match="the driver dies"):
            engine.save_model(other, place)
    assert engine.open_model(place).model.facts == tiny.model.facts
    run(*command)
    assert engine.open_model(place).model.n_items == N_ITEMS
    engine.save_model(engine.open_model(place), place, ("{}",))
    files = sorted(Storage(spark, f"{lake}/models").list_files())
    assert len({file.split("/")[1] for file in files if file.startswith("day-one/")}) == 2  # the manifest, one version
    assert {file for file in files if "/" not in file} == {"day-one.left-out.jsonl"}
    run("recommend", place, "--batch", tables, "--out", out, "-k", "5", *options)
    lists = spark.read.parquet(out)
    assert lists.count() == 5 * lists.select("user_id").distinct().count() == 5 * N_USERS


def run(*command: str) -> None:
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
