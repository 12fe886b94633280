"""Networks are computed alike by NumPy and PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from firstday.cold.training_loop import FixedLength, export_network

NETWORKS = {
    "linear": [nn.Linear(5, 3)],
    "hidden": [nn.Linear(5, 3), nn.ReLU(), nn.BatchNorm1d(3), nn.Linear(3, 4), nn.ReLU(), nn.BatchNorm1d(4)],
    "unit length": [nn.Linear(5, 4), FixedLength()],
    "unit scale": [nn.Linear(5, 4), nn.ReLU(), nn.BatchNorm1d(4), nn.Linear(4, 2), FixedLength(2**0.5)],
    "dropout": [nn.Dropout(0.5), nn.Linear(5, 2), nn.Dropout(0.5)],
    "a sequence in a sequence": [
        nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.BatchNorm1d(4)), nn.Linear(4, 2), FixedLength(),
    ],
}  # fmt: skip


@pytest.mark.parametrize("layers", NETWORKS.values(), ids=NETWORKS.keys())
def test_numpy_and_pytorch_agree(layers: list[nn.Module]) -> None:
    network = nn.Sequential(*layers).train()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for _ in range(3):
            network(torch.randn(20, 5, generator=generator) * 3 + 1)
    network.eval()
    features = torch.randn(50, 5, generator=generator)
    features[0] = 0
    with torch.no_grad():
        expected = network(features).numpy()
    model = export_network(network)
    np.testing.assert_allclose(model.predict(features.numpy()), expected, atol=1e-5)
    assert model.predict(features[:0].numpy()).shape == (0, expected.shape[1])
