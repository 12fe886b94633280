"""The first layer passes over zeros, and computes what a linear layer computes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from firstday.cold.first_layer import COLUMNS_AT_ONCE, FirstLayer, find_parts

N = 40
SHAPES = {
    "most of it zeros": [0.1, 0.1, 0.5, 0.0, 0.9],
    "neighbours with the same rows": [1.0, 1.0, 0.0, 0.0, 0.0],
    "all zeros": [0.0] * 5,
    "all full": [1.0] * 5,
}


def make_features(shares: list[float], n_last: int) -> torch.Tensor:
    """Return features of blocks, each filled for a share of the rows, and of some last columns that are no block."""
    rng = np.random.default_rng(3)
    blocks = [rng.normal(size=(N, COLUMNS_AT_ONCE)) * (np.arange(N)[:, None] < round(share * N)) for share in shares]
    return torch.from_numpy(np.concatenate([*blocks, rng.normal(size=(N, n_last))], axis=1).astype(np.float32))


@pytest.mark.parametrize("n_last", [0, 1, 19])
@pytest.mark.parametrize("shares", SHAPES.values(), ids=SHAPES.keys())
def test_parts_hold_every_number_that_is_not_zero_once(shares: list[float], n_last: int) -> None:
    features = make_features(shares, n_last)
    covered = torch.zeros(features.shape, dtype=torch.int64)
    for rows, columns in find_parts(features.numpy()):
        covered[slice(None) if rows is None else rows, columns] += 1
    assert covered.max() <= 1
    assert (covered[features != 0] == 1).all()


def test_what_is_empty_is_passed_over_and_neighbours_are_taken_together() -> None:
    c = COLUMNS_AT_ONCE
    parts = find_parts(make_features([1.0, 1.0, 0.25, 0.25, 0.0], 3).numpy())
    assert [columns for _, columns in parts] == [slice(0, 2 * c), slice(2 * c, 4 * c), slice(5 * c, 5 * c + 3)]
    assert parts[0][0] is None
    assert parts[1][0] is not None
    assert parts[1][0].tolist() == list(range(N // 4))


@pytest.mark.parametrize("n_last", [0, 19])
@pytest.mark.parametrize("shares", SHAPES.values(), ids=SHAPES.keys())
def test_it_is_a_linear_layer(shares: list[float], n_last: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firstday.cold.first_layer.WIDE", 1)
    features = make_features(shares, n_last)
    layer, linear = FirstLayer(features.shape[1], 7), nn.Linear(features.shape[1], 7)
    linear.load_state_dict(layer.state_dict())
    goals = torch.from_numpy(np.random.default_rng(4).normal(size=(N, 7)).astype(np.float32))
    torch.testing.assert_close(layer(features), linear(features), atol=1e-5, rtol=1e-5)
    for each in (layer, linear):
        (each(features) * goals).sum().backward()
    torch.testing.assert_close(layer.weight.grad, linear.weight.grad, atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(layer.bias.grad, linear.bias.grad, atol=1e-4, rtol=1e-5)
    layer.eval()
    assert torch.equal(layer(features), linear(features))


def test_one_seed_gives_the_weights_of_a_linear_layer() -> None:
    weights = []
    for kind in (FirstLayer, nn.Linear):
        torch.manual_seed(2)
        weights.append(kind(5, 3).weight)
    assert torch.equal(*weights)
