"""Early stopping of training by the precision of validation users' lists."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from statistics import median
from typing import Any

import numpy as np

from firstday.metrics import measure
from firstday.ranking import rank_scores, score_by_vectors, take_lists
from firstday.segment.segments import Segments
from firstday.sparse import SparseRows

MAX_EPOCH_USERS, MIN_EPOCH_USERS = 2000, 1000
"""Bounds of the number of validation users to evaluate after each epoch; within them, `MAX_SCORES` limits it. Epochs
are compared on the same users, so few suffice; more would cost as much as an epoch."""
MAX_SCORES = 50_000_000
"""Maximum number of scores (users x items) per evaluation, unless `MIN_EPOCH_USERS` users need more."""


Objective = Callable[..., float]
"""Precision of validation users in %, given their lists, predicted vectors or scores."""
ObjectiveWrapper = Callable[[str, Objective], Objective]
"""Wraps the objective by which a method, given by name, stops training early."""


@dataclass
class ObjectiveHistory:
    """Values of each method's objective in the folds, by which the final training stops, as it has no validation users.

    `values` has, by method and fold, the value of each call; `record` adds to it.
    """

    values: dict[str, list[list[float]]] = field(default_factory=dict)

    def record(self, name: str, objective: Objective) -> Objective:
        """Wrap an objective to record its values in a fold."""
        values: list[float] = []
        self.values.setdefault(name, []).append(values)

        def recorded(*lists: Any) -> float:
            values.append(objective(*lists))
            return values[-1]

        return recorded

    def replay(self, name: str, _objective: Objective) -> Objective:
        """Return a negative objective, highest at call n: the median, over folds, of the number of the best call."""
        best = round(median(int(np.argmax([-1.0, *values])) for values in self.values[name]))
        calls = count(1)
        return lambda *_lists: -1.0 - abs(next(calls) - best)


def draw_evaluated(n_users: int, n_items: int) -> np.ndarray:
    """Return the rows of the validation users to evaluate after each epoch: all, or a fixed random sample."""
    max_users = min(MAX_EPOCH_USERS, max(MIN_EPOCH_USERS, MAX_SCORES // n_items))
    return np.arange(n_users) if n_users <= max_users else np.random.default_rng(0).permutation(n_users)[:max_users]


@dataclass(frozen=True, eq=False)
class Validation:
    """Validation users whose lists are evaluated after each epoch of the training, for early stopping.

    `excluded` has the items excluded from each user's list, `truth` the items used later, both of shape
    (n_validation, n_items). `k` is the length of the lists; `segments` are those of the model in training, and
    `item_vectors` the scoring vectors of the items, float32, shape (n_items, d).
    """

    excluded: SparseRows
    truth: SparseRows
    k: int
    segments: Segments
    item_vectors: np.ndarray

    def precision(self, lists: np.ndarray) -> float:
        """Return the mean precision in % of the users' lists, shape (n_validation, k)."""
        return 100 * float(measure(lists, self.truth).precision.mean())

    def precision_of_vectors(self, vectors: np.ndarray) -> float:
        """Return the mean precision in % over two lists: of the nearest segments and of the nearest items.

        With few validation users, segment lists alone are too noisy: a small move of a vector either keeps the segment
        or changes the whole list. `vectors` are predicted, float32, shape (n_validation, d).
        """
        without_vector = np.flatnonzero(~self.item_vectors.any(axis=1))
        lists, _ = rank_scores(
            lambda rows: score_by_vectors(vectors[rows], self.item_vectors, without_vector), self.excluded, self.k
        )
        return (self.precision_of_segments(vectors) + self.precision(lists)) / 2

    def precision_of_segments(self, vectors: np.ndarray) -> float:
        """Return the precision in % of nearest-segment lists, as in the paper, given predicted vectors."""
        segments = self.segments
        nearest = segments.assign(vectors)
        return self.precision(take_lists(segments.top_items, segments.top_shares, nearest, self.excluded, self.k)[0])
