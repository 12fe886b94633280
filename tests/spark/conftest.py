"""A Spark session with an executor of its own, and a service on both engines, for all tests of this folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyspark
import pytest
from pyspark.sql import SparkSession

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.splits import apart, roles
from firstday.engine import engines
from firstday.engine.spark import work
from firstday.model.folder import MANIFEST
from firstday.recommend.recommender import Recommender
from firstday.training.fit import train
from tests.synthetic import brief_config

HOST = "127.0.0.1"
LAKE = "lake"
QUICK_START = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote"
"""JVM options for a faster start at the price of slower computation; classes of Spark's own jars are not verified."""


@pytest.fixture(scope="package")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """Return a session with an executor, a process of its own; a job waits until it is there.

    It has a file system besides that of this machine: ``viewfs://lake/data``, one of Hadoop's own. Plans run once, on
    few rows: they are neither compiled nor adapted. Its Python processes start from one that has imported all.
    """
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        if "CI" in os.environ:
            pytest.fail("no Java is installed; .ci/run installs it")
        pytest.skip("no Java is installed; apt-get install default-jre-headless")
    folder = tmp_path_factory.mktemp("spark")
    for name in ("home", "lake"):
        (folder / name).mkdir()
    for part in Path(pyspark.__file__).parent.iterdir():  # executors write to the home of Spark
        if part.name != "python":  # PySpark in ZIP, which each process would compile
            (folder / "home" / part.name).symlink_to(part)
    environment = {
        "SPARK_CONF_DIR": folder,  # ignore this machine's settings
        "SPARK_HOME": folder / "home",
        "SPARK_LOCAL_DIRS": folder / "local",
        "SPARK_LOCAL_IP": HOST,
        "PYSPARK_PYTHON": sys.executable,
    }
    settings: dict[str, Any] = {
        "spark.driver.bindAddress": HOST,
        "spark.driver.extraJavaOptions": QUICK_START,
        "spark.driver.host": HOST,
        "spark.executor.extraJavaOptions": QUICK_START,
        "spark.executor.memory": "1g",
        "spark.executorEnv.PYTHONPATH": str(Path(__file__).parents[2]),
        f"spark.hadoop.fs.viewfs.mounttable.{LAKE}.link./data": (folder / "lake").as_uri(),
        "spark.locality.wait": "0s",
        "spark.log.level": "ERROR",
        "spark.python.daemon.module": "tests.spark.daemon",
        "spark.scheduler.minRegisteredResourcesRatio": 1.0,
        "spark.scheduler.maxRegisteredResourcesWaitingTime": "300s",
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.files.maxPartitionBytes": "100KB",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": 3,
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, str(value))
        session = SparkSession.builder.config(map=settings).master("local-cluster[1,2,1024]").getOrCreate()
        yield session
        session.stop()


def executors_of(spark: SparkSession) -> set[int]:
    """Return the process ids of the executors, which the process of the driver starts."""
    assert spark.sparkContext._jvm is not None
    driver = spark.sparkContext._jvm.java.lang.ProcessHandle.current().pid()
    command = ["pgrep", "-P", str(driver), "-f", "CoarseGrainedExecutorBackend"]
    return set(map(int, subprocess.run(command, capture_output=True, check=True).stdout.split()))


@pytest.fixture(scope="package", autouse=True)
def few() -> Iterator[None]:
    """Train on two folds of validation users, not five, read tables in five parts, not eight; few learn an order."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(roles, "MAX_FOLDS", 2)
        patch.setattr(work, "MIN_PARTS", 5)
        patch.setattr(apart, "MIN_APART", 20)
        yield


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated service of 300 users with all tables: to half of its users lists were shown, in an experiment."""
    folder = tmp_path_factory.mktemp("service") / "tables"
    lab = pytest.importorskip("firstday.lab.simulate.tables")
    lab.simulate(lab.SimulationSettings(n_users=300, n_items=150, seed=5), folder)
    add_lists(folder)
    ids = pl.read_parquet(folder / "items.parquet")["item_id"].head(3)
    updates = {"item_id": ids, "title": [None, "Now", None], "recommendable": [False, None, None]}
    updates["expires_at"] = [None, None, "2020-01-01T00:00:00Z"]
    pl.DataFrame(updates).write_parquet(folder / "item_updates.parquet")
    return folder


def add_lists(folder: Path) -> None:
    """Show users what they and others used, a list for each day on which they used anything."""
    (path,) = (folder / "interactions").rglob("*.parquet")
    part = pl.read_parquet(path)
    rows = part.filter(pl.col("item_id").is_not_null(), pl.col("user_id") % 2 == 0)
    shown = rows.sort("user_id", "timestamp", "item_id").with_columns(
        signal=pl.lit("shown"),
        item_id=pl.when(pl.int_range(pl.len()) % 3 == 0).then("item_id").otherwise(pl.col("item_id").shift(40)),
        list_id=pl.col("timestamp").dt.strftime("%j"),
        timestamp=pl.col("timestamp").dt.offset_by("-1h"),
        position=pl.int_range(pl.len()).over("user_id", pl.col("timestamp").dt.truncate("1d")) + 1,
        propensity=pl.lit(0.25),
        policy=pl.lit("some"),
    )
    pl.concat([part, shown.drop_nulls("item_id")], how="diagonal").write_parquet(path)
    users = pl.read_parquet(folder / "users.parquet").select("user_id", experiment=pl.lit("first"))
    variant = pl.when(pl.col("user_id") % 4 == 0).then(pl.lit("lists")).otherwise(pl.lit("none"))
    users.with_columns(variant=variant).write_parquet(folder / "assignments.parquet")


@pytest.fixture(scope="package")
def config() -> Config:
    return brief_config()


@pytest.fixture(scope="package")
def local(service: Path, config: Config) -> engines.Check:
    return engines.check(service, config=config)


@pytest.fixture(scope="package")
def trained(local: engines.Check, config: Config) -> Recommender:
    """The model that this machine learns from all users."""
    assert isinstance(local.dataset, Dataset)
    return train(local.dataset, config)


def checksums(model: Path) -> dict[str, str]:
    """The checksum of each file of a model."""
    files: dict[str, str] = json.loads((model / MANIFEST).read_text())["files"]
    return files
