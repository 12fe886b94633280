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
from firstday.recommend.query import Query
from firstday.recommend.recommender import Recommender
from firstday.recommend.registry import strategies_of
from firstday.recommend.strategies.blend import components_of
from firstday.recommend.strategies.items import score_direct
from tests.synthetic import small_config

K = 20


@pytest.fixture
def query(recommender: Recommender, world_days: SignalBatch) -> Query:
    return Query(recommender.model, world_days, K)


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
