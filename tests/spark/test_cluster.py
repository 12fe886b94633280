"""The cluster of the tests is a real one: executors are processes that import the same firstday."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from spark_cluster import SparkCluster

import firstday

pytestmark = pytest.mark.slow
SCHEMA = "version string, place string, executor long"


def describe_executor(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Return the version of firstday, its place and the process of the executor."""
    import os
    import re
    from pathlib import Path

    import firstday

    daemon = Path(f"/proc/{os.getppid()}/status").read_text()
    (executor,) = re.findall(r"^PPid:\s+(\d+)$", daemon, re.MULTILINE)
    for batch in batches:
        assert batch.num_rows
    row = {"version": firstday.__version__, "place": firstday.__file__, "executor": int(executor)}
    yield pa.RecordBatch.from_pylist([row])


def test_a_job_runs_on_two_executors_that_import_the_same_package(spark: SparkSession, cluster: SparkCluster) -> None:
    rows = spark.range(0, 1_000, numPartitions=2).mapInArrow(describe_executor, SCHEMA).collect()
    assert {row["version"] for row in rows} == {firstday.__version__}
    assert {row["place"] for row in rows} == {firstday.__file__}
    app_id = spark.sparkContext.applicationId
    assert {row["executor"] for row in rows} == set(cluster.executor_pids(app_id))
    assert len(rows) == len(cluster.worker_pids) == 2
