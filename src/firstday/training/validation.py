"""Precision of lists for validation users: what decides when training stops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from firstday.metrics import measure
from firstday.ranking import rank_by_vectors, rank_scores, spread_scores, take_lists
from firstday.segment.segments import Segments
from firstday.sparse import SparseRows

USERS_JUDGED = 2000
"""Validation users who are looked at after every epoch, at most, the same each time: epochs that are compared on the same
users need few of them, and more would cost as much as an epoch."""
MOST_SCORES = 50_000_000
"""Scores that nearest items should take, at most: fewer users are looked at where there are many items."""
LEAST_RANKED = 1000
"""Users that are looked at all the same, however many items there are."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Validation:
    """Validation users, in random order, and what lists of theirs are made of and judged by.

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

    @property
    def n_users(self) -> int:
        """How many users there are."""
        return self.truth.n_rows

    @property
    def n_judged(self) -> int:
        """How many of them, the first ones, any judge of a network looks at: no others need to be predicted."""
        return min(USERS_JUDGED, self.n_users)

    def precision(self, lists: np.ndarray) -> float:
        """Return the mean precision in % of lists for the first users, integers, shape (n, k)."""
        return 100 * float(measure(lists, self.truth.take(np.arange(len(lists)))).precision.mean())

    def precision_of_both_ways(self, vectors: np.ndarray) -> float:
        """Return the mean precision in % of two lists: of the nearest segments, and of the nearest items.

        That of segments alone would be luck where validation users are few: a vector that moves a little stays in its
        segment, or takes another list altogether.

        Parameters
        ----------
        vectors
            Predicted, float32, shape (n, d), of the first users; see `n_judged`.
        """
        affordable = max(LEAST_RANKED, MOST_SCORES // self.excluded.n_columns)
        first = np.arange(min(affordable, self.n_judged))
        lists, _ = rank_by_vectors(vectors[first], self.item_vectors, self.excluded.take(first), self.k)
        precision = self.precision(lists)
        return (self.precision_of_segments(vectors) + precision) / 2

    def precision_of_segments(self, vectors: np.ndarray) -> float:
        """Return precision in % of the lists of the nearest segments, as the paper has them.

        Parameters
        ----------
        vectors
            Predicted, float32, shape (n, d), of the first users; see `n_judged`.
        """
        first = np.arange(min(self.n_judged, len(vectors)))
        nearest = self.segments.assign(vectors[first])
        tops, shares = self.segments.top_items, self.segments.top_shares
        return self.precision(take_lists(tops, shares, nearest, self.excluded.take(first), self.k)[0])

    def precision_of_scores(self, score: Callable[[np.ndarray], np.ndarray], items: np.ndarray) -> float:
        """Return precision in % of the lists by scores of some items, for the first `n_judged` users.

        Parameters
        ----------
        score
            Given users' positions, shape (m,), returns scores, float32, shape (m, len(items)).
        items
            Which items are scored, integers.
        """
        first = np.arange(self.n_judged)
        lists, _ = rank_scores(
            lambda rows: spread_scores(score(rows), items, self.excluded.n_columns), self.excluded.take(first), self.k
        )
        return self.precision(lists)
