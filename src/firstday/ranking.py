"""Exact top-k. Tie rule everywhere: the higher score first; among equal scores the lower item index first."""

from __future__ import annotations

import numpy as np

NO_ITEM = -1
"""Fills a list where no allowed item is left."""
GROUPS_PER_PLACE = 16
"""Groups of columns for each place of a list: more give a closer bound, fewer a faster one."""


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
    kept = min(k, n_items)
    threshold = np.maximum(_bound(scores, kept), np.finfo(scores.dtype).min)  # never -inf, which nothing allowed has
    # Everything at or above the k-th value, ties included, is few: sort only that.
    rows, columns = np.divmod(np.flatnonzero(scores >= threshold[:, None]), n_items)
    found = scores[rows, columns]
    order = np.lexsort((columns, -found, rows))
    rows, columns, found = rows[order], columns[order], found[order]
    first = np.searchsorted(rows, np.arange(n))
    place = np.arange(len(rows)) - first[rows]
    inside = place < kept
    items[rows[inside], place[inside]] = columns[inside]
    values[rows[inside], place[inside]] = found[inside]
    return items, values


def _bound(scores: np.ndarray, kept: int) -> np.ndarray:
    """Return a value for each row that at least `kept` columns reach, and few more.

    Many columns are cut into groups, and the groups' best stand for them: `kept` groups whose best reach a value have
    as many columns that do. Taking maxima of whole slices is much faster than a partition of all columns.
    """
    n_items = scores.shape[1]
    n_groups = GROUPS_PER_PLACE * kept
    if n_items < 2 * n_groups:
        return np.asarray(np.partition(scores, n_items - kept, axis=1)[:, n_items - kept])
    best = scores[:, :n_groups].copy()
    for at in range(n_groups, n_items, n_groups):
        part = scores[:, at : at + n_groups]
        np.maximum(best[:, : part.shape[1]], part, out=best[:, : part.shape[1]])
    return np.asarray(np.partition(best, n_groups - kept, axis=1)[:, n_groups - kept])


def first_allowed(items: np.ndarray, values: np.ndarray, allowed: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first k allowed entries of lists that are ranked already.

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
    out_items = np.full((n, k), NO_ITEM, dtype=np.int32)
    out_values = np.zeros((n, k), dtype=np.float32)
    place = np.cumsum(allowed, axis=1) - 1
    rows, columns = np.nonzero(allowed & (place < k))
    out_items[rows, place[rows, columns]] = items[rows, columns]
    out_values[rows, place[rows, columns]] = values[rows, columns]
    return out_items, out_values


def most_used(counts: np.ndarray, most: int) -> np.ndarray:
    """Return the indexes of the greatest counts, at most so many and none of 0, ascending; ties by the lower index."""
    chosen = np.argsort(-counts, kind="stable")[:most]
    return np.sort(chosen[counts[chosen] > 0])


def spread_scores(scores: np.ndarray, items: np.ndarray, n_items: int) -> np.ndarray:
    """Put scores of some items, shape (n, len(items)), among all, float32, shape (n, n_items), ``-inf`` elsewhere."""
    everything = np.full((len(scores), n_items), -np.inf, dtype=np.float32)
    everything[:, items] = scores
    return everything


def weigh_nearest(closeness: np.ndarray, most: int, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest columns of each row and their weights, which fall by e for every `temperature` of closeness.

    Parameters
    ----------
    closeness
        float32, shape (n, n_columns).
    most
        How many columns, at most.
    temperature
        In the unit of closeness.

    Returns
    -------
    nearest : numpy.ndarray
        int64, shape (n, m), m the smaller of `most` and the number of columns; in no order.
    weights : numpy.ndarray
        float32, shape (n, m); they add up to 1.
    """
    m = min(most, closeness.shape[1])
    nearest = np.argpartition(-closeness, m - 1, axis=1)[:, :m]
    chosen = np.take_along_axis(closeness, nearest, axis=1)
    weights = np.exp((chosen - chosen.max(axis=1, keepdims=True)) / temperature)
    return nearest, (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Return the vectors scaled to length 1, float32, shape (n, d); a zero vector stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32, copy=False)
