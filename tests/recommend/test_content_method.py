"""A method that knows what items are, written with public names alone, and the model that needs its plugin."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import firstday as fd
from firstday.recommend.registry import _registry
from firstday.serve.models import load_served
from firstday.testing import check_strategy
from tests.docs.test_api import run_example

N_ITEMS = 24
N_ARTISTS = 6


@dataclass(frozen=True)
class Prices:
    values: np.ndarray


def fit_prices(data: fd.LearningData, _precision: object, _progress: object) -> Prices:
    assert data.members_of_items["artist"].n_rows == N_ITEMS
    return Prices(data.item_columns["price"].to_numpy())


BY_ARTIST: fd.StrategySpec = replace(run_example(2)["BY_ARTIST"], fit=fit_prices, value=Prices)
"""The documented method, if it learned something."""
LIKING_3 = {"interactions": [("stream", "item", 3)]}
pytestmark = pytest.mark.usefixtures("fresh_registry")


@pytest.fixture(scope="module")
def trained() -> fd.Recommender:
    """Train on items 0 to 23: item i is by artist i % 6 and costs i + 1."""
    fd.register(BY_ARTIST)
    rng = np.random.default_rng(0)
    uses = [(user, item) for user in range(80) for item in rng.choice(N_ITEMS, 8, replace=False).tolist()]
    items = [(item, f"a{item % N_ARTISTS}", item + 1.0) for item in range(N_ITEMS)]
    tables = {
        "interactions": pl.DataFrame(uses, ["user_id", "item_id"], orient="row"),
        "items": pl.DataFrame(items, ["item_id", "artist_id", "price"], orient="row"),
    }
    config = fd.Config(threads=1, methods=("by_artist",)).override(
        {
            "cold_model.hidden": (8,),
            "cold_model.epochs": 1,
            "ranker.enabled": False,
            "sampled.min_items": 5,
            "recommend.warm_users": 0,
            "recommend.strategy": "by_artist",
        }
    )
    return fd.train(fd.load(tables), config, progress=None)


def test_items_of_the_same_artist_are_listed(trained: fd.Recommender) -> None:
    fd.register(BY_ARTIST)
    assert trained.model.learned["by_artist"].values.tolist() == [item + 1 for item in range(N_ITEMS)]
    answer = trained.recommend(LIKING_3, 4)
    assert [item.item_id for item in answer.items][:3] == [9, 15, 21]
    assert (answer.route, answer.n_ranked) == ("by_artist", 3)
    assert trained.recommend({}, 4).route == "popular"
    check_strategy(trained, "by_artist", [fd.Signals(), fd.Signals.of(LIKING_3)])


def test_a_model_without_its_plugin_says_how_to_load_it(trained: fd.Recommender, tmp_path: Path) -> None:
    fd.register(BY_ARTIST)
    model = trained.save(tmp_path / "model")
    _registry.cache_clear()
    with pytest.warns(UserWarning, match="by_artist, whose plugin is not loaded") as warned:
        recommender = fd.open_model(model)
    with pytest.warns(UserWarning, match="by_artist"), pytest.raises(fd.ConfigError) as unserved:
        load_served(model)
    messages = [str(warned[0].message), unserved.value.text]
    for step in ("not registered", "registered too late"):
        with pytest.raises(fd.ConfigError) as refused:
            recommender.recommend(LIKING_3, 2)
        assert refused.value.where == "strategy", step
        messages.append(refused.value.text)
        fd.register(BY_ARTIST)
    for message in messages:
        assert all(way in message for way in ("--plugin MODULE", "firstday.register", "install"))
        assert "train" not in message
    assert load_served(model).recommender.recommend(LIKING_3, 2).route == "by_artist"
    assert recommender.recommend(LIKING_3, 2, "popular").route == "popular"
