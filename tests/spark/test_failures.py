"""What is lost: an executor changes nothing, a killed driver leaves the old model; other file systems work."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from pyspark.sql import SparkSession
from spark_cluster import HOST, SparkCluster, spark_environment

from firstday.artifact.folder import MANIFEST, STAGING
from firstday.config import Config
from firstday.engine import engines
from firstday.engine.spark.recommend_on_spark import recommend_on_spark, write_lists
from firstday.engine.spark.storage import Storage
from firstday.errors import ArtifactError
from firstday.recommend.recommender import open_model
from firstday.simulate.simulation_settings import SimulationSettings
from firstday.simulate.tables import simulate
from firstday.training.fit import train
from tests.synthetic import brief_config

pytestmark = [pytest.mark.usefixtures("spark"), pytest.mark.slow]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated service of 600 users."""
    folder = tmp_path_factory.mktemp("service") / "tables"
    simulate(SimulationSettings(n_users=600, n_items=300, seed=8), folder)
    return folder


@pytest.fixture(scope="module")
def config() -> Config:
    return brief_config(training={"most_users": 150})


def checksums(model: Path) -> dict[str, str]:
    """The checksum of each file of a model."""
    return {name: file["sha256"] for name, file in json.loads((model / MANIFEST).read_text())["files"].items()}


def test_a_killed_executor_changes_nothing(
    service: Path, config: Config, spark: SparkSession, cluster: SparkCluster, tmp_path: Path
) -> None:
    """It is killed with the parts that it kept, just before everyone is asked; its parts are read anew."""
    tables = engines.load(f"file://{service}", config=config, engine="spark")
    train(tables, config).save(tmp_path / "undisturbed")
    killed: list[int] = []

    def kill_one(stage: str, done: int, _total: int) -> None:
        if stage == "segments" and not done and not killed:
            killed.append(cluster.kill_executor(spark.sparkContext.applicationId))

    again = engines.load(f"file://{service}", config=config, engine="spark")
    train(again, config, progress=kill_one).save(tmp_path / "disturbed")
    assert killed
    assert checksums(tmp_path / "disturbed") == checksums(tmp_path / "undisturbed")


def test_a_killed_driver_leaves_the_old_model(
    service: Path, config: Config, cluster: SparkCluster, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    dataset = engines.load(service, config=config)
    train(dataset, config).save(model)
    before = json.loads((model / MANIFEST).read_text())["version"]
    settings = tmp_path / "settings.toml"
    settings.write_text("seed = 7\n[cold_model]\nepochs = 1\nhidden = [8]\n[ranker]\nenabled = false\n")
    command = [sys.executable, "-m", "firstday", "train", f"file://{service}", "--out", str(model)]
    command += ["--config", str(settings), "--engine", "spark", "--spark-master", cluster.url]
    for conf in (f"spark.driver.host={HOST}", f"spark.driver.bindAddress={HOST}", "spark.ui.enabled=false"):
        command += ["--spark-conf", conf]
    command += ["--spark-conf", "spark.cores.max=1", "--spark-conf", "spark.executor.memory=700m"]
    environment = spark_environment(tmp_path)
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        while process.poll() is None and not list(model.glob(f"{STAGING}*")):
            time.sleep(0.001)
        killed = process.poll() is None
        if killed:  # while it writes the new model
            os.kill(process.pid, signal.SIGKILL)
        output = process.stdout.read().decode() if process.stdout else ""
    assert killed, output
    opened = open_model(model)  # whole, the old one or the new one: every checksum is compared
    assert opened.model.n_items == 300
    after = json.loads((model / MANIFEST).read_text())["version"]
    assert after == before or (model / after).is_dir()


def test_models_and_lists_in_another_file_system(service: Path, config: Config, spark: SparkSession) -> None:
    """All goes through Hadoop's classes: tables are read there, models and lists are written there, in one step."""
    lake = "viewfs://lake/data"
    Storage(spark, f"{lake}/tables").put(service)
    tables = engines.load(f"{lake}/tables", config=config, engine="spark")
    local = engines.check(service, config=config)
    assert tables.summarise() == local.summary  # type: ignore[union-attr]
    place = engines.ModelPlace(f"{lake}/models/day-one", on_cluster=True)
    place.check()
    first = train(tables, config)
    place.save(first)
    opened = place.open()
    assert opened.model.facts == first.model.facts
    place.save(train(tables, config.override("seed", 3)), ("{}",))
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
    assert summary.n_users == pl.read_parquet(service / "users.parquet").height
    with pytest.raises(ArtifactError):
        engines.ModelPlace(f"{lake}/tables", on_cluster=True).check()
