"""Validation users: precision of their lists, early stopping and folds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain, repeat
from statistics import median
from typing import Any

import numpy as np

from firstday.metrics import measure
from firstday.ranking import rank_scores, score_by_vectors, spread_scores, take_lists
from firstday.recommend.query import Query
from firstday.recommend.recommender import answer_all
from firstday.segment.segments import Segments
from firstday.sparse import SparseRows

MAX_EPOCH_USERS = 2000
"""Maximum number of validation users to evaluate per epoch, the same in every epoch. Since epochs are compared on the
same users, few suffice; more would cost as much as an epoch."""
MAX_SCORES = 50_000_000
"""Maximum number of scores for nearest-item lists; with many items, fewer users are evaluated."""
MIN_RANKED_USERS = 1000
"""Minimum number of users with nearest-item lists, regardless of the number of items."""


@dataclass(frozen=True, eq=False)
class Fold:
    """Validation users after training, with a model that was trained without them.

    Parameters
    ----------
    query
        The users and the model.
    truth
        Items they went on to use, shape (n_users, n_items).
    """

    query: Query
    truth: SparseRows

    def take(self, rows: np.ndarray) -> Fold:
        """Return the users in some rows."""
        return Fold(self.query.take(rows), self.truth.take(rows))

    def with_settings(self, **settings: Any) -> Fold:
        """Return the same users, with other settings of the model."""
        return replace(self, query=replace(self.query, model=replace(self.query.model, **settings)))


def measure_folds(folds: Sequence[Fold], strategy: str) -> np.ndarray:
    """Return the precision of each user's list, folds concatenated, float64, shape (n_users,)."""
    return np.concatenate([measure(answer_all(fold.query, strategy).items, fold.truth).precision for fold in folds])


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

    Parameters
    ----------
    values
        By method: for each fold, the value of each call. `record` adds to it.
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
        """Return an objective that is highest at the median of the best calls; its values are negative."""
        best = round(median(int(np.argmax([-1.0, *values])) for values in self.values[name]))
        values = chain((-1 / call for call in range(1, best + 1)), repeat(-2.0))
        return lambda *_lists: next(values)


@dataclass(frozen=True, kw_only=True, eq=False)
class Validation:
    """Validation users during training, whose lists are evaluated for early stopping.

    Parameters
    ----------
    excluded
        Items excluded from each user's list, shape (n_users, n_items).
    truth
        Items used afterwards, shape (n_users, n_items).
    k
        Length of the lists.
    segments
        Segments of the model being trained.
    item_vectors
        Scoring vectors of the items, float32, shape (n_items, d).
    """

    excluded: SparseRows
    truth: SparseRows
    k: int
    segments: Segments
    item_vectors: np.ndarray

    @cached_property
    def evaluated(self) -> np.ndarray:
        """Rows of the users to evaluate, int64, shape (n_evaluated,): all, or a sample, the same for all seeds."""
        if self.truth.n_rows <= min(MAX_EPOCH_USERS, self._n_ranked):
            return np.arange(self.truth.n_rows)
        return np.random.default_rng(0).permutation(self.truth.n_rows)[:MAX_EPOCH_USERS]

    @property
    def _n_ranked(self) -> int:
        """Maximum number of users with nearest-item lists."""
        return max(MIN_RANKED_USERS, MAX_SCORES // self.excluded.n_columns)

    def precision(self, lists: np.ndarray) -> float:
        """Return the mean precision in % of lists of the first n evaluated users, shape (n, k)."""
        return 100 * float(measure(lists, self.truth.take(self.evaluated[: len(lists)])).precision.mean())

    def precision_of_vectors(self, vectors: np.ndarray) -> float:
        """Return the mean precision in % over two lists: of the nearest segments and of the nearest items.

        With few validation users, segment lists alone are too noisy: a small move of a vector either keeps the segment
        or changes the whole list.

        Parameters
        ----------
        vectors
            Predicted vectors of the evaluated users, float32, shape (n_evaluated, d).
        """
        without_vector = np.flatnonzero(~self.item_vectors.any(axis=1))
        lists, _ = rank_scores(
            lambda rows: score_by_vectors(vectors[rows], self.item_vectors, without_vector),
            self.excluded.take(self.evaluated[: self._n_ranked]),
            self.k,
        )
        return (self.precision_of_segments(vectors) + self.precision(lists)) / 2

    def precision_of_segments(self, vectors: np.ndarray) -> float:
        """Return the precision in % of nearest-segment lists, as in the paper.

        Parameters
        ----------
        vectors
            Predicted vectors of the evaluated users, float32, shape (n_evaluated, d).
        """
        nearest = self.segments.assign(vectors)
        items, shares = self.segments.top_items, self.segments.top_shares
        return self.precision(take_lists(items, shares, nearest, self.excluded.take(self.evaluated), self.k)[0])

    def precision_of_scores(self, score: Callable[[np.ndarray], np.ndarray], items: np.ndarray) -> float:
        """Return the precision in % of the evaluated users' lists, ranked by scores of some items.

        Parameters
        ----------
        score
            Maps indexes of evaluated users, shape (m,), to scores, float32, shape (m, n_scored).
        items
            Indexes of the scored items, integers, shape (n_scored,).
        """
        excluded = self.excluded.take(self.evaluated)
        lists, _ = rank_scores(lambda rows: spread_scores(score(rows), items, excluded.n_columns), excluded, self.k)
        return self.precision(lists)
