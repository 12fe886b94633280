"""`mult_dae`: a denoising autoencoder of users' items with a multinomial likelihood."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from firstday.cold.autoencoder import train_autoencoder
from firstday.data.rows import SparseRows
from firstday.peers.scorer import PeerKind, PeerTraining, most_used_items, spread_known, to_matrix


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
        mine = to_matrix(liked.ones())[:, self.items]
        lengths = np.diff(mine.indptr)
        scaled = sparse.diags(1 / np.sqrt(np.maximum(lengths, 1)).astype(np.float32)) @ mine
        hidden = np.tanh(scaled @ self.reading + self.reading_bias)
        logits = hidden @ self.writing.T + self.writing_bias
        return spread_known(logits.astype(np.float32), self.items, lengths > 0, liked.n_columns)


class MultDaeFit:
    """Trains `MultDae`."""

    def __init__(self, training: PeerTraining) -> None:
        self.training = training
        self.items = most_used_items(training.uses)
        kept = training.uses.keep_columns(self.items)
        self.uses = kept.take(np.flatnonzero(kept.lengths()))

    def __call__(self, *, width: int, dropout: float, weight_decay: float) -> MultDae:
        """Train until validation precision stops rising.

        Parameters
        ----------
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
            lambda layers: training.validate(MultDae(self.items, *layers)),
            width=width,
            dropout=dropout,
            weight_decay=weight_decay,
            seed=training.seed,
            threads=training.threads,
        )
        return MultDae(self.items, *layers)


def prepare_mult_dae(training: PeerTraining) -> MultDaeFit:
    """Take warm users' most used items.

    As in the article: one tanh layer, multinomial likelihood over items, items hidden from the input at random. Other
    than there, the input is scaled to length 1 after items are hidden, not before, so that in training it looks as it
    does for cold users, who have few items; and every user counts the same.

    References
    ----------
    D. Liang, R. Krishnan, M. Hoffman, T. Jebara, "Variational Autoencoders for Collaborative Filtering", WWW 2018.
    """
    return MultDaeFit(training)


MULT_DAE = PeerKind(
    {"width": (50, 100), "dropout": (0.5, 0.8, 0.95), "weight_decay": (0.01, 0.1)}, prepare_mult_dae, restricted=True
)
