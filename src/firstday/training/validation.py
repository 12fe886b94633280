"""Validation users: scoring of their lists, early stopping and folds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from statistics import median
from typing import Any

import numpy as np

from firstday.metrics import measure
from firstday.ranking import rank_scores, score_by_vectors, spread_scores, take_lists
from firstday.recommend.query import Query
from firstday.recommend.recommender import answer_all
from firstday.segment.segments import Segments
from firstday.sparse import SparseRows

USERS_JUDGED = 2000
"""Maximum number of validation users to score per epoch, the same in every epoch. Since epochs are compared on the same
users, few suffice; more would cost as much as an epoch."""
MOST_SCORES = 50_000_000
"""Maximum number of scores for nearest-item lists; with many items, fewer users are scored."""
LEAST_RANKED = 1000
"""Minimum number of users to score, regardless of the number of items."""


@dataclass(frozen=True, eq=False)
class Fold:
    """Validation users, querying a model that was trained without them.

    Parameters
    ----------
    query
        The users.
    truth
        Items they went on to use, shape (n_users, n_items).
    """

    query: Query
    truth: SparseRows

    def take(self, rows: np.ndarray) -> Fold:
        """Return the users in some rows."""
        return Fold(self.query.take(rows), self.truth.take(rows))

    def with_settings(self, **settings: Any) -> Fold:
        """Return the same users, querying the model with other settings."""
        return replace(self, query=replace(self.query, model=replace(self.query.model, **settings)))

    def precision(self, strategy: str) -> np.ndarray:
        """Return the precision of each user's list, float64, shape (n_users,)."""
        return measure(answer_all(self.query, strategy).items, self.truth).precision


def measure_folds(folds: Sequence[Fold], strategy: str) -> np.ndarray:
    """Return the precision of each user's list, folds concatenated, float64, shape (n_users,)."""
    return np.concatenate([fold.precision(strategy) for fold in folds])


def head(folds: Sequence[Fold], most: int) -> list[Fold]:
    """Return the first users of each fold, about `most` in total."""
    n_users = max(1, sum(fold.query.n_users for fold in folds))
    return [fold.take(np.arange(min(fold.query.n_users, -(-most * fold.query.n_users // n_users)))) for fold in folds]


Judge = Callable[..., float]


Watch = Callable[[str, Judge], Judge]
"""Returns the judge that a trained method, given by name, stops by."""


@dataclass(frozen=True)
class Stops:
    """The best stopping point of each method, so that the final training stops there without a judge.

    Parameters
    ----------
    best
        By method: for each fold, the number of the best call of its judge, from 1.
    """

    best: dict[str, list[int]] = field(default_factory=dict)

    def watch(self, name: str, judge: Judge) -> Judge:
        """Wrap a judge to record which of its calls was the best."""
        values: list[float] = []
        noted = self.best.setdefault(name, [])
        position = len(noted)
        noted.append(0)

        def watched(*lists: Any) -> float:
            values.append(judge(*lists))
            noted[position] = int(np.argmax(values)) + 1
            return values[-1]

        return watched

    def repeat(self, name: str, _judge: Judge) -> Judge:
        """Return a judge that peaks at the median recorded call; its values are negative and not precisions."""
        best, n_calls = round(median(self.best[name])), 0

        def repeated(*_lists: Any) -> float:
            nonlocal n_calls
            n_calls += 1
            return -1 / n_calls if n_calls <= best else -2.0

        return repeated


@dataclass(frozen=True, kw_only=True, eq=False)
class Validation:
    """Validation users, and what is needed to make and score their lists.

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
        Multiplied with a user's vector to score items, float32, shape (n_items, d).
    """

    excluded: SparseRows
    truth: SparseRows
    k: int
    segments: Segments
    item_vectors: np.ndarray

    @cached_property
    def _absent(self) -> np.ndarray:
        return np.flatnonzero(~self.item_vectors.any(axis=1))

    @property
    def n_users(self) -> int:
        """Number of users."""
        return self.truth.n_rows

    @cached_property
    def judged(self) -> np.ndarray:
        """Rows of the users to score, int64, shape (n_judged,): all, or a sample that is the same for all seeds."""
        if self.n_users <= min(USERS_JUDGED, self._affordable):
            return np.arange(self.n_users)
        return np.random.default_rng(0).permutation(self.n_users)[:USERS_JUDGED]

    @property
    def _affordable(self) -> int:
        """Number of users to make nearest-item lists for."""
        return max(LEAST_RANKED, MOST_SCORES // self.excluded.n_columns)

    def precision(self, lists: np.ndarray) -> float:
        """Return the mean precision in % of lists of the first n judged users, shape (n, k)."""
        return 100 * float(measure(lists, self.truth.take(self.judged[: len(lists)])).precision.mean())

    def precision_of_both_ways(self, vectors: np.ndarray) -> float:
        """Return the mean precision in % over two lists: of the nearest segments and of the nearest items.

        With few validation users, segment lists alone are too noisy: a small move of a vector either keeps the segment
        or changes the whole list.

        Parameters
        ----------
        vectors
            Predicted vectors of the judged users, float32, shape (n_judged, d).
        """
        ranked = self.judged[: self._affordable]
        lists, _ = rank_scores(
            lambda rows: score_by_vectors(vectors[rows], self.item_vectors, self._absent),
            self.excluded.take(ranked),
            self.k,
        )
        precision = self.precision(lists)
        return (self.precision_of_segments(vectors) + precision) / 2

    def precision_of_segments(self, vectors: np.ndarray) -> float:
        """Return the precision in % of nearest-segment lists, as in the paper.

        Parameters
        ----------
        vectors
            Predicted vectors of the judged users, float32, shape (n_judged, d).
        """
        nearest = self.segments.assign(vectors)
        tops, shares = self.segments.top_items, self.segments.top_shares
        return self.precision(take_lists(tops, shares, nearest, self.excluded.take(self.judged), self.k)[0])

    def precision_of_scores(self, score: Callable[[np.ndarray], np.ndarray], items: np.ndarray) -> float:
        """Return the precision in % of the judged users' lists, ranked by scores of some items.

        Parameters
        ----------
        score
            Maps positions among the judged users, shape (m,), to scores, float32, shape (m, len(items)).
        items
            Indexes of the scored items.
        """
        excluded = self.excluded.take(self.judged)
        lists, _ = rank_scores(lambda rows: spread_scores(score(rows), items, excluded.n_columns), excluded, self.k)
        return self.precision(lists)
