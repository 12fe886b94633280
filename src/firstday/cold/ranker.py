"""Ranker: a network from day-one features straight to a ranking of items, as a value that needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from firstday.cold.cold_model import ColdModel, Epoch
from firstday.display import readable


@readable
@dataclass(frozen=True, eq=False)
class Ranker:
    """Tells how likely each item is to be the next that a cold user uses.

    Parameters
    ----------
    body
        Features -> hidden numbers.
    items
        The items that it ranks, int32, ascending, shape (n_ranked,).
    weights, bias
        The last layer, hidden numbers -> one score for each item: float32, (n_ranked, width) and (n_ranked,).

    References
    ----------
    The multinomial likelihood of D. Liang et al., "Variational Autoencoders for Collaborative Filtering", WWW 2018,
    with the day-one features of PAPER, step 2, for input.
    """

    body: ColdModel
    items: np.ndarray
    weights: np.ndarray
    bias: np.ndarray

    @property
    def history(self) -> tuple[Epoch, ...]:
        """How training went; the loss is in nats for each item that a user went on to use."""
        return self.body.history

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Return the hidden numbers of users, float32, shape (n, width); `score` takes them further."""
        return self.body.predict(features)

    def score(self, hidden: np.ndarray) -> np.ndarray:
        """Return the logarithm of each ranked item's probability, float32, shape (n, n_ranked).

        Parameters
        ----------
        hidden
            From `predict`, shape (n, width).
        """
        return log_shares(hidden, self.weights, self.bias)


def log_shares(hidden: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Return the logarithm of each item's probability by a last layer, float32, shape (n, n_ranked); see `Ranker`."""
    scores = hidden @ weights.T + bias
    scores -= scores.max(axis=1, keepdims=True)
    logs: np.ndarray = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    return logs
