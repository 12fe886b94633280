"""The paper's network, day-one features -> mature unit vectors (step 2 of the paper), and its training."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Self

import numpy as np
import torch
from torch import nn

from firstday.cold.cold_model import ColdModel
from firstday.cold.device import choose_device, seeded, to_numpy
from firstday.cold.training_loop import FixedLength, export_network, run_epochs
from firstday.config import Config
from firstday.features.encoder import FeatureRows
from firstday.progress import Progress, no_progress
from firstday.ranking import unit_rows


def hidden_layers(n_inputs: int, hidden: tuple[int, ...], dropout: float | None = None) -> tuple[list[nn.Module], int]:
    """Return hidden layers (linear, ReLU, batch normalisation, and dropout unless None) and the width of the last."""
    layers: list[nn.Module] = []
    width = n_inputs
    for size in hidden:
        layers += [nn.Linear(width, size), nn.ReLU(), nn.BatchNorm1d(size)]
        layers += [] if dropout is None else [nn.Dropout(dropout)]
        width = size
    return layers, width


class ColdNetwork(nn.Sequential):
    """Feed-forward network with hidden layers (linear, ReLU, batch normalisation) and unit-length output vectors.

    A network that `freezes` keeps the statistics of batch normalisation from the first time that it leaves training
    mode, and uses them in training, too.
    """

    def __init__(self, n_inputs: int, hidden: tuple[int, ...], dimensions: int, *, freezes: bool = False) -> None:
        layers, width = hidden_layers(n_inputs, hidden)
        super().__init__(nn.Sequential(*layers, nn.Linear(width, dimensions)), FixedLength())
        self.freezes = freezes
        self.is_frozen = False

    def train(self, mode: bool = True) -> Self:
        """Enter or leave training mode; a frozen network stays outside."""
        self.is_frozen |= self.freezes and not mode
        return super().train(mode and not self.is_frozen)

    @property
    def layers(self) -> nn.Sequential:
        """All layers before the final normalisation: features (n, n_inputs) -> (n, dimensions)."""
        layers = self[0]
        assert isinstance(layers, nn.Sequential)
        return layers


def train_cold_model(
    features: FeatureRows,
    targets: np.ndarray,
    validation_features: np.ndarray,
    validate: Callable[[np.ndarray], float],
    config: Config,
    progress: Progress = no_progress,
    *,
    unit_targets: bool = True,
    freezes: bool = False,
) -> ColdModel:
    """Train with early stopping on validation precision; see `run_epochs`.

    `features` are one or more day-one samples of the warm users, and `targets` their mature vectors, float32, shape
    (n_warm, d), normalised if `unit_targets`. `validate` maps the vectors predicted from `validation_features`,
    float32, shape (n_validation, n_inputs), to the precision of their lists, in %. For `freezes` see `ColdNetwork`.
    """
    device = choose_device(config.device, config.threads)
    target_vectors = torch.from_numpy(unit_rows(targets) if unit_targets else targets).to(device)  # (n_warm, d)
    held_out = torch.from_numpy(validation_features).to(device)

    def loss(rows: np.ndarray) -> torch.Tensor:
        vectors = network(torch.from_numpy(features.take(rows)).to(device))  # (batch, d)
        user_targets = target_vectors[torch.from_numpy(rows % len(target_vectors)).to(device)]
        return (vectors - user_targets).square().sum(dim=1).mean()

    with seeded(config.seed, device):
        network = ColdNetwork(features.n_inputs, config.cold_model.hidden, targets.shape[1], freezes=freezes)
        history = run_epochs(
            network,
            len(features),
            features.n_users,
            loss,
            lambda: validate(to_numpy(network(held_out))),
            config.cold_model,
            seed=config.seed,
            device=device,
            progress=partial(progress, "cold model"),
        )
    return export_network(network, history)
