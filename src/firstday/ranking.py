"""Ranking: top-k with a single tie rule, and lists for many users with exclusions.

Tie rule everywhere: higher scores come first; scores within `TIE` of the highest among them tie, and ties are broken by
item index.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from firstday.sparse import SparseRows

NO_ITEM = -1
"""Fills positions for which there is no allowed item."""
TIE = np.float32(1e-5)
"""Tolerance of ties, relative to the best score, so that machine-dependent rounding does not change lists."""
GROUPS_PER_POSITION = 16
"""Column groups per list position; more groups give a tighter bound but take longer."""


def top_k(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the k best columns of each row and their scores, best first, int32 and float32, shape (n, k).

    `scores` is float32, shape (n, n_items); ``-inf`` marks disallowed columns. The lower index wins ties, and tied
    scores are replaced by the highest among them. Where a row has fewer than k allowed columns, it has `NO_ITEM` with
    score 0. Raise ValueError for NaN.
    """
    n, n_items = scores.shape
    if n == 0 or n_items == 0:
        return np.full((n, k), NO_ITEM, dtype=np.int32), np.zeros((n, k), dtype=np.float32)
    least_finite = np.finfo(scores.dtype).min  # not -inf, which marks disallowed columns
    threshold = np.maximum(_bound(scores, min(k, n_items)), least_finite)
    best = scores.max(axis=1)
    if np.isnan(best).any():
        raise ValueError(f"scores contain NaN for {np.isnan(best).sum()} of {n} rows")
    tie = TIE * np.where(best == -np.inf, 0, np.abs(best))
    # Sort only the few values that reach the k-th value, ties included.
    rows, columns = np.divmod(np.flatnonzero(scores >= (threshold - tie)[:, None]), n_items)
    reached = scores[rows, columns]
    order = np.lexsort((-reached, rows))
    columns = columns[order]
    reached = _join_ties(reached[order], rows, tie)  # rows ascend before and after sorting
    order = np.lexsort((columns, -reached, rows))
    rank = np.arange(len(rows)) - np.searchsorted(rows, rows)
    is_listed = rank < k
    cells = rows[is_listed], rank[is_listed]
    listed = order[is_listed]
    items = np.full((n, k), NO_ITEM, dtype=np.int32)
    values = np.zeros((n, k), dtype=np.float32)
    items[cells] = columns[listed]
    values[cells] = reached[listed]
    return items, values


def _join_ties(values: np.ndarray, rows: np.ndarray, tie: np.ndarray) -> np.ndarray:
    """Replace each value, in descending order within a row, with the highest value that it ties with."""
    is_first = np.ones(len(values), dtype=bool)
    is_first[1:] = (values[1:] != values[:-1]) | (rows[1:] != rows[:-1])
    distinct = values[is_first]
    rows = rows[is_first]
    joined = distinct.copy()
    tolerance = tie[rows]
    for position in np.flatnonzero((rows[1:] == rows[:-1]) & (distinct[:-1] - distinct[1:] <= tolerance[1:])):
        if joined[position] - distinct[position + 1] <= tolerance[position]:
            joined[position + 1] = joined[position]
    return joined[np.cumsum(is_first) - 1]


def _bound(scores: np.ndarray, length: int) -> np.ndarray:
    """Return, for each row, a value that at least `length` columns reach, but not many more.

    If the maxima of `length` column groups reach a value, so do at least `length` columns. Maxima of whole slices are
    much faster than partitioning all columns.
    """
    n_items = scores.shape[1]
    n_groups = GROUPS_PER_POSITION * length
    if n_items < 2 * n_groups:
        return np.partition(scores, n_items - length, axis=1)[:, n_items - length]
    best = scores[:, :n_groups].copy()
    for start in range(n_groups, n_items, n_groups):
        group_columns = scores[:, start : start + n_groups]
        reduced = best[:, : group_columns.shape[1]]
        np.maximum(reduced, group_columns, out=reduced)
    return np.partition(best, n_groups - length, axis=1)[:, n_groups - length]


def greatest(scores: np.ndarray, n: int) -> np.ndarray:
    """Return the columns of the n greatest scores of each row, ascending, int64, shape (n_rows, n).

    The lower column wins ties. `n` must not exceed the number of columns.
    """
    columns = np.empty((len(scores), n), dtype=np.int64)
    bounds = _bound(scores, n)
    for row, bound, selected in zip(scores, bounds, columns, strict=True):
        candidates = np.flatnonzero(row >= bound)
        best = np.argsort(-row[candidates], kind="stable")[:n]
        selected[:] = np.sort(candidates[best])
    return columns


