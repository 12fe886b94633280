"""Precision of predicted vectors on validation users: what decides when training stops."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from firstday.cold.ranker import Ranker
from firstday.metrics import measure
from firstday.ranking import spread_scores
from firstday.recommend.nearest_segment import take_nearest_segment
from firstday.recommend.personal import rank_nearest
from firstday.recommend.query import Query, rank_scores
from firstday.sparse import SparseRows

USERS_RANKED = 2000
"""Validation users for whom items are ranked after every epoch, at most: every item is scored for each."""
MOST_SCORES = 50_000_000
"""Scores that nearest items should take, at most: fewer users are looked at where there are many items."""
LEAST_RANKED = 1000
"""Users that are looked at all the same, however many items there are."""
USERS_ASSIGNED = 10_000
"""Validation users whose nearest segments are looked for after every epoch, at most."""


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

    def precision_of_both_ways(self, vectors: np.ndarray) -> float:
        """Return the mean precision in % of two lists: of the nearest segments, and of the nearest items.

        That of segments alone would be luck where validation users are few: a vector that moves a little stays in its
        segment, or takes another list altogether.

        Parameters
        ----------
        vectors
            Predicted, float32, shape (n_users, d). At most `USERS_ASSIGNED` and `USERS_RANKED` are looked at.
        """
        users = np.arange(self._near.n_users)
        lists = rank_nearest(self._near, vectors[users], "personal").items
        precision = measure(lists, self.truth.take(users)).precision
        return (self.precision_of_segments(vectors) + 100 * float(precision.mean())) / 2

    def precision_of_segments(self, vectors: np.ndarray) -> float:
        """Return precision in % of the lists of the nearest segments, as the paper has them.

        Parameters
        ----------
        vectors
            Predicted, float32, shape (n_users, d). At most `USERS_ASSIGNED` are looked at.
        """
        users = np.arange(min(USERS_ASSIGNED, self.query.n_users))
        lists = take_nearest_segment(self._assigned, vectors[users], "segment").items
        return 100 * float(measure(lists, self.truth.take(users)).precision.mean())

    @property
    def features_ranked(self) -> np.ndarray:
        """Features of the users whose items `precision_of_ranker` ranks, float32, shape (n_ranked, n_inputs)."""
        return self._ranked.features

    def precision_of_ranker(self, ranker: Ranker, hidden: np.ndarray) -> float:
        """Return precision in % of a ranker's lists for those users, given their hidden numbers."""
        query = self._ranked

        def score(rows: np.ndarray) -> np.ndarray:
            return spread_scores(ranker.score(hidden[rows]), ranker.items, query.model.n_items)

        lists, _ = rank_scores(query, score)
        return 100 * float(measure(lists, self.truth.take(np.arange(query.n_users))).precision.mean())

    @cached_property
    def _assigned(self) -> Query:
        return self.query.take(np.arange(min(USERS_ASSIGNED, self.query.n_users)))

    @cached_property
    def _ranked(self) -> Query:
        return self.query.take(np.arange(min(USERS_RANKED, self.query.n_users)))

    @cached_property
    def _near(self) -> Query:
        affordable = max(LEAST_RANKED, MOST_SCORES // self.query.model.n_items)
        return self._ranked.take(np.arange(min(affordable, self._ranked.n_users)))
