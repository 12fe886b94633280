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

    Parameters
    ----------
    n_inputs
        Columns of the encoder.
    hidden
        Widths of the hidden layers.
    dimensions
        Numbers in an embedding.
    """

    def __init__(self, n_inputs: int, hidden: tuple[int, ...], dimensions: int) -> None:
        super().__init__()
        layers, width = hidden_layers(n_inputs, hidden)
        self.layers = nn.Sequential(*layers, nn.Linear(width, dimensions))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map features (n, n_inputs) to unit vectors (n, dimensions)."""
        return nn.functional.normalize(self.layers(features), dim=1)
