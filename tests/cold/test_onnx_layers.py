"""Layers are written as ONNX that ONNX Runtime and PyTorch compute alike."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from firstday.cold.cold_model import ColdModel
from firstday.cold.first_layer import FirstLayer
from firstday.cold.onnx_layers import UnitLength, UnitScale, write_onnx

NETWORKS = {
    "linear": [nn.Linear(5, 3)],
    "first layer": [FirstLayer(5, 3), nn.ReLU()],
    "normalisation": [nn.BatchNorm1d(5), nn.Linear(5, 4), nn.BatchNorm1d(4)],
    "unit length": [nn.Linear(5, 4), UnitLength()],
    "unit scale": [nn.ReLU(), UnitScale(), nn.Linear(5, 2)],
    "dropout": [nn.Dropout(0.5), nn.Linear(5, 2), nn.Dropout(0.5)],
    "a sequence in a sequence": [nn.Sequential(nn.Linear(5, 4), nn.ReLU()), UnitLength()],
    "nothing": [],
}


@pytest.mark.parametrize("n", [0, 1, 50])
@pytest.mark.parametrize("layers", NETWORKS.values(), ids=NETWORKS.keys())
def test_onnx_runtime_computes_what_pytorch_does(layers: list[nn.Module], n: int) -> None:
    network = nn.Sequential(*layers).train()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for _ in range(3):
            network(torch.randn(20, 5, generator=generator) * 3 + 1)
    network.eval()
    features = torch.randn(n, 5, generator=generator)
    features[:1] = 0  # a row without a length
    with torch.no_grad():
        expected = network(features).numpy()
    model = ColdModel(write_onnx(network, 5))
    np.testing.assert_allclose(model.predict(features.numpy()), expected, atol=1e-6)
    assert write_onnx(network, 5) == model.onnx


def test_a_layer_that_it_does_not_know_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="Tanh is a layer that write_onnx does not know"):
        write_onnx(nn.Sequential(nn.Linear(5, 3), nn.Tanh()), 5)