def first_allowed(items: np.ndarray, values: np.ndarray, allowed: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first k entries of ranked lists, shape (n, m), where the mask `allowed` is true.

    The results have shape (n, k); `NO_ITEM` and 0 where a row has fewer than k allowed entries.
    """
    n = len(items)
    first_items = np.full((n, k), NO_ITEM, dtype=np.int32)
    first_values = np.zeros((n, k), dtype=np.float32)
    rank = np.cumsum(allowed, axis=1) - 1
    chosen = np.nonzero(allowed & (rank < k))
    cells = chosen[0], rank[chosen]
    first_items[cells] = items[chosen]
    first_values[cells] = values[chosen]
    return first_items, first_values


def first_distinct(items: np.ndarray, values: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first k distinct items of ranked lists, -1 for an empty position; see `first_allowed`."""
    order = np.argsort(items, axis=1, kind="stable")
    ordered = np.take_along_axis(items, order, axis=1)
    is_first = np.ones(items.shape, dtype=bool)
    np.put_along_axis(is_first, order[:, 1:], ordered[:, 1:] != ordered[:, :-1], axis=1)
    return first_allowed(items, values, is_first & (items >= 0), k)


def most_used(counts: np.ndarray, max_items: int) -> np.ndarray:
    """Return the indexes of the `max_items` greatest positive counts, ascending; the lower index wins ties."""
    order = np.argsort(-counts, kind="stable")[:max_items]
    return np.sort(order[counts[order] > 0])


def spread_scores(scores: np.ndarray, items: np.ndarray, n_items: int) -> np.ndarray:
    """Extend scores, shape (n, len(items)), to all items, float32, shape (n, n_items); ``-inf`` for other items."""
    all_scores = np.full((len(scores), n_items), -np.inf, dtype=np.float32)
    all_scores[:, items] = scores
    return all_scores


def weigh_nearest(closeness: np.ndarray, max_columns: int, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest columns of each row, unsorted, with softmax weights at `temperature`.

    `closeness` is float32, shape (n, n_columns). Both results have shape (n, m) with m = min(max_columns, n_columns),
    int64 and float32; weights sum to 1 per row.
    """
    m = min(max_columns, closeness.shape[1])
    nearest = np.argpartition(closeness, -m, axis=1)[:, -m:]
    nearest_closeness = np.take_along_axis(closeness, nearest, axis=1)
    distances = nearest_closeness - nearest_closeness.max(axis=1, keepdims=True)
    weights = np.exp(distances / temperature)
    weights /= weights.sum(axis=1, keepdims=True)
    return nearest, weights.astype(np.float32)


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Return the vectors scaled to length 1, float32, shape (n, d); zero vectors stay zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32, copy=False)


MAX_CELLS = 2**23
"""Maximum number of scores (users x items) in memory: 32 MiB of float32."""


def rank_scores(
    score: Callable[[np.ndarray], np.ndarray], excluded: SparseRows, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rank all items by score.

    Parameters
    ----------
    score
        Maps user rows, shape (m,), to scores, float32, shape (m, n_items), which may be overwritten; items with a score
        of minus infinity are not listed.
    excluded
        Items to exclude from each user's list, shape (n_users, n_items).
    k
        Length of the lists.

    Returns
    -------
    items, scores : numpy.ndarray
        int32 and float32, shape (n_users, k), best first, ties by index; -1 with score 0 where a user has fewer items.
    """
    parts = []
    for rows in _parts(excluded.n_rows, excluded.n_columns):
        scores = score(rows)
        excluded_rows = excluded.take(rows)
        scores[excluded_rows.row_of_entry(), excluded_rows.columns] = -np.inf
        parts.append(top_k(scores, k))
    return _join_parts(parts)


def mean_finite(scores: np.ndarray) -> np.ndarray:
    """Return the mean of the finite scores of each row, 0 for a row without any, shape (n_rows,)."""
    is_finite = np.isfinite(scores)
    total = np.where(is_finite, scores, 0).sum(axis=1)
    return np.asarray(total / np.maximum(is_finite.sum(axis=1), 1))


def score_by_vectors(vectors: np.ndarray, items: np.ndarray, absent: np.ndarray) -> np.ndarray:
    """Return dot products of user vectors, shape (n_users, d), and item vectors, shape (n_items, d), all float32.

    Scores are ``-inf`` for the items in `absent`, which have no vector, and for users with a zero vector.
    """
    scores: np.ndarray = vectors @ items.T
    scores[:, absent] = -np.inf
    scores[~vectors.any(axis=1)] = -np.inf
    return scores


def multiply_rows(table: np.ndarray, chosen: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Return the dot products of each vector with its chosen rows of a table, float32, shape (n_vectors, n_chosen).

    `table` has shape (n_rows, d), `chosen`, row indexes, (n_vectors, n_chosen), `vectors` (n_vectors, d).
    """
    products = np.empty(chosen.shape, dtype=np.float32)
    for row_products, rows, vector in zip(products, chosen, vectors, strict=True):
        np.dot(table.take(rows, axis=0), vector, out=row_products)
    return products


def take_lists(
    lists: np.ndarray,
    scores: np.ndarray,
    choice: np.ndarray,
    excluded: SparseRows,
    k: int,
    allowed: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return for each user one of several ranked lists of items and scores, best first, shape (n_lists, m).

    `choice` has the index of each user's list, shape (n_users,). `allowed` is the mask of items that may be listed,
    bool, shape (n_items,); None: all. For `excluded` and `k` see `rank_scores`.
    """
    if allowed is not None:
        used, choice = np.unique(choice, return_inverse=True)
        lists = lists[used]
        is_allowed = (lists >= 0) & allowed[lists]
        longest = int(is_allowed.sum(axis=1).max(initial=1))
        lists, scores = first_allowed(lists, scores[used], is_allowed, longest)
    parts = []
    n_excluded = excluded.lengths()
    for rows in _parts(excluded.n_rows, int(n_excluded.max(initial=0)) + k):
        # A list loses at most as many entries as the user has exclusions, so a prefix of that length plus k suffices.
        width = int(n_excluded[rows].max(initial=0)) + k
        items = lists[choice[rows], :width]
        is_open = (items >= 0) & ~excluded.take(rows).has(items)
        parts.append(first_allowed(items, scores[choice[rows], :width], is_open, k))
    return _join_parts(parts)


def _join_parts(parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Concatenate the items and scores of batches of users."""
    items, scores = map(np.concatenate, zip(*parts, strict=True))
    return items, scores


def _parts(n_users: int, width: int) -> list[np.ndarray]:
    """Split the user rows into at least one batch of at most `MAX_CELLS` cells."""
    step = max(1, MAX_CELLS // max(1, width))
    return [np.arange(start, min(start + step, n_users)) for start in range(0, max(1, n_users), step)]
