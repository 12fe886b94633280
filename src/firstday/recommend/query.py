"""What a strategy is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from firstday.artifact.model import TrainedModel
from firstday.data.rows import SparseRows
from firstday.features.signals import SignalBatch
from firstday.ranking import NO_ITEM, first_allowed, top_k

CELLS_AT_ONCE = 2**23
"""Scores (users x items) in memory at once: 32 MiB of float32."""


@dataclass(frozen=True, eq=False)
class Query:
    """Some users, asking a model for lists; what several strategies need is computed once.

    Parameters
    ----------
    model
        The trained model.
    signals
        What is known of the users.
    k
        Length of the lists.
    keep_used
        Whether items that a user has already used, or banned, may be in the list.
    """

    model: TrainedModel
    signals: SignalBatch
    k: int
    keep_used: bool = False

    @property
    def n_users(self) -> int:
        """How many users ask."""
        return self.signals.n_users

    @cached_property
    def closed(self) -> SparseRows:
        """Items that may not be in each user's list, shape (n_users, n_items)."""
        if self.keep_used:
            return SparseRows.empty(self.n_users, self.model.n_items)
        return self.signals.closed_items(self.model.config.signals)

    @cached_property
    def features(self) -> np.ndarray:
        """The users' features, float32, shape (n_users, n_inputs)."""
        return self.model.encoder.encode(self.signals)

    @cached_property
    def predicted(self) -> np.ndarray:
        """The users' predicted mature vectors, float32, shape (n_users, d), length 1."""
        return self.model.cold.predict(self.features)

    @cached_property
    def liked(self) -> SparseRows:
        """The users' positive affinities, shape (n_users, n_items)."""
        return self.signals.affinity(self.model.config.signals)

    def take(self, rows: np.ndarray) -> Query:
        """Return the query of some of the users."""
        return Query(self.model, self.signals.take(rows), self.k, self.keep_used)


@dataclass(frozen=True, eq=False)
class Answer:
    """A strategy's lists.

    Parameters
    ----------
    items
        int32, shape (n_users, k), best first, -1 where the strategy has no more.
    scores
        float32, shape (n_users, k).
    routes
        How each list came about, shape (n_users,), such as ``segment``; "" where the strategy has nothing to go on.
    """

    items: np.ndarray
    scores: np.ndarray
    routes: np.ndarray


Strategy = Callable[[Query], Answer]


def route_where(answered: np.ndarray, route: str) -> np.ndarray:
    """Return the route where `answered`, else "", shape (n,)."""
    return np.where(answered, route, "").astype(object)


def rank_scores(query: Query, score: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Rank items by scores, closed items left out, a part of the users at a time.

    Parameters
    ----------
    score
        Given user positions, shape (m,), returns scores that may be overwritten, float32, shape (m, n_items).
    """
    n_items = query.model.n_items
    items = np.full((query.n_users, query.k), NO_ITEM, dtype=np.int32)
    values = np.zeros((query.n_users, query.k), dtype=np.float32)
    step = max(1, CELLS_AT_ONCE // max(1, n_items))
    for at in range(0, query.n_users, step):
        rows = np.arange(at, min(at + step, query.n_users))
        scores = score(rows)
        closed = query.closed.take(rows)
        scores[closed.row_of_entry(), closed.columns] = -np.inf
        items[rows], values[rows] = top_k(scores, query.k)
    return items, values


def rank_lists(
    query: Query, lists: np.ndarray, scores: np.ndarray, choice: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Take each user's list from lists that are ranked already, closed items left out.

    Parameters
    ----------
    lists, scores
        Shape (n_lists, m): items and their scores, best first.
    choice
        Integers, shape (n_users,): which list each user gets.
    """
    closed = query.closed
    # A list can lose as many entries as the user has closed items: only that many more are looked at.
    longest = int(closed.lengths().max(initial=0)) + query.k
    chosen = lists[choice, :longest]
    allowed = chosen >= 0
    user = closed.row_of_entry()
    if len(user):
        keys = user * query.model.n_items + closed.columns
        asked = np.arange(query.n_users)[:, None] * query.model.n_items + chosen
        allowed &= ~np.isin(asked, keys)
    return first_allowed(chosen, scores[choice, :longest], allowed, query.k)
