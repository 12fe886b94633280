"""What baselines have in common: sparse matrices for SciPy, the most used items, and scores of some items among all."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy import sparse

from firstday.ranking import most_used, spread_scores
from firstday.sparse import SparseRows

MOST_ITEMS = 8_000
"""Items that a baseline with a weight for each pair of items, or each item and hidden number, ranks: the most used."""


def to_matrix(rows: SparseRows) -> sparse.csr_matrix:
    """Return the same matrix for SciPy, float32."""
    return sparse.csr_matrix((rows.weights, rows.columns, rows.starts), shape=(rows.n_rows, rows.n_columns))


def most_used_items(uses: SparseRows) -> np.ndarray:
    """Return the `MOST_ITEMS` most used items that anybody uses, ascending; ties by the lower index."""
    return most_used(uses.column_sums(), MOST_ITEMS)


def keep_largest(matrix: sparse.csr_matrix, most: int) -> sparse.csr_matrix:
    """Keep the largest entries of each row, `most` of them; ties by the lower column."""
    return keep_entries(matrix, place_in_rows(matrix) < most)


def place_in_rows(matrix: sparse.csr_matrix) -> np.ndarray:
    """Return the place of each entry in its row, the largest first, ties by the lower column; columns get sorted."""
    matrix.sort_indices()
    place = np.empty(matrix.nnz, dtype=np.int32)
    for start, end in pairwise(matrix.indptr.tolist()):
        order = np.argsort(-matrix.data[start:end], kind="stable")
        place[start + order] = np.arange(end - start, dtype=np.int32)
    return place


def keep_entries(matrix: sparse.csr_matrix, kept: np.ndarray) -> sparse.csr_matrix:
    """Return the matrix with only the entries where `kept`, bool, shape (n_entries,), is true."""
    starts = np.concatenate([[0], np.cumsum(kept)])[matrix.indptr]
    return sparse.csr_matrix((matrix.data[kept], matrix.indices[kept], starts), shape=matrix.shape)


def only_positive(scores: np.ndarray) -> np.ndarray:
    """Mark items without a positive score as not ranked, in place."""
    scores[scores <= 0] = -np.inf
    return scores


def spread_known(scores: np.ndarray, items: np.ndarray, known: np.ndarray, n_items: int) -> np.ndarray:
    """Put scores of some items, shape (n_users, len(items)), among all; rows of users not `known` are not ranked."""
    everything = spread_scores(scores, items, n_items)
    everything[~known] = -np.inf
    return everything
