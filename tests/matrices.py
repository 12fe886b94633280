"""Sparse rows as dense matrices, and back."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from firstday.sparse import SparseRows


def to_rows(matrix: ArrayLike) -> SparseRows:
    """Return the entries of a matrix that are not 0."""
    values = np.asarray(matrix)
    rows, columns = np.nonzero(values)
    return SparseRows.from_pairs(rows, columns, values[rows, columns], *values.shape)


def to_matrix(rows: SparseRows) -> np.ndarray:
    """Return the weight of every cell, float64, shape (n_rows, n_columns)."""
    values = np.zeros((rows.n_rows, rows.n_columns))
    values[rows.row_of_entry(), rows.columns] = rows.weights
    return values
