"""Nothing after the cut-off reaches a model: what happened then could not be known when users registered."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from firstday.artifact.trained_model import TrainedModel
from firstday.config import Config, parse_config
from firstday.data.dataset import Dataset
from firstday.data.events import Events
from firstday.data.splits.registration import split_registration
from firstday.data.splits.split import Split
from firstday.evaluate.run import evaluate_strategies
from firstday.recommend.answer import answer_all
from firstday.recommend.registry import strategies_of
from firstday.training.fit import choose_protocol, cohort_query, fit, train
from tests.timed import DAY, LOG, make_log

MARKER = 58
"""An item that nobody used before the cut-off."""


def settings(method: str = "als") -> Config:
    return parse_config(
        {
            "threads": 1,
            "embedding": {"method": method, "dimensions": 8, "word2vec_epochs": 2},
            "segments": {"n_segments": 4, "top_items": 60},
            "cold_model": {"hidden": [16], "epochs": 2, "batch_size": 16},
            "recommend": {"k": 20},
            "registration": {"cold_days": 10, "target_days": 5, "min_items": 3},
        }
    )


def divide(log: Dataset, config: Config) -> Split:
    return split_registration(log, config.signals, config.registration, config.sampled, seed=0)


def plant(log: Dataset, users: np.ndarray, until: int) -> Dataset:
    """Let users use the marker item, many times, from the cut-off on."""
    frame = log.events.whole().filter(pl.col("target_ix") != MARKER)
    bare = replace(log, events=Events.of(frame))
    return LOG.add(bare, [(int(user), until + hour * DAY // 24, MARKER) for user in users for hour in range(3)])


def arrays(model: TrainedModel) -> dict[str, np.ndarray]:
    """Everything in a model that is learned."""
    counted = {"segments": model.segments.items, "everyone": model.everyone, **model.profile_groups}
    return {
        "centroids": model.segments.centroids,
        "top": model.segments.top_items,
        "items": model.fold_in.item_vectors,
        "clusters": model.input_clusters.centroids,
        **{f"group {name}": means for name, means in model.encoder.group_means.items()},
        **{f"{name} {part}": value for name, c in counted.items() for part, value in _parts(c).items()},
    }


def _parts(counted: object) -> dict[str, np.ndarray]:
    counts = counted.counts  # type: ignore[attr-defined]
    return {"columns": counts.columns, "weights": counts.weights, "sizes": counted.sizes}  # type: ignore[attr-defined]


@pytest.mark.parametrize("method", ["als", "svd", "word2vec"])
def test_what_warm_users_do_after_the_cut_off_changes_nothing(method: str) -> None:
    config, log = settings(method), make_log()
    split = divide(log, config)
    assert split.warm_window is not None
    until = int(split.warm_window.end[split.warm].max())
    without = replace(log, events=Events.of(log.events.whole().filter(pl.col("target_ix") != MARKER)))
    planted = plant(log, split.warm, until)
    assert len(planted.events) > len(without.events)
    models = [fit(data, divide(data, config), config).model for data in (without, planted)]
    one, other = (arrays(model) for model in models)
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert np.array_equal(value, other[name]), name
    assert models[0].cold.onnx == models[1].cold.onnx


def test_a_marker_after_the_cut_off_cannot_be_recommended_from() -> None:
    config, log = settings(), make_log()
    before = divide(log, config)
    until = int(before.warm_window.end[before.warm].max())  # type: ignore[union-attr]
    planted = plant(log, before.warm, until)
    split = divide(planted, config)
    recommender = fit(planted, split, config)
    model = recommender.model
    assert model.everyone.counts.column_sums()[MARKER] == 0
    assert model.segments.items.counts.column_sums()[MARKER] == 0
    assert not model.fold_in.item_vectors[MARKER].any()
    for strategy in strategies_of(model):
        answer = answer_all(cohort_query(recommender, planted, split.cold, 20), strategy)
        assert MARKER not in answer.items, strategy


def test_the_test_would_see_a_leak() -> None:
    """The same marker an instant before the cut-off is in everything."""
    config, log = settings(), make_log()
    split = divide(log, config)
    until = int(split.warm_window.end[split.warm].max())  # type: ignore[union-attr]
    planted = LOG.add(log, [(int(user), until - 1, MARKER) for user in split.warm])
    model = fit(planted, divide(planted, config), config).model
    assert model.everyone.counts.column_sums()[MARKER] >= len(split.warm)
    assert MARKER in model.segments.top_items[:, :3]


def test_evaluation_says_the_protocol_and_what_it_decided() -> None:
    config, log = settings(), make_log()
    results = evaluate_strategies(log, config, strategies=["popular", "segment"])
    assert results.protocol == "registration"
    assert results.to_json()["protocol"] == "registration"
    assert "are warm" in results.to_json()["notes"][0]
    facts = train(log, config).model.facts
    assert facts["data"]["protocol"] == "registration"
    assert "held out" in " ".join(facts["data"]["notes"])


def test_which_protocol_suits_the_data() -> None:
    config, log = settings(), make_log()
    assert choose_protocol(log, config) == "registration"
    assert choose_protocol(replace(log, registered_at=None), config) == "sampled"
    assert choose_protocol(LOG.without_times(log), config) == "sampled"
    asked = config.override("protocol", "sampled")
    assert choose_protocol(log, asked) == "sampled"
