"""Validation users: what lists of theirs are judged by, when training stops, and in which folds."""

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
"""Validation users who are looked at after every epoch, at most, the same each time: where the same users compare
epochs, few tell which is better, and more would cost as much as an epoch."""
MOST_SCORES = 50_000_000
"""Scores that nearest items should take, at most: fewer users are looked at where there are many items."""
LEAST_RANKED = 1000
"""Users that are looked at all the same, however many items there are."""


@dataclass(frozen=True, eq=False)
class Fold:
    """Validation users, asking a model that learned nothing of them.

    Parameters
    ----------
    query
        The users.
    truth
        Items they used afterwards, shape (n_users, n_items).
    """

    query: Query
    truth: SparseRows

    def take(self, rows: np.ndarray) -> Fold:
        """Return some of the users, by their rows."""
        return Fold(self.query.take(rows), self.truth.take(rows))

    def with_settings(self, **settings: Any) -> Fold:
        """Return the same users, asking the model with other settings."""
        return replace(self, query=replace(self.query, model=replace(self.query.model, **settings)))

    def precision(self, strategy: str) -> np.ndarray:
        """Return the precision of each user's list, float64, shape (n_users,)."""
        return measure(answer_all(self.query, strategy).items, self.truth).precision


def measure_folds(folds: Sequence[Fold], strategy: str) -> np.ndarray:
    """Return the precision of each user's list by a strategy, fold after fold, float64, shape (n_users,)."""
    return np.concatenate([fold.precision(strategy) for fold in folds])


def head(folds: Sequence[Fold], most: int) -> list[Fold]:
    """Return the first users of each fold, about `most` in all."""
    n_users = max(1, sum(fold.query.n_users for fold in folds))
    return [fold.take(np.arange(min(fold.query.n_users, -(-most * fold.query.n_users // n_users)))) for fold in folds]


Judge = Callable[[Any], float]


Watch = Callable[[str, Judge], Judge]
"""Gives each method that learns, by name, the judge that it stops by."""


@dataclass(frozen=True)
class Stops:
    """When the training of each method was best, so that training on everybody stops there without a judge.

    Parameters
    ----------
    best
        By name of the method: in each fold, which call of its judge was the best, from 1.
    """

    best: dict[str, list[int]] = field(default_factory=dict)

    def watch(self, name: str, judge: Judge) -> Judge:
        """Return a judge that notes which of its calls was the best."""
        values: list[float] = []
        noted = self.best.setdefault(name, [])
        position = len(noted)
        noted.append(0)

        def watched(lists: Any) -> float:
            values.append(judge(lists))
            noted[position] = int(np.argmax(values)) + 1
            return values[-1]

        return watched

    def repeat(self, name: str, _judge: Judge) -> Judge:
        """Return a judge whose best call is the median of those noted; its values are negative: no precision."""
        best, n_calls = round(median(self.best[name])), 0

        def repeated(_lists: Any) -> float:
            nonlocal n_calls
            n_calls += 1
            return -1 / n_calls if n_calls <= best else -2.0

        return repeated


@dataclass(frozen=True, kw_only=True, eq=False)
class Validation:
    """Validation users, and what lists of theirs are made of and judged by.

    Parameters
    ----------
    excluded
        Items that may not be in each user's list, shape (n_users, n_items).
    truth
        Items used afterwards, shape (n_users, n_items).
    k
        Length of the lists.
    segments
        Of the model that is trained.
    item_vectors
        What a user's vector is multiplied with to score items, float32, shape (n_items, d).
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
        """How many users there are."""
        return self.truth.n_rows

    @cached_property
    def judged(self) -> np.ndarray:
        """Positions of the users who are looked at, int64, shape (n_judged,): all, or a sample, one for all seeds."""
        if self.n_users <= min(USERS_JUDGED, self._affordable):
            return np.arange(self.n_users)
        return np.random.default_rng(0).permutation(self.n_users)[:USERS_JUDGED]

    @property
    def _affordable(self) -> int:
        """How many users nearest items may be looked for."""
        return max(LEAST_RANKED, MOST_SCORES // self.excluded.n_columns)

    def precision(self, lists: np.ndarray) -> float:
        """Return the mean precision in % of lists of the judged users, or of the first of them, shape (n, k)."""
        return 100 * float(measure(lists, self.truth.take(self.judged[: len(lists)])).precision.mean())

    def precision_of_both_ways(self, vectors: np.ndarray) -> float:
        """Return the mean precision in % of two lists: of the nearest segments, and of the nearest items.

        That of segments alone would be luck where validation users are few: a vector that moves a little stays in its
        segment, or takes another list altogether.

        Parameters
        ----------
        vectors
            Predicted, of the judged users, float32, shape (n_judged, d).
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
        """Return precision in % of the lists of the nearest segments, as the paper has them.

        Parameters
        ----------
        vectors
            Predicted, of the judged users, float32, shape (n_judged, d).
        """
        nearest = self.segments.assign(vectors)
        tops, shares = self.segments.top_items, self.segments.top_shares
        return self.precision(take_lists(tops, shares, nearest, self.excluded.take(self.judged), self.k)[0])

    def precision_of_scores(self, score: Callable[[np.ndarray], np.ndarray], items: np.ndarray) -> float:
        """Return precision in % of the lists by scores of some items, for the judged users.

        Parameters
        ----------
        score
            Given positions among the judged users, shape (m,), returns scores, float32, shape (m, len(items)).
        items
            Which items are scored, integers.
        """
        excluded = self.excluded.take(self.judged)
        lists, _ = rank_scores(lambda rows: spread_scores(score(rows), items, excluded.n_columns), excluded, self.k)
        return self.precision(lists)
