"""Training of the ranker: day-one features -> items that warm users use later, by multinomial likelihood."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import nn

from firstday.cold.device import choose_device, seeded, to_numpy
from firstday.cold.ranker import Ranker, log_softmax
from firstday.cold.train_cold_model import hidden_layers
from firstday.cold.training_loop import export_network, run_epochs
from firstday.config import Config, RankerConfig
from firstday.features.encoder import FeatureRows
from firstday.progress import Progress, no_progress
from firstday.ranking import most_used
from firstday.sparse import SparseRows, contains, stack_rows

INITIAL_SCALE = 0.3
"""Scale of the output layer's initial weights: small, so that training starts near popularity."""


def find_later(uses: SparseRows, day_ones: SparseRows, rows: np.ndarray) -> SparseRows:
    """Return the items used, but not on day one, shape (n, n_items), for row indexes of `FeatureRows`, shape (n,).

    `uses` has all items of each warm user, shape (n_warm, n_items); `day_ones` has the day-one items of all samples,
    stacked, shape (n_samples * n_warm, n_items).
    """
    used = uses.take(rows % uses.n_rows)
    return used.keep(~contains(day_ones.take(rows), used))


class RankerNetwork(nn.Module):
    """Hidden layers (linear, ReLU, batch normalisation, dropout) and an output layer with a score per item.

    `shares`, shape (n_ranked,), are the shares of warm users who use the ranked items; their logarithms are the initial
    bias.
    """

    def __init__(self, n_inputs: int, shares: np.ndarray, config: RankerConfig) -> None:
        super().__init__()
        layers, width = hidden_layers(n_inputs, config.hidden, config.dropout)
        self.body = nn.Sequential(nn.Dropout(config.input_dropout), *layers)
        self.last = nn.Linear(width, len(shares))
        with torch.no_grad():
            self.last.weight.mul_(INITIAL_SCALE)
            self.last.bias.copy_(torch.from_numpy(np.log(shares).astype(np.float32)))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map features (n, n_inputs) to scores (n, n_ranked)."""
        return self.last(self.body(features))


def train_ranker(
    features: FeatureRows,
    day_ones: Sequence[SparseRows],
    uses: SparseRows,
    validation_features: np.ndarray,
    validate: Callable[[Callable[[np.ndarray], np.ndarray], np.ndarray], float],
    config: Config,
    progress: Progress = no_progress,
) -> Ranker:
    """Train with early stopping on validation precision; see `run_epochs`.

    `features` are one or more day-one samples of the warm users. The targets are each user's items in `uses` without
    those in `day_ones`, which has a matrix per sample; all have the shape (n_warm, n_items). `validate` returns the
    precision, in %, of lists for the validation users. Its arguments are a function that maps rows of these users,
    shape (m,), to log-probabilities of the ranked items, shape (m, n_ranked); and the ranked items.
    """
    device = choose_device(config.device, config.threads)
    counts = uses.ones().column_sums()
    items = most_used(counts, config.ranker.most_items).astype(np.int32)
    used = uses.keep_columns(items)
    day_one_items = stack_rows([day_one.keep_columns(items) for day_one in day_ones])
    held_out = torch.from_numpy(validation_features).to(device)

    def batch_loss(rows: np.ndarray) -> torch.Tensor:
        targets = find_later(used, day_one_items, rows)
        cells = torch.from_numpy(targets.row_of_entry() * len(items) + targets.columns).to(device)
        inputs = torch.from_numpy(features.take(rows)).to(device)
        logs = torch.log_softmax(network(inputs), dim=1)  # (batch, n_ranked)
        return -logs.view(-1)[cells].sum() / max(1, targets.n_entries)

    def evaluate() -> float:
        hidden, (weights, bias) = to_numpy(network.body(held_out)), _last_layer(network)
        return validate(lambda rows: log_softmax(hidden[rows], weights, bias), items)

    with seeded(config.seed, device):  # dropout draws from the global generator
        network = RankerNetwork(features.n_inputs, counts[items] / uses.n_rows, config.ranker)
        history = run_epochs(
            network,
            len(features),
            features.n_users,
            batch_loss,
            evaluate,
            config.ranker,
            seed=config.seed,
            device=device,
            progress=partial(progress, "ranker"),
        )
    return Ranker(export_network(network.body, history), items, *_last_layer(network))


def _last_layer(network: RankerNetwork) -> tuple[np.ndarray, np.ndarray]:
    """Return the current weights and bias of the output layer as NumPy arrays."""
    return to_numpy(network.last.weight), to_numpy(network.last.bias)
