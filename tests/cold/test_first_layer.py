"""The first layer skips zeros, and computes what a linear layer computes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from firstday.cold.first_layer import BLOCK, FirstLayer

N = 40
SHAPES = {"mostly zeros": [0.1, 0.1, 0.5, 0.0, 0.9], "all zeros": [0.0] * 5, "all full": [1.0] * 5}


@pytest.mark.parametrize("n_last", [0, 19])
@pytest.mark.parametrize("shares", SHAPES.values(), ids=SHAPES.keys())
def test_it_is_a_linear_layer(shares: list[float], n_last: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Features of blocks, each filled for a share of the rows, and of some last columns."""
    monkeypatch.setattr("firstday.cold.first_layer.MIN_INPUTS", 1)
    rng = np.random.default_rng(3)
    blocks = [rng.normal(size=(N, BLOCK)) * (np.arange(N)[:, None] < round(share * N)) for share in shares]
    features = torch.from_numpy(np.concatenate([*blocks, rng.normal(size=(N, n_last))], axis=1).astype(np.float32))
    layer, linear = FirstLayer(features.shape[1], 7), nn.Linear(features.shape[1], 7)
    linear.load_state_dict(layer.state_dict())
    goals = torch.from_numpy(rng.normal(size=(N, 7)).astype(np.float32))
    torch.testing.assert_close(layer(features), linear(features), atol=1e-5, rtol=1e-5)
    for each in (layer, linear):
        (each(features) * goals).sum().backward()
    torch.testing.assert_close(layer.weight.grad, linear.weight.grad, atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(layer.bias.grad, linear.bias.grad, atol=1e-4, rtol=1e-5)
    layer.eval()
    assert torch.equal(layer(features), linear(features))
