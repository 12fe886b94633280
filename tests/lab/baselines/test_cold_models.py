"""Strategies of other cold models: what they answer with, and what happens without the model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.splits.split import Split
from firstday.errors import ConfigError
from firstday.features.signal_batch import SignalBatch
from firstday.features.signals import Signals
from firstday.recommend.query import ComputedDays, Query
from firstday.recommend.recommender import Recommender
from firstday.recommend.registry import strategy_names
from firstday.recommend.support import searched_names, strategies_with, with_methods_of
from firstday.training.fit import fit, train
from firstday.training.learn import check_training
from tests.networks import network_bytes
from tests.synthetic import COLD_MODELS, brief_config, small_config

K = 4
COLD_MODEL_OF = {
    "dropoutnet_personal": "dropoutnet",
    "dropoutnet_segment": "dropoutnet",
    "melu_personal": "melu",
    "melu_segment": "melu",
}


def test_strategies_know_what_must_be_trained_for_them() -> None:
    assert with_methods_of(small_config(), ["popular", "segment"]).methods == ()
    assert with_methods_of(small_config(), ["melu_segment", "popular", "melu_personal"]).methods == ("melu",)
    learners = ("dropoutnet", "melu", *searched_names())
    assert with_methods_of(small_config(), strategy_names()).methods == tuple(sorted(learners))
    without = tuple(name for name in strategy_names() if name not in (*COLD_MODEL_OF, *searched_names()))
    assert strategies_with(small_config()) == without
    assert strategies_with(small_config(methods=learners)) == strategy_names()
    with pytest.raises(ConfigError, match="'psychic' is unknown"):
        with_methods_of(small_config(), ["psychic"])


def test_cold_models_are_trained_where_a_strategy_asks_them(world: Dataset) -> None:
    config = brief_config(plugins={"dropoutnet": {"items_per_step": 10}}, recommend={"strategy": "dropoutnet_personal"})
    recommender = train(world, config)
    assert recommender.model.learned.keys() & {"dropoutnet", "melu"} == {"dropoutnet"}
    assert recommender.recommend(Signals(gender="f")).strategy == "dropoutnet_personal"


def test_no_cold_model_is_trained_unasked_and_ours_is_the_same_beside_them(
    world: Dataset, split: Split, config: Config, recommender: Recommender
) -> None:
    alone = fit(world, split, config).model
    assert not alone.learned.keys() & {"dropoutnet", "melu"}
    assert network_bytes(alone.cold) == network_bytes(recommender.model.cold)
    assert alone.cold.history == recommender.model.cold.history


@pytest.mark.parametrize("cold_model", COLD_MODELS)
def test_a_cold_model_takes_a_mean_vector_for_the_one_item_that_it_is_of(tiny: Recommender, cold_model: str) -> None:
    batch, _ = tiny.model.catalogue.read(
        [Signals(age=20, interactions=[("stream", "item", f"i{ix}")]) for ix in (1, 3, 5)] + [Signals(age=30)]
    )
    query = Query(tiny.model, batch, K)
    assert query.liked.lengths().tolist() == [1, 1, 1, 0]
    days = ComputedDays(query.features, query.liked_means)
    computed = Query(tiny.model, SignalBatch(4, tiny.model.n_items), K, computed=days)
    np.testing.assert_allclose(computed.predicted_by(cold_model), query.predicted_by(cold_model), atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"melu": {"inner_rate": 0}}, r"^plugins\.melu: inner_rate is 0: "),
        (
            {"dropoutnet": {"items_per_steps": 9}},
            r"^plugins\.dropoutnet: items_per_steps is not a setting; .* items_per_step\?",
        ),
    ],
)
def test_their_settings_are_checked_before_training(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        check_training(Config(methods=COLD_MODELS, plugins=settings))
