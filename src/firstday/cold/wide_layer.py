"""The product of wide day-one features with weights, which reads no weights of blocks that a user has not.

Features are wide, the first layer has most of a network's weights, and most blocks are zeros for most users: who banned
nothing has no mean vector of banned items. For one user, reading the weights is what a prediction costs.
"""

from __future__ import annotations

import numpy as np

WIDE = 1024
"""Inputs from which on zeros are looked for: fewer are multiplied sooner than looked at."""
COLUMNS_AT_ONCE = 64
"""Columns that are looked at together."""
MOSTLY = 0.75
"""Share of rows with numbers from which on columns count as full."""


def multiply_wide(features: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return features @ weights, float32, shape (n, width), for features of shape (n, n_inputs)."""
    if features.shape[1] < WIDE:
        return np.asarray(features @ weights)
    product = np.zeros((len(features), weights.shape[1]), dtype=np.float32)
    for rows, columns in find_parts(features):
        if rows is None:
            product += features[:, columns] @ weights[columns]
        else:
            product[rows] += features[rows, columns] @ weights[columns]
    return product


def find_parts(features: np.ndarray) -> list[tuple[np.ndarray | None, slice]]:
    """Find where features are not zero: runs of columns, each with the rows that have a number there.

    Parameters
    ----------
    features
        float32, shape (n, n_inputs).

    Returns
    -------
    list
        Rows, int64, None for all of them, and columns. Every number of the features that is not zero is in one part.
    """
    n, width = features.shape
    n_whole = width // COLUMNS_AT_ONCE
    filled = np.ones((n, n_whole + 1), dtype=bool)  # the last columns count as full
    filled[:, :n_whole] = features[:, : n_whole * COLUMNS_AT_ONCE].reshape(n, n_whole, COLUMNS_AT_ONCE).any(axis=2)
    n_filled = filled.sum(axis=0)
    filled[:, n_filled > MOSTLY * n] = True
    is_other = (filled[:, 1:] != filled[:, :-1]).any(axis=0)
    starts = [0, *(np.flatnonzero(is_other) + 1).tolist()]
    parts: list[tuple[np.ndarray | None, slice]] = []
    for start, end in zip(starts, [*starts[1:], n_whole + 1], strict=True):
        if n_filled[start]:
            rows = None if n_filled[start] > MOSTLY * n else np.flatnonzero(filled[:, start])
            parts.append((rows, slice(start * COLUMNS_AT_ONCE, min(end * COLUMNS_AT_ONCE, width))))
    return parts
