"""Exact top-k. Tie rule everywhere: the higher score first; among equal scores the lower item index first."""

from __future__ import annotations

import numpy as np

NO_ITEM = -1
"""Fills a list where no allowed item is left."""
GROUPS_PER_PLACE = 16
"""Groups of columns for each place of a list: more groups give a closer bound, fewer are faster."""


def top_k(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the k best columns of each row, exactly, ties by the lower index.

    Parameters
    ----------
    scores
        float32, shape (n, n_items); ``-inf`` marks columns that must not be chosen.
    k
        Length of the lists.

    Returns
    -------
    items : numpy.ndarray
        int32, shape (n, k), best first, `NO_ITEM` where a row has fewer than k allowed columns.
    values : numpy.ndarray
        float32, shape (n, k), their scores, 0 beside `NO_ITEM`.
    """
    n, n_items = scores.shape
    items = np.full((n, k), NO_ITEM, dtype=np.int32)
    values = np.zeros((n, k), dtype=np.float32)
    if n == 0 or n_items == 0:
        return items, values
    length = min(k, n_items)
    lowest = np.finfo(scores.dtype).min  # not -inf, which marks columns not allowed
    threshold = np.maximum(_bound(scores, length), lowest)
    # Few values reach the k-th value, ties included: only these are sorted.
    rows, columns = np.divmod(np.flatnonzero(scores >= threshold[:, None]), n_items)
    candidates = scores[rows, columns]
    order = np.lexsort((columns, -candidates, rows))
    rows, columns, candidates = rows[order], columns[order], candidates[order]
    first = np.searchsorted(rows, np.arange(n))
    rank = np.arange(len(rows)) - first[rows]
    is_listed = rank < length
    items[rows[is_listed], rank[is_listed]] = columns[is_listed]
    values[rows[is_listed], rank[is_listed]] = candidates[is_listed]
    return items, values


def _bound(scores: np.ndarray, length: int) -> np.ndarray:
    """Return a value for each row that at least `length` columns reach, but not many more.

    Columns are divided into groups. If the maxima of `length` groups reach a value, at least `length` columns reach it.
    Maxima of whole slices are much faster than a partition of all columns.
    """
    n_items = scores.shape[1]
    n_groups = GROUPS_PER_PLACE * length
    if n_items < 2 * n_groups:
        return np.asarray(np.partition(scores, n_items - length, axis=1)[:, n_items - length])
    best = scores[:, :n_groups].copy()
    for start in range(n_groups, n_items, n_groups):
        group_columns = scores[:, start : start + n_groups]
        np.maximum(best[:, : group_columns.shape[1]], group_columns, out=best[:, : group_columns.shape[1]])
    return np.asarray(np.partition(best, n_groups - length, axis=1)[:, n_groups - length])


def first_allowed(items: np.ndarray, values: np.ndarray, allowed: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first k allowed entries of ranked lists.

    Parameters
    ----------
    items, values
        Lists and their scores, shape (n, m).
    allowed
        bool, shape (n, m).
    k
        Length of the lists returned.

    Returns
    -------
    items, values : numpy.ndarray
        Shape (n, k), `NO_ITEM` and 0 where a row has fewer than k allowed entries.
    """
    n = len(items)
    first_items = np.full((n, k), NO_ITEM, dtype=np.int32)
    first_values = np.zeros((n, k), dtype=np.float32)
    rank = np.cumsum(allowed, axis=1) - 1
    rows, columns = np.nonzero(allowed & (rank < k))
    first_items[rows, rank[rows, columns]] = items[rows, columns]
    first_values[rows, rank[rows, columns]] = values[rows, columns]
    return first_items, first_values


def most_used(counts: np.ndarray, max_items: int) -> np.ndarray:
    """Return the indexes of the `max_items` greatest counts above 0, ascending; ties by the lower index."""
    order = np.argsort(-counts, kind="stable")[:max_items]
    return np.sort(order[counts[order] > 0])


def spread_scores(scores: np.ndarray, items: np.ndarray, n_items: int) -> np.ndarray:
    """Return scores of all items, float32, shape (n, n_items), from those of some; ``-inf`` for the others.

    `scores` has the shape (n, len(items)).
    """
    all_scores = np.full((len(scores), n_items), -np.inf, dtype=np.float32)
    all_scores[:, items] = scores
    return all_scores


def weigh_nearest(closeness: np.ndarray, max_columns: int, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest columns of each row and their weights, which fall by e for every `temperature` of closeness.

    Parameters
    ----------
    closeness
        float32, shape (n, n_columns).
    max_columns
        Most columns of a row.
    temperature
        In the unit of closeness.

    Returns
    -------
    nearest : numpy.ndarray
        int64, shape (n, m), m the smaller of `max_columns` and the number of columns; unsorted.
    weights : numpy.ndarray
        float32, shape (n, m); they add up to 1.
    """
    m = min(max_columns, closeness.shape[1])
    nearest = np.argpartition(-closeness, m - 1, axis=1)[:, :m]
    nearest_closeness = np.take_along_axis(closeness, nearest, axis=1)
    weights = np.exp((nearest_closeness - nearest_closeness.max(axis=1, keepdims=True)) / temperature)
    return nearest, (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Return the vectors scaled to length 1, float32, shape (n, d); a zero vector stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32, copy=False)
