"""A Spark cluster and a session on it, for all tests of this folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from spark_cluster import HOST, QUICK_START, SparkCluster, has_java, shared_cluster, spark_environment

N_EXECUTORS = 2
LAKE = "lake"


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkCluster]:
    """Return the cluster that the processes of pytest-xdist share: two workers, each with room for all of them.

    One core more of each is for the drivers that tests start as processes.
    """
    if not has_java():
        if "CI" in os.environ:
            pytest.fail("no Java is installed; .ci/run installs it")
        pytest.skip("no Java is installed; apt-get install default-jre-headless")
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # which the processes share
    n_processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    with shared_cluster(folder / "spark", cores=n_processes + 1, worker_memory=f"{2 * n_processes + 1}g") as running:
        yield running


@pytest.fixture(scope="session")
def spark(cluster: SparkCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """Return a session with two executors, one on each worker."""
    folder = tmp_path_factory.mktemp("spark-driver")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in spark_environment(folder).items():
            if name != "PYTHONPATH":
                patch.setenv(name, value)
        session = build_session(cluster, folder)
        yield session
        session.stop()


def build_session(cluster: SparkCluster, folder: Path) -> SparkSession:
    """Start a driver; a job waits until both executors are there.

    It knows a file system besides that of this machine: ``viewfs://lake/data``, one of Hadoop's own.
    """
    (folder / "lake").mkdir()
    settings = {
        "spark.driver.host": HOST,
        "spark.driver.bindAddress": HOST,
        "spark.driver.extraJavaOptions": QUICK_START,
        "spark.executor.extraJavaOptions": QUICK_START,
        "spark.cores.max": N_EXECUTORS,
        "spark.executor.cores": 1,
        "spark.executor.memory": "1g",
        "spark.scheduler.minRegisteredResourcesRatio": 1.0,
        "spark.scheduler.maxRegisteredResourcesWaitingTime": "60s",
        "spark.sql.shuffle.partitions": 4,
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        f"spark.hadoop.fs.viewfs.mounttable.{LAKE}.link./data": (folder / "lake").as_uri(),
        "spark.log.level": "ERROR",
        "spark.ui.enabled": False,
        "spark.ui.showConsoleProgress": False,
    }
    builder = SparkSession.builder.master(cluster.url).appName("firstday tests")
    for name, value in settings.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()
