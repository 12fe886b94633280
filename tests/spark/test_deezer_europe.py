"""Real data on both engines: cold users of Deezer Europe get the same lists."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from pyspark.sql import SparkSession

from firstday.config import Config, load_preset
from firstday.data.dataset import Dataset
from firstday.data.load import load
from firstday.data.sources.deezer_europe import NAME, read_deezer_europe
from firstday.data.splits.holdout import split_for_training
from firstday.data.splits.split import Cohort
from firstday.engine import engines
from firstday.engine.spark.cluster_dataset import ClusterDataset
from firstday.training.fit import fit
from tests.data.same import assert_equal
from tests.data.test_deezer_europe import COPY, needs_copy

pytestmark = [needs_copy, pytest.mark.usefixtures("spark"), pytest.mark.slow]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables of a tenth of the users."""
    folder = tmp_path_factory.mktemp("tables")
    tables = read_deezer_europe(COPY)
    users = tables["users"]["user_id"].sort().gather_every(10).to_list()
    for name, frame in tables.items():
        ids = pl.col(*(column for column in ("user_id", "friend_id") if column in frame))
        frame.filter(pl.all_horizontal(ids.is_in(users))).write_parquet(folder / f"{name}.parquet")
    return folder


@pytest.fixture(scope="module")
def config() -> Config:
    """The preset with networks that learn for a moment: lists of both engines are of one given model."""
    return load_preset(NAME).override(
        {
            "embedding.dimensions": 16,
            "embedding.als_iterations": 2,
            "sampled.day_ones": 1,
            "segments.restarts": 1,
            "cold_model.hidden": (16,),
            "cold_model.epochs": 1,
            "ranker.enabled": False,
        }
    )


def newcomers_of(dataset: Dataset, cohort: Cohort) -> dict[str, pl.DataFrame]:
    """What was known of cold users at the end of their day one, as tables."""
    users = dataset.users.take(cohort.users)
    rows = [
        pl.DataFrame(
            {
                "user_id": users.gather(pl.Series(actions.row_of_entry().astype(np.uint32))),
                "item_id": dataset.items.take(actions.columns),
                "signal": [signal] * actions.n_entries,
            }
        )
        for (signal, _), actions in cohort.day_one.items()
    ]
    codes = dataset.groups["gender"].codes[cohort.users]
    values = np.array([*dataset.groups["gender"].values, None], dtype=object)
    return {
        "interactions": pl.concat(rows),
        "users": pl.DataFrame({"user_id": users, "gender": pl.Series(values[codes].tolist(), dtype=pl.String)}),
    }


def test_dataset_and_lists_of_its_cold_users_are_the_same(folder: Path, config: Config, spark: SparkSession) -> None:
    dataset = load(folder, config=config)
    on_spark = engines.load(f"file://{folder}", config=config, engine="spark")
    assert isinstance(on_spark, ClusterDataset)
    assert_equal(on_spark.find_learners(config).dataset, dataset)
    split = split_for_training(dataset, config, config.seed, with_cold=True)
    n_cold = len(split.cold)
    assert n_cold > 200
    recommender = fit(dataset, split, config, weigh=False)
    newcomers = newcomers_of(dataset, split.cold)
    frames = {name: spark.createDataFrame(frame.to_arrow()) for name, frame in newcomers.items()}
    order = ["user_id", "rank"]
    for strategy in ("segment", "blend"):
        other = engines.recommend_batch(recommender, newcomers, strategy=strategy).sort(order)
        rows = pl.from_arrow(engines.recommend_batch(recommender, frames, strategy=strategy).toArrow())
        assert isinstance(rows, pl.DataFrame)
        one = rows.sort(order)
        assert one["user_id"].n_unique() == n_cold
        assert one.height == other.height == n_cold * config.recommend.k
        same = (one["item_id"] == other["item_id"]) & (one["route"] == other["route"])
        # Sums of other users beside them may tip an exact tie; nothing else may differ.
        differing = one.filter(~same)
        assert differing.height <= one.height // 10_000
        np.testing.assert_allclose(one["score"], other["score"], rtol=1e-4, atol=1e-5)
