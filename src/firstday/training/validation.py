"""Validation users: precision of their lists, early stopping and folds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from statistics import median
from typing import Any

import numpy as np

from firstday.data.user_rows import take_rows
from firstday.metrics import measure
from firstday.model.trained_model import TrainedModel
from firstday.ranking import rank_scores, score_by_vectors, take_lists
from firstday.recommend.answers import answer_query
from firstday.recommend.query import Query
from firstday.segment.segments import Segments
from firstday.sparse import SparseRows

MAX_EPOCH_USERS, MIN_EPOCH_USERS = 2000, 1000
"""Bounds of the number of validation users to evaluate after each epoch; within them, `MAX_SCORES` limits it. Epochs
are compared on the same users, so few suffice; more would cost as much as an epoch."""
MAX_SCORES = 50_000_000
"""Maximum number of scores (users x items) per evaluation, unless `MIN_EPOCH_USERS` users need more."""


@dataclass(frozen=True, eq=False)
class Fold:
    """Validation users, a model and the items that they went on to use (`truth`).

    The model is trained without these users, but for the final one after cross-fitting, which serves no choice.
    """

    query: Query
    truth: SparseRows
    day_end_us: np.ndarray | None = None  # see `Cohort`
    moment_us: int | None = None  # time as of which the model's clock is, in microseconds since 1970 UTC

    def take(self, rows: np.ndarray) -> Fold:
        """Return the users in some rows."""
        day_end_us = take_rows(self.day_end_us, rows)
        return replace(self, query=self.query.take(rows), truth=self.truth.take(rows), day_end_us=day_end_us)

    @property
    def model(self) -> TrainedModel:
        """The model."""
        return self.query.model

    def with_learned(self, **learned: Any) -> Fold:
        """Return the same users, with other learned values of methods."""
        return replace(self, query=self.query.ask(model=self.model.with_learned(**learned)))

    def with_length(self, k: int) -> Fold:
        """Return the same users, with lists of another length."""
        return replace(self, query=self.query.ask(k=min(k, self.model.n_items)))


def measure_folds(folds: Sequence[Fold], strategy: str) -> np.ndarray:
    """Return the precision of each user's list, from 0 to 1, folds concatenated, float64, shape (n_users,)."""
    return np.concatenate([measure(answer_query(fold.query, strategy).items, fold.truth).precision for fold in folds])


def day_ends(folds: Sequence[Fold]) -> np.ndarray:
    """Return the end of each user's day one, in microseconds since 1970 UTC, folds concatenated."""
    return np.concatenate([fold.day_end_us for fold in folds if fold.day_end_us is not None])


def head(folds: Sequence[Fold], max_users: int) -> list[Fold]:
    """Return the first users of each fold, about `max_users` in total."""
    n_users = max(1, sum(fold.query.n_users for fold in folds))
    return [fold.take(np.arange(fold.query.n_users)[: -(-max_users * fold.query.n_users // n_users)]) for fold in folds]


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
