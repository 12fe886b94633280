"""Sparse rows as dense matrices, and back; what a few users use."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from firstday.recommend.spec import UseData
from firstday.sparse import SparseRows

N_WARM = 40
N_ITEMS = 13
UNUSED = 12


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


def draw_uses(seed: int = 1, n: int = N_WARM) -> np.ndarray:
    """Draw what users use: the first items more than the last ones, and one never."""
    matrix = (np.random.default_rng(seed).random((n, N_ITEMS)) < np.linspace(0.6, 0.1, N_ITEMS)).astype(np.float32)
    matrix[:, UNUSED] = 0
    return matrix


def draw_asked() -> np.ndarray:
    """Draw users who ask: the first likes nothing, the second only an item that no warm user uses."""
    matrix = draw_uses(2, 9) * (np.random.default_rng(3).random((9, N_ITEMS)) < 0.5)
    matrix[:2] = 0
    matrix[1, UNUSED] = 1
    return matrix.astype(np.float32)


def draw_training(warm: np.ndarray) -> UseData:
    """Draw the affinities of what warm users use."""
    affinity = warm * np.random.default_rng(4).choice([0.5, 1, 2], size=warm.shape)
    return UseData(to_rows(warm), to_rows(affinity), seed=3, threads=1)
