"""Strategies beyond the paper on a service of 400 users: what each ranks by, compared with a plain computation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from firstday.artifact.trained_model import Blending
from firstday.data.dataset import Dataset
from firstday.errors import ConfigError
from firstday.evaluation.run import evaluate
from firstday.features.signals import SignalBatch, Signals
from firstday.recommend.blend import components_of
from firstday.recommend.direct import score_direct
from firstday.recommend.neighbors import score_friends, score_neighbors
from firstday.recommend.query import Query
from firstday.recommend.recommender import Recommender
from firstday.recommend.registry import strategies_of
from firstday.recommend.soft_segments import mix_segments
from tests.synthetic import small_config

K = 20


@pytest.fixture
def query(recommender: Recommender, world_days: SignalBatch) -> Query:
    return Query(recommender.model, world_days, K)


def test_neighbors_share_what_they_use(query: Query) -> None:
    model = query.model
    assert model.warm is not None
    settings = replace(model.neighborhood, temperature=0.1, smoothing=0.5)
    scores = score_neighbors(replace(query, model=replace(model, neighborhood=settings)), np.arange(5))
    used = np.zeros((len(model.warm), model.n_items))
    used[model.warm.uses.row_of_entry(), model.warm.uses.columns] = 1
    for row in range(5):
        closeness = model.warm.vectors @ query.predicted[row]
        nearest = np.argsort(-closeness)[:200]
        weights = np.exp(closeness[nearest] / 0.1)
        expected = weights @ used[nearest] / weights.sum() + 0.5 * model.popularity
        np.testing.assert_allclose(scores[row], expected, rtol=1e-4, atol=1e-6)


def test_friends_share_what_they_use(query: Query) -> None:
    model, friends = query.model, query.signals.friends
    assert friends is not None
    assert model.warm is not None
    rows = np.flatnonzero(friends.lengths() >= 2)[:5]
    lean = model.neighborhood.friend_smoothing
    scores = score_friends(query, rows)
    for place, row in enumerate(rows.tolist()):
        named = friends.row(row)
        counts = np.zeros(model.n_items)
        for friend in named.tolist():
            counts[model.warm.uses.row(friend)] += 1
        near = mix_segments(model, model.warm.vectors[named].mean(axis=0, keepdims=True))[0]
        np.testing.assert_allclose(scores[place], (counts + lean * near) / (len(named) + lean), rtol=1e-4, atol=1e-6)


def test_the_ranker_gives_a_distribution_over_what_is_used(query: Query) -> None:
    ranker = query.model.ranker
    assert ranker is not None
    scores = score_direct(query, np.arange(query.n_users))
    unused = np.flatnonzero(query.model.popularity == 0)
    assert len(unused)
    assert np.isneginf(scores[:, unused]).all()
    np.testing.assert_allclose(np.exp(scores).sum(axis=1), 1, rtol=1e-4)


def test_without_ranker_and_warm_users_the_others_answer(world: Dataset, tiny: Recommender) -> None:
    bare = Recommender(
        replace(tiny.model, ranker=None, warm=None, catalogue=replace(tiny.model.catalogue, people=None))
    )
    assert components_of(bare.model) == ("personal", "soft_segments", "popular", "ease")
    assert not {"direct", "neighbors", "friends"} & set(strategies_of(bare.model))
    mixed = Recommender(replace(bare.model, blending=Blending()))
    answer = mixed.recommend(Signals(age=20, friends=["u1"]), K, "blend")
    assert answer.route == "blend"
    assert [item.item_id for item in answer.items[:3]] == ["i1", "i2", "i3"]
    assert answer.ignored == ("friends are not used by this model",)
    config = small_config(ranker={"enabled": False}, recommend={"warm_users": 0})
    for strategy, setting in (
        ("direct", "ranker.enabled = true"),
        ("neighbors", "recommend.warm_users above 0"),
        ("friends", "recommend.warm_users above 0"),
    ):
        with pytest.raises(ConfigError, match=f"{strategy} needs a model trained with {setting}"):
            bare.recommend(Signals(age=20), K, strategy)
        with pytest.raises(ConfigError, match=f"{strategy} needs a model trained with {setting}"):
            evaluate(world, config, strategies=[strategy])
