"""Strategies of the peers of the cold model: what they answer with, and what happens without the peer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.splits.split import Split
from firstday.errors import ConfigError
from firstday.evaluate.run import evaluate_strategies
from firstday.features.signals import SignalBatch, Signals

# TODO COLD_MODEL_OF
from firstday.recommend.answer import answer_all
from firstday.recommend.query import Query
from firstday.recommend.recommender import Recommender
from firstday.recommend.registry import strategies_with, strategy_names, with_methods_of
from firstday.training.fit import fit, train
from tests.synthetic import small_config

K = 20
COLD_MODEL_OF = {
    "dropoutnet_personal": "dropoutnet",
    "dropoutnet_segment": "dropoutnet",
    "melu_personal": "melu",
    "melu_segment": "melu",
}


@pytest.mark.parametrize("strategy", COLD_MODEL_OF)
def test_a_cold_models_vector_is_used_as_ours_would_be(
    recommender: Recommender, world_days: SignalBatch, strategy: str
) -> None:
    """Our strategies give the same lists where our prediction is replaced by the peer's."""
    query = Query(recommender.model, world_days, K)
    other = Query(recommender.model, world_days, K)
    object.__setattr__(other, "predicted", query.predicted_by(COLD_MODEL_OF[strategy]))
    mine, theirs = answer_all(query, strategy), answer_all(other, strategy.removeprefix(f"{COLD_MODEL_OF[strategy]}_"))
    np.testing.assert_array_equal(mine.items, theirs.items)
    np.testing.assert_array_equal(mine.scores, theirs.scores)
    assert set(mine.routes) <= {strategy, "group", "popular"}
    ours = answer_all(Query(recommender.model, world_days, K), strategy.removeprefix(f"{COLD_MODEL_OF[strategy]}_"))
    assert (mine.items != ours.items).any()


@pytest.mark.parametrize("cold_model", ["dropoutnet", "melu"])
def test_vectors_have_length_one_and_are_predicted_once(
    recommender: Recommender, world_days: SignalBatch, cold_model: str
) -> None:
    query = Query(recommender.model, world_days, K)
    vectors = query.predicted_by(cold_model)
    assert vectors.shape == query.predicted.shape
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert query.predicted_by(cold_model) is vectors


def test_a_model_without_the_cold_model_says_what_is_missing(recommender: Recommender) -> None:
    bare = Recommender(replace(recommender.model, learned={}))
    for strategy, cold_model in COLD_MODEL_OF.items():
        with pytest.raises(ConfigError) as caught:
            bare.recommend(Signals(age=24), K, strategy)
        assert str(caught.value) == (
            f"strategy: {strategy} needs a model trained with methods = ['{cold_model}']; train one, or choose "
            "another strategy."
        )
    assert bare.recommend(Signals(age=24), K).route == "segment"


def test_strategies_know_what_must_be_trained_for_them() -> None:
    assert with_methods_of(small_config(), ["popular", "segment"]).methods == ()
    assert with_methods_of(small_config(), ["melu_segment", "popular", "melu_personal"]).methods == ("melu",)
    assert with_methods_of(small_config(), strategy_names()).methods == ("dropoutnet", "melu")
    without = tuple(name for name in strategy_names() if name not in COLD_MODEL_OF)
    assert strategies_with(small_config()) == without
    assert strategies_with(small_config(methods=["dropoutnet", "melu"])) == strategy_names()
    with pytest.raises(ConfigError, match="'psychic' is unknown"):
        with_methods_of(small_config(), ["psychic"])


def test_cold_models_are_trained_where_a_strategy_asks_them(world: Dataset) -> None:
    config = small_config(cold_model={"epochs": 1}, sampled={"day_ones": 1}, dropoutnet={"items_per_step": 10})
    results = evaluate_strategies(world, config, strategies=["popular", "dropoutnet_segment"])
    assert results.strategies == ("popular", "dropoutnet_segment")
    by_default = config.override("recommend.strategy", "dropoutnet_personal")
    recommender = train(world, by_default)
    assert list(recommender.model.learned) == ["dropoutnet"]
    assert recommender.recommend(Signals(age=24)).route == "dropoutnet_personal"


def test_no_cold_model_is_trained_unasked_and_ours_is_the_same_beside_them(
    world: Dataset, split: Split, config: Config, recommender: Recommender
) -> None:
    alone = fit(world, split, config).model
    assert not alone.learned
    assert alone.cold.onnx == recommender.model.cold.onnx
    assert alone.cold.history == recommender.model.cold.history
