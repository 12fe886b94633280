"""A method that knows what items are, written with public names alone, and the model that needs its plugin."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import firstday as fd
from firstday.recommend.registry import _registry
from firstday.testing import check_strategy
from tests.docs.test_api import run_example

N_ITEMS = 24
N_ARTISTS = 6


@dataclass(frozen=True)
class Cheapness:
    scores: np.ndarray  # float32, shape (n_items,), from 0 to 1


def fit_same_artist(data: fd.LearningData, _precision: object, _progress: object) -> Cheapness:
    prices = data.item_columns["price"].to_numpy()
    assert data.members_of_items["artist"].n_rows == len(prices)
    return Cheapness((1 - prices / prices.max()).astype(np.float32))


def recommend_same_artist(query: fd.Query) -> fd.Answer:
    """Rank the items of the liked items' artists, then by price; leave out what is sold out."""
    artists = query.members_of_items["artist"].dense()
    cheapness = query.learned("same_artist").scores
    is_sold_out = ~query.item_columns["in_stock"].to_numpy()

    def score(rows: np.ndarray) -> np.ndarray:
        n_same = query.liked.take(rows).ones().dense() @ artists @ artists.T
        return np.where((n_same > 0) & ~is_sold_out, n_same + cheapness, np.float32(-np.inf))

    return query.rank_scores(score, "same_artist")


SAME_ARTIST = fd.StrategySpec(
    name="same_artist",
    describe="Items of the same artists.",
    recommend=recommend_same_artist,
    fit=fit_same_artist,
    value=Cheapness,
)
LIKING_3 = {"interactions": [("stream", "item", 3)]}
pytestmark = pytest.mark.usefixtures("fresh_registry")


@pytest.fixture(scope="module")
def trained() -> fd.Recommender:
    """Train on items 0 to 23: item i is by artist i % 6, costs i + 1, and only 21 is sold out."""
    fd.register(SAME_ARTIST)
    rng = np.random.default_rng(0)
    tables = {
        "interactions": pl.DataFrame(
            [(user, item) for user in range(80) for item in rng.choice(N_ITEMS, 8, replace=False).tolist()],
            ["user_id", "item_id"],
            orient="row",
        ),
        "items": pl.DataFrame(
            {
                "item_id": range(N_ITEMS),
                "artist_id": [f"a{item % N_ARTISTS}" for item in range(N_ITEMS)],
                "price": [item + 1.0 for item in range(N_ITEMS)],
                "in_stock": [item != 21 for item in range(N_ITEMS)],
            }
        ),
    }
    config = fd.Config(threads=1, methods=("same_artist",)).override(
        {
            "cold_model.hidden": (8,),
            "cold_model.epochs": 1,
            "ranker.enabled": False,
            "sampled.min_items": 5,
            "recommend.warm_users": 0,
            "recommend.strategy": "same_artist",
        }
    )
    return fd.train(fd.load(tables), config, progress=None)


def test_items_of_the_same_artist_are_listed(trained: fd.Recommender) -> None:
    fd.register(SAME_ARTIST)
    answer = trained.recommend(LIKING_3, 5)
    assert answer.route == "same_artist"
    assert [item.item_id for item in answer.items][:2] == [9, 15]
    assert answer.n_ranked == 2
    assert trained.recommend({}, 5).route == "popular"
    check_strategy(trained, "same_artist")


def test_the_documented_method_lists_items_of_the_same_artist(trained: fd.Recommender) -> None:
    fd.register(run_example(2)["BY_ARTIST"])
    answer = trained.recommend(LIKING_3, 3, "by_artist")
    assert [item.item_id for item in answer.items] == [9, 15, 21]
    assert answer.n_ranked == 3
    check_strategy(trained, "by_artist")


@pytest.mark.parametrize("strategy", [None, "same_artist"])
def test_a_model_without_its_plugin_says_how_to_load_it(
    trained: fd.Recommender, strategy: str | None, tmp_path: Path
) -> None:
    fd.register(SAME_ARTIST)
    model = trained.save(tmp_path / "model")
    _registry.cache_clear()
    with pytest.warns(UserWarning, match="same_artist, whose plugin is not loaded") as warned:
        recommender = fd.open_model(model)
    messages = [str(warned[0].message)]
    for step in ("not registered", "registered too late"):
        with pytest.raises(fd.ConfigError) as refused:
            recommender.recommend(LIKING_3, 2, strategy)
        assert refused.value.where == "strategy", step
        messages.append(refused.value.text)
        fd.register(SAME_ARTIST)
    for message in messages:
        assert all(way in message for way in ("--plugin MODULE", "firstday.register", "install"))
        assert "train" not in message
    assert fd.open_model(model).recommend(LIKING_3, 2, strategy).route == "same_artist"
    assert recommender.recommend(LIKING_3, 2, "popular").route == "popular"
