"""The paper's network (PAPER, step 2)."""

from __future__ import annotations

import torch
from torch import nn


def hidden_layers(n_inputs: int, hidden: tuple[int, ...]) -> tuple[list[nn.Module], int]:
    """Make hidden layers, each linear, ReLU, batch normalisation; return them and the width of the last one."""
    layers: list[nn.Module] = []
    width = n_inputs
    for size in hidden:
        layers += [nn.Linear(width, size), nn.ReLU(), nn.BatchNorm1d(size)]
        width = size
    return layers, width


class ColdNetwork(nn.Module):
    """Feed-forward: each hidden layer is linear, ReLU, batch normalisation; the output has length 1.

    Beyond the paper, it may have a second output beside the first.

    Parameters
    ----------
    n_inputs
        Columns of the encoder.
    hidden
        Widths of the hidden layers.
    dimensions
        Numbers in an embedding.
    n_outputs
        How many vectors it gives, side by side.
    """

    def __init__(self, n_inputs: int, hidden: tuple[int, ...], dimensions: int, n_outputs: int = 1) -> None:
        super().__init__()
        layers, width = hidden_layers(n_inputs, hidden)
        self.layers = nn.Sequential(*layers, nn.Linear(width, n_outputs * dimensions))
        self.dimensions = dimensions

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map features (n, n_inputs) to unit vectors (n, n_outputs * dimensions)."""
        vectors = self.layers(features)
        if vectors.shape[1] == self.dimensions:
            return nn.functional.normalize(vectors, dim=1)
        outputs = vectors.unflatten(1, (-1, self.dimensions))  # (n, n_outputs, dimensions)
        return nn.functional.normalize(outputs, dim=2).flatten(1)
