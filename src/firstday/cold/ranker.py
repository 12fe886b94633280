"""Ranker: a network from day-one features directly to item scores; inference does not need torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from firstday.cold.cold_model import ColdModel, Epoch
from firstday.display import readable


@readable
@dataclass(frozen=True, eq=False)
class Ranker:
    """Predicts the probability of each item being the next that a cold user uses.

    Parameters
    ----------
    body
        Features -> hidden activations.
    items
        Indexes of the ranked items, int32, ascending, shape (n_ranked,).
    weights, bias
        Output layer, hidden activations -> one score per item: float32, (n_ranked, width) and (n_ranked,).

    References
    ----------
    The multinomial likelihood of D. Liang et al., "Variational Autoencoders for Collaborative Filtering", WWW 2018,
    with the day-one features of PAPER, step 2, as input.
    """

    body: ColdModel
    items: np.ndarray
    weights: np.ndarray
    bias: np.ndarray

    @property
    def history(self) -> tuple[Epoch, ...]:
        """Training history; the loss is in nats per item that a user went on to use."""
        return self.body.history

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Return users' hidden activations, float32, shape (n, width), the input of `score`."""
        return self.body.predict(features)

    def score(self, hidden: np.ndarray) -> np.ndarray:
        """Return the log-probability of each ranked item, float32, shape (n, n_ranked), given the result of predict."""
        return log_shares(hidden, self.weights, self.bias)


def log_shares(hidden: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Return the log-softmax of an output layer's scores, float32, shape (n, n_ranked); see `Ranker`."""
    scores = hidden @ weights.T + bias
    scores -= scores.max(axis=1, keepdims=True)
    logs: np.ndarray = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    return logs
