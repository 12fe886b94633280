"""`mult_dae`: a denoising autoencoder of users' items with multinomial likelihood."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from firstday.baselines.matrices import most_used_items, score_items, spread_known
from firstday.recommend.spec import OptionSearch, UseData
from firstday.sparse import SparseRows


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
    from firstday.baselines.train_mult_dae import train_autoencoder

    items = most_used_items(training.uses)
    item_uses = training.uses.keep_columns(items)
    uses = item_uses.take(np.flatnonzero(item_uses.lengths()))
    return lambda **options: MultDae(items, *train_autoencoder(uses, training, **options))


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
