"""Strategies beyond the paper on a service of 400 users: what each ranks by, compared with a plain computation."""

from __future__ import annotations

from dataclasses import replace

import pytest

from firstday.data.dataset import Dataset
from firstday.errors import ConfigError
from firstday.evaluation.run import evaluate
from firstday.features.signals import Signals
from firstday.methods.blend import Blending
from firstday.recommend.recommender import Recommender
from firstday.recommend.support import components_of, strategies_of
from tests.synthetic import small_config
from tests.tiny import with_learned, without_learned

K = 20


def test_without_ranker_and_warm_users_the_others_answer(world: Dataset, tiny: Recommender) -> None:
    without = {"ranker.enabled": False, "recommend.warm_users": 0}
    trained = without_learned(tiny.model, "direct", "neighbors", "friends")
    catalogue = replace(tiny.model.catalogue, people=None)
    bare = Recommender(replace(trained, config=tiny.model.config.override(without), warm=None, catalogue=catalogue))
    assert components_of(bare.model) == ("personal", "soft_segments", "popular", "edlae")
    assert not {"direct", "neighbors", "friends"} & set(strategies_of(bare.model))
    mixed = Recommender(with_learned(bare.model, blend=Blending()))
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
