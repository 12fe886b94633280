"""One contract for both engines: what tables say, what training makes of them, and lists are the same on Spark."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from pyspark.sql import SparkSession

from firstday.artifact.folder import MANIFEST
from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.engine import open as engines
from firstday.engine.spark.dataset import ClusterDataset
from firstday.errors import DataError
from firstday.simulate.simulation_settings import SimulationSettings
from firstday.simulate.tables import simulate
from firstday.training.fit import train
from tests.data.dirty import Dirty
from tests.data.dirty_files import CASES as FILES
from tests.data.dirty_tables import CASES as VALUES
from tests.synthetic import brief_config

pytestmark = [pytest.mark.usefixtures("spark"), pytest.mark.slow]
TABLES = ("users", "interactions", "items", "collections", "friends")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated service of 1,200 users with all tables."""
    folder = tmp_path_factory.mktemp("service") / "tables"
    simulate(folder, SimulationSettings(users=1_200, items=400, seed=5))
    return folder


@pytest.fixture(scope="module")
def config() -> Config:
    return brief_config(registration={"min_items": 8})


@pytest.fixture(scope="module")
def local(service: Path, config: Config) -> engines.Check:
    return engines.check(service, config=config)


@pytest.fixture(scope="module")
def cluster_check(service: Path, config: Config, spark: SparkSession) -> engines.Check:
    return engines.check(f"file://{service}", config=config, engine="spark")


@pytest.fixture(scope="module")
def tables(cluster_check: engines.Check) -> ClusterDataset:
    assert isinstance(cluster_check.dataset, ClusterDataset)
    return cluster_check.dataset


def without_reading(notes: tuple[str, ...]) -> set[str]:
    """Notes without those on how one engine reads its files."""
    return {note for note in notes if "were put in order" not in note}


def test_both_say_the_same_of_good_tables(local: engines.Check, cluster_check: engines.Check) -> None:
    assert cluster_check.faults == local.faults == ()
    assert cluster_check.summary == local.summary
    assert cluster_check.outlook == local.outlook
    assert without_reading(cluster_check.notes) == without_reading(local.notes)


def arrays_of(dataset: Dataset) -> dict[str, Any]:
    """Everything of a dataset that can be compared."""
    friends = dataset.friends
    return {
        "users": dataset.users.values,
        "items": dataset.items.values,
        "events": dataset.events.whole(),
        "groups": {name: (group.values, group.codes.tolist()) for name, group in dataset.groups.items()},
        "ages": None if dataset.ages is None else dataset.ages.tolist(),
        "registered_at": None if dataset.registered_at is None else dataset.registered_at.tolist(),
        "friends": None if friends is None else (friends.starts.tolist(), friends.columns.tolist()),
        "titles": dataset.titles,
        "ends": (dataset.events.first, dataset.events.last),
    }


def test_the_users_to_learn_from_are_the_same_dataset(
    local: engines.Check, tables: ClusterDataset, config: Config
) -> None:
    """Learners are all users here: splits, day ones, counts and features are then made of equal data by one code."""
    assert isinstance(local.dataset, Dataset)
    learners = tables.find_learners(config)
    assert learners.describe_everyone is None
    one, other = arrays_of(learners.dataset), arrays_of(local.dataset)
    for name, value in one.items():
        same = value.equals(other[name]) if isinstance(value, pl.Series | pl.DataFrame) else value == other[name]
        assert same, name


def files_of(model: Path) -> dict[str, Any]:
    """The checksums of a model's files."""
    return {name: file["sha256"] for name, file in json.loads((model / MANIFEST).read_text())["files"].items()}


def test_a_model_is_the_same_byte_for_byte_where_all_are_learned_from(
    local: engines.Check, tables: ClusterDataset, config: Config, tmp_path: Path
) -> None:
    assert isinstance(local.dataset, Dataset)
    train(local.dataset, config).save(tmp_path / "local")
    train(tables, config).save(tmp_path / "spark")
    assert files_of(tmp_path / "spark") == files_of(tmp_path / "local")


def with_vectors(service: Path, folder: Path) -> Path:
    """The same service with vectors of its own, which follow from the ids."""
    folder.mkdir()
    for place in service.iterdir():
        (folder / place.name).symlink_to(place)
    (folder / "embeddings").mkdir()
    for kind, column in (("users", "user_id"), ("items", "item_id")):
        ids = pl.read_parquet(service / f"{kind}.parquet")[column]
        rng = np.random.default_rng(len(ids))
        centres = rng.normal(size=(5, 8))
        vectors = centres[np.arange(len(ids)) % 5] + 0.1 * rng.normal(size=(len(ids), 8))
        pl.DataFrame({column: ids, "vector": vectors.astype(np.float32).tolist()}).write_parquet(
            folder / "embeddings" / f"{kind}.parquet"
        )
    return folder


def test_given_vectors_everyone_is_counted_the_same_on_both(
    service: Path, config: Config, spark: SparkSession, tmp_path: Path
) -> None:
    """A third of the users is learned from: segments, group means, features and popularity are everyone's."""
    folder = with_vectors(service, tmp_path / "tables")
    settings = config.override({"training.most_users": 300, "recommend.warm_users": 0})
    local = engines.load(folder, config=settings)
    assert isinstance(local, Dataset)
    tables = engines.load(f"file://{folder}", config=settings, engine="spark")
    learners = tables.find_learners(settings)  # type: ignore[union-attr]
    assert learners.describe_everyone is not None
    assert len(learners.dataset.users) < len(local.users)
    model = train(tables, settings).model
    sizes = model.segments.items.sizes
    n_warm = int(model.everyone.sizes[0])
    assert sizes.sum() == n_warm > 300
    described = describe_locally(local, settings, model)
    assert np.array_equal(sizes, described.segments.sizes)
    assert np.array_equal(model.segments.items.counts.weights, described.segments.counts.weights)
    assert np.array_equal(model.everyone.counts.weights, described.items.counts.weights)
    for name, counts in described.groups.items():
        assert np.array_equal(model.profile_groups[name].counts.weights, counts.counts.weights), name
    overall = described.vector_sum / described.n_users
    for name, means in model.encoder.group_means.items():
        shrinkage = settings.features.group_shrinkage
        expected = (described.vector_sums[name] + shrinkage * overall) / (
            described.groups[name].sizes[:, None] + shrinkage
        )
        np.testing.assert_allclose(means[:-1], expected, atol=1e-6)


def describe_locally(dataset: Dataset, config: Config, model: Any) -> Any:
    """Describe everyone on this machine, by the centroids of a model that was trained on Spark."""
    from firstday.data.splits.registration import Log
    from firstday.data.splits.roles import choose_protocol, find_warm
    from firstday.engine.everyone import Question, describe_part
    from firstday.training.fit import split_for

    protocol = choose_protocol(config, is_dated=dataset.registered_at is not None, has_times=True)
    warm, actions = find_warm(dataset, config, protocol, Log.of(dataset.events))
    assert config.training.most_users < len(warm)
    held_out = model.facts["held_out"] if "held_out" in model.facts else None
    assert held_out is None
    del split_for
    question = Question.of(dataset, model.fold_in, model.segments.centroids, config.signals, np.zeros(0, dtype=int))
    return describe_part(dataset, warm, actions, question)
