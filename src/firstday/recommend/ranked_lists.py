"""Ranked lists of scores, vectors or other lists: without excluded items, a part of the users at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from firstday.ranking import NO_ITEM, first_allowed, top_k
from firstday.sparse import SparseRows

CELLS_AT_ONCE = 2**23
"""Scores (users x items) in memory at once: 32 MiB of float32."""


def rank_scores(
    score: Callable[[np.ndarray], np.ndarray], excluded: SparseRows, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rank all items by scores.

    Parameters
    ----------
    score
        Given user positions, shape (m,), returns scores that may be overwritten, float32, shape (m, n_items); minus
        infinity for items that have no place.
    excluded
        Items that may not be in each user's list, shape (n_users, n_items).
    k
        Length of the lists.

    Returns
    -------
    items, scores : numpy.ndarray
        int32 and float32, shape (n_users, k), best first; see `firstday.ranking.top_k`.
    """
    items = np.full((excluded.n_rows, k), NO_ITEM, dtype=np.int32)
    values = np.zeros((excluded.n_rows, k), dtype=np.float32)
    for rows in _parts(excluded.n_rows, excluded.n_columns):
        scores = score(rows)
        closed = excluded.take(rows)
        scores[closed.row_of_entry(), closed.columns] = -np.inf
        items[rows], values[rows] = top_k(scores, k)
    return items, values


def rank_by_vectors(
    vectors: np.ndarray,
    item_vectors: np.ndarray,
    excluded: SparseRows,
    k: int,
    without_vector: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Rank items by the dot product with each user's vector; items whose vector is zero have no place.

    The list of a user whose vector is zero is empty.

    Parameters
    ----------
    vectors
        Of the users, float32, shape (n_users, d).
    item_vectors
        float32, shape (n_items, d).
    excluded, k
        See `rank_scores`.
    without_vector
        Indexes of items whose vector is zero, where they are known already.
    """
    if without_vector is None:
        without_vector = np.flatnonzero(~item_vectors.any(axis=1))
    nowhere = np.flatnonzero(~vectors.any(axis=1))  # a vector of zeros is as near to everything

    def score(rows: np.ndarray) -> np.ndarray:
        scores: np.ndarray = vectors[rows] @ item_vectors.T
        scores[:, without_vector] = -np.inf
        scores[np.isin(rows, nowhere)] = -np.inf
        return scores

    return rank_scores(score, excluded, k)


def take_lists(
    lists: np.ndarray, scores: np.ndarray, choice: np.ndarray, excluded: SparseRows, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Give each user one of several lists that are ranked already.

    Parameters
    ----------
    lists, scores
        Shape (n_lists, m): items and their scores, best first.
    choice
        Which list each user gets, integers, shape (n_users,).
    excluded, k
        See `rank_scores`.
    """
    parts = []
    n_excluded = excluded.lengths()
    for rows in _parts(excluded.n_rows, int(n_excluded.max(initial=0)) + k):
        closed = excluded if len(rows) == excluded.n_rows else excluded.take(rows)
        # A list can lose as many entries as the user has excluded items: only that many more are looked at.
        chosen = lists[choice[rows], : int(n_excluded[rows].max(initial=0)) + k]
        allowed = chosen >= 0
        if closed.n_entries:
            keys = closed.row_of_entry() * excluded.n_columns + closed.columns  # ascending
            cells = np.arange(len(rows))[:, None] * excluded.n_columns + chosen
            allowed &= keys[np.minimum(np.searchsorted(keys, cells), len(keys) - 1)] != cells
        parts.append(first_allowed(chosen, scores[choice[rows], : chosen.shape[1]], allowed, k))
    if len(parts) == 1:
        return parts[0]
    return np.concatenate([items for items, _ in parts]), np.concatenate([values for _, values in parts])


def _parts(n_users: int, width: int) -> list[np.ndarray]:
    """Cut the users' positions into parts of `CELLS_AT_ONCE` cells at most; one part at least."""
    step = max(1, CELLS_AT_ONCE // max(1, width))
    return [np.arange(at, min(at + step, n_users)) for at in range(0, max(1, n_users), step)]
