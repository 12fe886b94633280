from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from firstday.cold.cold_model import ColdModel
from firstday.cold.train_cold_model import ColdNetwork, train_cold_model
from firstday.config import ColdModelConfig, Config
from firstday.features.encoder import hold_features
from tests.obvious import N_INPUTS, make_data, no_opinion

SMALL = ColdModelConfig(hidden=(16, 8), epochs=6, batch_size=32, patience=100)


def train(
    config: ColdModelConfig = SMALL, validate: Callable[[np.ndarray], float] = no_opinion, n: int = 200
) -> ColdModel:
    data, _ = make_data(n=n)
    targets = data.embeddings.user_vectors
    return train_cold_model(data.features, targets, data.validation_features, validate, whole(config))


def whole(config: ColdModelConfig, seed: int = 0) -> Config:
    return Config(seed=seed, threads=1, cold_model=config)


def test_the_network_is_the_papers() -> None:
    layers = [type(layer).__name__ for layer in ColdNetwork(2579, (400, 300, 200), 128).layers]
    assert layers == [*["Linear", "ReLU", "BatchNorm1d"] * 3, "Linear"]
    shapes = [tuple(p.shape) for p in ColdNetwork(2579, (400, 300, 200), 128).parameters() if p.ndim == 2]
    assert shapes == [(400, 2579), (300, 400), (200, 300), (128, 200)]


def test_the_loss_falls_and_the_targets_are_found() -> None:
    model = train(ColdModelConfig(hidden=(16,), epochs=25, batch_size=32, patience=100, learning_rate=0.01))
    losses = [epoch.loss for epoch in model.history]
    assert [epoch.number for epoch in model.history] == list(range(1, 26))
    assert losses[-1] < losses[0] / 2
    assert losses[0] <= 4  # squared distance of unit vectors


def test_only_the_direction_of_a_target_counts() -> None:
    told: list[tuple[str, int, int]] = []
    data, _ = make_data()
    longer = 8 * data.embeddings.user_vectors
    other = train_cold_model(
        data.features, longer, data.validation_features, no_opinion, whole(SMALL), progress=lambda *at: told.append(at)
    )
    assert other.history == train().history
    raw = train_cold_model(
        data.features, longer, data.validation_features, no_opinion, whole(SMALL), unit_targets=False
    )
    assert min(epoch.loss for epoch in raw.history) > 25  # (8 - 1)^2 where a target is of length 8
    assert told == [("cold model", number, 6) for number in range(7)]


@pytest.mark.parametrize("freezes", [False, True])
def test_a_frozen_network_keeps_the_statistics_of_its_first_epoch(*, freezes: bool) -> None:
    rows = torch.randn(32, 5, generator=torch.Generator().manual_seed(0))
    network = ColdNetwork(5, (4,), 2, freezes=freezes)
    network.train()
    network(rows)
    network.eval()
    expected = network(rows[:8])
    assert not torch.equal(network.layers[2].running_mean, torch.zeros(4))  # type: ignore[arg-type]
    network.train()
    found = network(rows[:8])
    network.eval()
    kept = network(rows[:8])
    assert torch.allclose(found, expected) == torch.allclose(kept, expected) == freezes


class Judge:
    """Says what it is told to, and remembers what it was shown."""

    def __init__(self, *scores: float) -> None:
        self.scores = iter(scores)
        self.seen: list[np.ndarray] = []

    def __call__(self, vectors: np.ndarray) -> float:
        self.seen.append(vectors.copy())
        return next(self.scores)


def test_training_stops_when_precision_no_longer_rises_and_keeps_the_best_epoch() -> None:
    judge = Judge(10, 30, 20, 30, 5)
    model = train(ColdModelConfig(hidden=(16,), epochs=50, batch_size=32, patience=3, schedule="flat"), judge)
    assert [epoch.precision for epoch in model.history] == [10, 30, 20, 30, 5]  # 30 again is no gain
    assert [epoch.kept for epoch in model.history] == [False, True, False, False, False]
    predicted = model.predict(make_data()[0].validation_features)
    np.testing.assert_allclose(predicted, judge.seen[1], atol=1e-5)
    assert np.abs(predicted - judge.seen[4]).max() > 1e-3


def test_a_later_gain_starts_the_patience_anew() -> None:
    judge = Judge(1, 0, 2, 0, 3, 0, 0)
    model = train(ColdModelConfig(hidden=(8,), epochs=9, batch_size=64, patience=2, schedule="flat"), judge)
    assert [epoch.precision for epoch in model.history] == [1, 0, 2, 0, 3, 0, 0]
    np.testing.assert_allclose(model.predict(make_data()[0].validation_features), judge.seen[4], atol=1e-5)


def test_while_the_rate_of_one_cycle_rises_nothing_is_kept_and_nothing_stops() -> None:
    judge = Judge(5, 6, 1, 1)
    model = train(ColdModelConfig(hidden=(16,), epochs=10, batch_size=32, patience=2), judge)
    assert [epoch.precision for epoch in model.history] == [None, None, None, 5, 6, 1, 1]
    np.testing.assert_allclose(model.predict(make_data()[0].validation_features), judge.seen[1], atol=1e-5)


@pytest.mark.parametrize(("n", "batch_size"), [(1, 512), (3, 5), (33, 65)])
def test_few_users_and_odd_batches_train(n: int, batch_size: int) -> None:
    """Users have two day ones each, so that the last batch is of two or of one."""
    model = train(ColdModelConfig(hidden=(8,), epochs=1, batch_size=batch_size), n=n)
    assert np.isfinite(model.predict(np.ones((2, N_INPUTS), np.float32))).all()


def test_a_pass_takes_so_many_day_ones_of_each_user_and_the_next_one_others() -> None:
    asked: list[np.ndarray] = []
    data, _ = make_data()
    held = hold_features(np.tile(data.features.take(np.arange(400)), (3, 1)), 6)  # six day ones of each of 200 users

    def take(rows: np.ndarray) -> np.ndarray:
        asked.append(rows)
        return held.take(rows)

    config = ColdModelConfig(hidden=(8,), epochs=2, batch_size=50, day_ones_per_pass=2)
    features, targets = replace(held, take=take), data.embeddings.user_vectors
    train_cold_model(features, targets, data.validation_features, no_opinion, whole(config))
    passes = np.concatenate(asked).reshape(2, 2 * 200)
    for rows in passes:
        assert len(set(rows.tolist())) == 2 * 200
        assert len(set((rows // 200).tolist())) == 6
    assert set(passes[0].tolist()) != set(passes[1].tolist())
