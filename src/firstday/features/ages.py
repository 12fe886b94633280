"""Triangular kernel over years of age: a year with few users also uses those of neighbouring years.

A user of age b counts for year a with weight ``max(0, 1 - |a - b| / width)``. Each year has the smallest width that
reaches enough users; width 1 means that only users of that age count. The kernel is applied to sums and counts over all
users, so the result does not depend on how users are partitioned into batches or across machines.
"""

from __future__ import annotations

import numpy as np

from firstday.segment.segments import ItemCounts
from firstday.sparse import SparseRows

MAX_WIDTH = 20
"""Maximum kernel width in years; users whose ages differ by this much or more have no influence on each other."""


def choose_widths(sizes: np.ndarray, n_users: float) -> np.ndarray:
    """Return, for each year of age, the smallest kernel width with a total weight of at least `n_users`.

    `sizes` are the numbers of users by age. Widths are whole years from 1 to `MAX_WIDTH`, int64, shape (n_years,);
    `MAX_WIDTH` if no width is enough. This is the k-nearest-neighbour kernel of Hastie, Tibshirani, Friedman, The
    Elements of Statistical Learning, 6.1.
    """
    widths = np.full(len(sizes), MAX_WIDTH, dtype=np.int64)
    years = np.arange(len(sizes))
    whole_sizes = sizes.astype(np.int64)
    distances = np.abs(years[:, None] - years)
    for width in range(MAX_WIDTH - 1, 0, -1):
        totals = np.maximum(0, width - distances) @ whole_sizes  # scaled by the width: integers, so no rounding
        widths[totals >= width * n_users] = width
    return widths


def weigh_years(widths: np.ndarray) -> np.ndarray:
    """Return the kernel weight of users of each age (columns) for each year (rows), float64, (n_years, n_years)."""
    years = np.arange(len(widths))
    distances = np.abs(years[:, None] - years)
    return np.maximum(0.0, 1 - distances / widths[:, None])


def pool_counts(by_year: ItemCounts, widths: np.ndarray) -> ItemCounts:
    """Return kernel-weighted user counts per year and item, and float64 sizes; years of width 1 keep their counts."""
    weights = weigh_years(widths)
    rows, years = np.nonzero(weights)
    kernel = SparseRows.from_pairs(rows, years, weights[rows, years], *weights.shape)
    return ItemCounts(kernel.through(by_year.counts), weights @ by_year.sizes)
