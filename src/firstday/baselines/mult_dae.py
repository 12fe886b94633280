"""`mult_dae`: a denoising autoencoder of users' items with a multinomial likelihood."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

import numpy as np
import torch
from scipy import sparse
from torch import nn

from firstday.baselines.matrices import most_used_items, spread_known, to_matrix
from firstday.cold.device import choose_device, seeded, to_numpy
from firstday.cold.training_loop import run_epochs
from firstday.config import ColdModelConfig, DeviceName
from firstday.recommend.spec import BaselineData, BaselineSpec
from firstday.sparse import SparseRows

BATCH = 128
LEARNING_RATE = 1e-2


class Layers(NamedTuple):
    """The weights in NumPy, float32.

    Parameters
    ----------
    reading, reading_bias
        Input layer: shape (n_items, width) and (width,).
    writing, writing_bias
        Output layer: shape (n_items, width) and (n_items,).
    """

    reading: np.ndarray
    reading_bias: np.ndarray
    writing: np.ndarray
    writing_bias: np.ndarray


class Autoencoder(nn.Module):
    """Items -> tanh of a hidden layer -> logits of items.

    Parameters
    ----------
    n_items
        Items in and out.
    width
        Hidden numbers.
    """

    def __init__(self, n_items: int, width: int) -> None:
        super().__init__()
        self.reading = nn.Parameter(nn.init.xavier_normal_(torch.empty(n_items, width)))
        self.reading_bias = nn.Parameter(torch.zeros(width))
        self.writing = nn.Linear(width, n_items)
        nn.init.xavier_normal_(self.writing.weight)

    def forward(self, items: torch.Tensor, starts: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Return logits, shape (n, n_items), of bags of items: bag `r` begins at `starts[r]`."""
        read = nn.functional.embedding_bag(items, self.reading, starts, mode="sum", per_sample_weights=weights)
        logits: torch.Tensor = self.writing(torch.tanh(read + self.reading_bias))
        return logits

    def freeze(self) -> Layers:
        """Return the network as it is, in NumPy."""
        weights = (self.reading, self.reading_bias, self.writing.weight, self.writing.bias)
        return Layers(*(to_numpy(weight).copy() for weight in weights))


def train_autoencoder(
    uses: SparseRows,
    *,
    steps: int,
    width: int,
    dropout: float,
    weight_decay: float,
    seed: int,
    threads: int = 0,
    device: DeviceName = "auto",
) -> Layers:
    """Train for some steps, and return the weights.

    Parameters
    ----------
    uses
        Items of the users, none without any, shape (n_users, n_items).
    steps
        Of `BATCH` users each, about.
    width
        Hidden numbers.
    dropout
        Share of a user's items hidden from the input, drawn anew at every step.
    weight_decay
        Decoupled weight decay of AdamW.
    seed
        Seed of the weights, of what is hidden and of the order of users.
    threads, device
        See `choose_device`.
    """
    place = choose_device(device, threads)
    with seeded(seed, place):
        network = Autoencoder(uses.n_columns, width)
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
        lengths, row = batch.lengths(), batch.row_of_entry()
        shown = rng.random(batch.n_entries) >= dropout
        n_shown = np.bincount(row[shown], minlength=len(rows))
        weights = (1 / np.sqrt(np.maximum(n_shown, 1)))[row[shown]].astype(np.float32)
        starts = np.concatenate([[0], np.cumsum(n_shown)[:-1]])
        bags = (batch.columns[shown].astype(np.int64), starts, weights)
        logits = network(*(torch.from_numpy(array).to(place) for array in bags))
        cells = torch.from_numpy(row * uses.n_columns + batch.columns).to(place)
        chances = torch.log_softmax(logits, dim=1).view(-1)[cells]
        per_user = torch.from_numpy((1 / lengths)[row].astype(np.float32)).to(place)
        return -(chances * per_user).sum() / len(rows)

    run_epochs(
        network,
        uses.n_rows,
        uses.n_rows,
        batch_loss,
        count().__next__,  # every pass is better than the one before: the last one stays
        config,
        seed=seed,
        device=place,
    )
    return network.freeze()


@dataclass(frozen=True, eq=False)
class MultDae:
    """A trained autoencoder in NumPy.

    Parameters
    ----------
    items
        Indexes of the items in the model, ascending, shape (n_kept,).
    reading, reading_bias
        Input layer: float32, shape (n_kept, width) and (width,).
    writing, writing_bias
        Output layer: float32, shape (n_kept, width) and (n_kept,).
    """

    items: np.ndarray
    reading: np.ndarray
    reading_bias: np.ndarray
    writing: np.ndarray
    writing_bias: np.ndarray

    def score(self, liked: SparseRows) -> np.ndarray:
        """Return the logits of the liked items, scaled to length 1 as input; see `ItemScorer.score`."""
        day_items = to_matrix(liked.ones())[:, self.items]
        lengths = np.diff(day_items.indptr)
        scaled = sparse.diags(1 / np.sqrt(np.maximum(lengths, 1)).astype(np.float32)) @ day_items
        hidden = np.tanh(scaled @ self.reading + self.reading_bias)
        logits = hidden @ self.writing.T + self.writing_bias
        return spread_known(logits.astype(np.float32), self.items, lengths > 0, liked.n_columns)


class MultDaeFit:
    """Trains `MultDae`."""

    def __init__(self, training: BaselineData) -> None:
        self.training = training
        self.items = most_used_items(training.uses)
        kept = training.uses.keep_columns(self.items)
        self.uses = kept.take(np.flatnonzero(kept.lengths()))

    def __call__(self, *, steps: int, width: int, dropout: float, weight_decay: float) -> MultDae:
        """Train.

        Parameters
        ----------
        steps
            Of `BATCH` users each, about.
        width
            Hidden numbers.
        dropout
            Share of a user's items hidden from the input, drawn anew at every step.
        weight_decay
            Decoupled weight decay of AdamW.
        """
        training = self.training
        layers = train_autoencoder(
            self.uses,
            steps=steps,
            width=width,
            dropout=dropout,
            weight_decay=weight_decay,
            seed=training.seed,
            threads=training.threads,
            device=training.device,
        )
        return MultDae(self.items, *layers)


def prepare_mult_dae(training: BaselineData) -> MultDaeFit:
    """Take warm users' most used items.

    As in the article: one tanh layer, multinomial likelihood over items, items hidden from the input at random. Other
    than there, the input is scaled to length 1 after items are hidden, not before, so that in training it looks as it
    does for cold users, who have few items; and every user counts the same.

    References
    ----------
    D. Liang, R. Krishnan, M. Hoffman, T. Jebara, "Variational Autoencoders for Collaborative Filtering", WWW 2018.
    """
    return MultDaeFit(training)


MULT_DAE = BaselineSpec(
    name="mult_dae",
    describe="A denoising autoencoder of users' items with a multinomial likelihood.",
    grid={
        "steps": (20, 40, 75, 150, 300, 600, 1200, 2400),
        "width": (6, 12, 25, 50, 100, 200, 400),
        "dropout": (0.0, 0.3, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99),
        "weight_decay": (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0),
    },
    start={"steps": (300, 600), "width": (100,), "dropout": (0.9, 0.95), "weight_decay": (0.01, 0.1)},
    prepare=prepare_mult_dae,
    is_restricted=True,
)
