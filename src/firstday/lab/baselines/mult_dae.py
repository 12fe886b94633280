"""`mult_dae`: a denoising autoencoder of users' items with multinomial likelihood."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from firstday.config import ColdModelConfig
from firstday.methods.item_scores import most_used_items, score_items, spread_known
from firstday.recommend.spec import OptionSearch, UseData
from firstday.sparse import SparseRows

if TYPE_CHECKING:
    import torch

BATCH = 128
LEARNING_RATE = 1e-2


@dataclass(frozen=True, eq=False)
class MultDae:
    """A trained autoencoder in NumPy.

    `items` are the indexes of the items in the model, ascending, shape (n_modelled,). The input layer (`reading`) and
    the output layer (`writing`) are float32, shape (n_modelled, width); their biases have the shapes (width,) and
    (n_modelled,).
    """

    items: np.ndarray
    reading: np.ndarray
    reading_bias: np.ndarray
    writing: np.ndarray
    writing_bias: np.ndarray

    def score(self, liked: SparseRows) -> np.ndarray:
        """Return the logits given the liked items, as an input vector of length 1; see `LearnedScores.score`."""
        day_items = liked.keep_columns(self.items)
        n_liked = day_items.lengths()
        hidden = day_items.mean_vectors(self.reading) * np.sqrt(n_liked)[:, None].astype(np.float32)
        logits = np.tanh(hidden + self.reading_bias) @ self.writing.T + self.writing_bias
        return spread_known(logits, self.items, n_liked > 0, liked.n_columns)


def prepare_mult_dae(training: UseData) -> Callable[..., MultDae]:
    """Select warm users' most used items; return a function that trains on them.

    As in the article: one tanh layer, multinomial likelihood over items, random input dropout. Unlike the article, the
    input is scaled to length 1 after dropout, not before, so that training inputs resemble those of cold users, who
    have few items; and every user has the same weight.

    D. Liang, R. Krishnan, M. Hoffman, T. Jebara, "Variational Autoencoders for Collaborative Filtering", WWW 2018.
    """
    items = most_used_items(training.uses)
    item_uses = training.uses.keep_columns(items)
    uses = item_uses.take(np.flatnonzero(item_uses.lengths()))
    return lambda **options: MultDae(items, *train_autoencoder(uses, training, **options))


def train_autoencoder(
    uses: SparseRows, training: UseData, *, steps: int, width: int, dropout: float, weight_decay: float
) -> tuple[np.ndarray, ...]:
    """Train for about `steps` steps of `BATCH` users; return the weights in the order of `MultDae`.

    `uses` must have no empty rows. `dropout` is the share of a user's items hidden from the input, redrawn at every
    step; `weight_decay` is the parameter of AdamW. The seed in `training` controls initial weights, dropout and
    shuffling.
    """
    import torch
    from torch import nn

    from firstday.cold.device import choose_device, seeded, to_numpy
    from firstday.cold.training_loop import run_epochs

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
        bags = (batch.columns[is_kept].astype(np.int64), starts)
        items, offsets = (torch.from_numpy(array).to(device) for array in bags)
        hidden = reading(items, offsets, per_sample_weights=torch.from_numpy(weights).to(device))
        logits = writing(torch.tanh(hidden + biases["reading"]))  # (n, n_items)
        cells = torch.from_numpy(row * uses.n_columns + batch.columns).to(device)
        log_probabilities = torch.log_softmax(logits, dim=1).view(-1)[cells]
        per_user = torch.from_numpy((1 / lengths)[row].astype(np.float32)).to(device)
        return -(log_probabilities * per_user).sum() / len(rows)

    with seeded(seed, device):
        vectors = nn.init.xavier_normal_(torch.empty(uses.n_columns, width))
        reading = nn.EmbeddingBag.from_pretrained(vectors, freeze=False, mode="sum")
        biases = nn.ParameterDict({"reading": torch.zeros(width)})
        writing = nn.Linear(width, uses.n_columns)
        nn.init.xavier_normal_(writing.weight)
        network = nn.ModuleList([reading, biases, writing])
        check = count().__next__  # increases, so that the weights of the last epoch are kept
        run_epochs(network, uses.n_rows, uses.n_rows, batch_loss, check, config, seed=seed, device=device)
    weights = (reading.weight, biases["reading"], writing.weight, writing.bias)
    return tuple(to_numpy(weight).copy() for weight in weights)


MULT_DAE = score_items(
    name="mult_dae",
    describe="A denoising autoencoder of users' items with a multinomial likelihood.",
    explain="Items that a network predicts from what the user likes.",
    value=MultDae,
    search=OptionSearch(
        grid={
            "steps": (20, 40, 75, 150, 300, 600, 1200, 2400),
            "width": (6, 12, 25, 50, 100, 200, 400),
            "dropout": (0.0, 0.3, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99),
            "weight_decay": (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0),
        },
        start={"steps": (300, 600), "width": (100,), "dropout": (0.9, 0.95), "weight_decay": (0.01, 0.1)},
        prepare=prepare_mult_dae,
    ),
)
