"""Ranker: a network that maps day-one features directly to item scores. Inference needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from firstday.cold.cold_model import ColdModel, Epoch
from firstday.display import readable


@readable
@dataclass(frozen=True, eq=False)
class Ranker:
    """Predicts for each item the probability that it is the next one a cold user uses.

    It has the multinomial likelihood of D. Liang et al., "Variational Autoencoders for Collaborative Filtering", WWW
    2018, with day-one features (step 2 of the paper) as input.
    """

    body: ColdModel  # features -> hidden activations
    items: np.ndarray  # indexes of the ranked items, int32, ascending, shape (n_ranked,)
    weights: np.ndarray  # hidden activations -> scores of the ranked items, float32, shape (n_ranked, width)
    bias: np.ndarray  # float32, shape (n_ranked,)

    @property
    def history(self) -> tuple[Epoch, ...]:
        """Training history; the loss is in nats per item used after day one."""
        return self.body.history

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Return users' hidden activations, float32, shape (n, width), the input of `score`."""
        return self.body.predict(features)

    def score(self, hidden: np.ndarray) -> np.ndarray:
        """Map the output of `predict` to the log-probability of each ranked item, float32, shape (n, n_ranked)."""
        return log_softmax(hidden, self.weights, self.bias)


def log_softmax(hidden: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Return the log-softmax of the output layer, float32, shape (n, n_ranked); for parameters see `Ranker`."""
    scores = hidden @ weights.T + bias
    scores -= scores.max(axis=1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
