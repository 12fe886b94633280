"""Training of the autoencoder of `mult_dae`."""

from __future__ import annotations

from itertools import count

import numpy as np
import torch
from torch import nn

from firstday.cold.device import choose_device, seeded, to_numpy
from firstday.cold.training_loop import run_epochs
from firstday.config import ColdModelConfig
from firstday.recommend.spec import UseData
from firstday.sparse import SparseRows

BATCH = 128
LEARNING_RATE = 1e-2


class Autoencoder(nn.Module):
    """Items -> tanh of a hidden layer with `width` units -> logits of items."""

    def __init__(self, n_items: int, width: int) -> None:
        super().__init__()
        self.reading = nn.Parameter(nn.init.xavier_normal_(torch.empty(n_items, width)))
        self.reading_bias = nn.Parameter(torch.zeros(width))
        self.writing = nn.Linear(width, n_items)
        nn.init.xavier_normal_(self.writing.weight)

    def forward(self, items: torch.Tensor, starts: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Return the logits of bags of items, shape (n, n_items); bag `r` begins at `starts[r]`."""
        hidden = nn.functional.embedding_bag(items, self.reading, starts, mode="sum", per_sample_weights=weights)
        logits: torch.Tensor = self.writing(torch.tanh(hidden + self.reading_bias))
        return logits

    def freeze(self) -> tuple[np.ndarray, ...]:
        """Return the weights as NumPy arrays, in the order of `firstday.baselines.mult_dae.MultDae`."""
        weights = (self.reading, self.reading_bias, self.writing.weight, self.writing.bias)
        return tuple(to_numpy(weight).copy() for weight in weights)


def train_autoencoder(
    uses: SparseRows, training: UseData, *, steps: int, width: int, dropout: float, weight_decay: float
) -> tuple[np.ndarray, ...]:
    """Train for about `steps` steps of `BATCH` users; return the weights as `Autoencoder.freeze` does.

    `uses` must have no empty rows. `dropout` is the share of a user's items hidden from the input, redrawn at every
    step; `weight_decay` is the parameter of AdamW. The seed in `training` controls initial weights, dropout and
    shuffling.
    """
    seed = training.seed
    device = choose_device(training.device, training.threads)
    rng = np.random.default_rng(seed)
    n_steps = max(1, uses.n_rows // BATCH)
    config = ColdModelConfig(
        learning_rate=LEARNING_RATE,
        weight_decay=weight_decay,
        epochs=max(1, round(steps / n_steps)),
        batch_size=BATCH,
    )

    def batch_loss(rows: np.ndarray) -> torch.Tensor:
        batch = uses.take(rows)
        lengths = batch.lengths()
        row = batch.row_of_entry()
        is_kept = rng.random(batch.n_entries) >= dropout
        n_shown = np.bincount(row[is_kept], minlength=len(rows))
        weights = (1 / np.sqrt(np.maximum(n_shown, 1)))[row[is_kept]].astype(np.float32)
        starts = np.concatenate([[0], np.cumsum(n_shown)[:-1]])
        bags = (batch.columns[is_kept].astype(np.int64), starts, weights)
        logits = network(*(torch.from_numpy(array).to(device) for array in bags))
        cells = torch.from_numpy(row * uses.n_columns + batch.columns).to(device)
        log_probabilities = torch.log_softmax(logits, dim=1).view(-1)[cells]
        per_user = torch.from_numpy((1 / lengths)[row].astype(np.float32)).to(device)
        return -(log_probabilities * per_user).sum() / len(rows)

    with seeded(seed, device):
        network = Autoencoder(uses.n_columns, width)
        check = count().__next__  # increases, so that the weights of the last epoch are kept
        run_epochs(network, uses.n_rows, uses.n_rows, batch_loss, check, config, seed=seed, device=device)
    return network.freeze()
