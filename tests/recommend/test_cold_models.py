"""Strategies of other cold models: what they answer with, and what happens without the model."""

from __future__ import annotations

import pytest

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.splits.split import Split
from firstday.errors import ConfigError
from firstday.evaluation.run import evaluate
from firstday.features.signals import Signals
from firstday.recommend.recommender import Recommender
from firstday.recommend.registry import searched_names, strategies_with, strategy_names, with_methods_of
from firstday.recommend.spec import BASE_METHODS
from firstday.training.fit import fit, train
from tests.networks import network_bytes
from tests.synthetic import brief_config, small_config

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
    config = brief_config(dropoutnet={"items_per_step": 10})
    results = evaluate(world, config, strategies=["dropoutnet_segment"])
    assert results.strategies[-1] == "dropoutnet_segment"
    by_default = config.override("recommend.strategy", "dropoutnet_personal")
    recommender = train(world, by_default)
    assert set(recommender.model.learned) - set(BASE_METHODS) == {"dropoutnet"}
    assert recommender.recommend(Signals(gender="f")).strategy == "dropoutnet_personal"


def test_no_cold_model_is_trained_unasked_and_ours_is_the_same_beside_them(
    world: Dataset, split: Split, config: Config, recommender: Recommender
) -> None:
    alone = fit(world, split, config).model
    assert set(alone.learned) == set(BASE_METHODS)
    assert network_bytes(alone.cold) == network_bytes(recommender.model.cold)
    assert alone.cold.history == recommender.model.cold.history
