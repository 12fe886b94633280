"""Precision of predicted vectors on validation users: what decides when training stops."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from firstday.data.rows import SparseRows
from firstday.evaluate.metrics import measure
from firstday.recommend.personal import rank_nearest
from firstday.recommend.query import Query
from firstday.recommend.segment import take_nearest_segment

USERS_RANKED = 2000
"""Validation users whose nearest items are looked for after every epoch, at most: every item is scored for each."""


@dataclass(frozen=True, eq=False)
class Validation:
    """Validation users, asking for lists, and what they used afterwards.

    Parameters
    ----------
    query
        The users, in random order.
    truth
        Items used afterwards, shape (n_users, n_items).
    """

    query: Query
    truth: SparseRows

    def precision_of_segments(self, vectors: np.ndarray) -> float:
        """Return precision in % of the lists of the segments nearest to vectors, float32, shape (n_users, d)."""
        lists = take_nearest_segment(self.query, vectors, "segment").items
        return 100 * float(measure(lists, self.truth).precision.mean())

    def precision_of_both_ways(self, vectors: np.ndarray) -> float:
        """Return the mean of that and of the precision of nearest items, the latter over `USERS_RANKED` users."""
        lists = rank_nearest(self._ranked, vectors[: self._ranked.n_users], "personal").items
        precision = measure(lists, self.truth.take(np.arange(self._ranked.n_users))).precision
        return (self.precision_of_segments(vectors) + 100 * float(precision.mean())) / 2

    @cached_property
    def _ranked(self) -> Query:
        return self.query.take(np.arange(min(USERS_RANKED, self.query.n_users)))
