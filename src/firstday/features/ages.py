"""Triangular kernel over years of age, so that a year with few users borrows from neighbouring years.

A user of age b counts for year a with weight ``max(0, 1 - |a - b| / width)``. Each year has the smallest width that
gathers enough users; a year with enough users of its own has width 1 and borrows none. The kernel is applied to sums
and counts over all users, so the result does not depend on how users were partitioned across batches or machines.
"""

from __future__ import annotations

import numpy as np

from firstday.segment.segments import ItemCounts
from firstday.sparse import SparseRows

MAX_WIDTH = 20
"""Maximum kernel width in years; warm users at least this far away in age have no influence."""


def choose_widths(sizes: np.ndarray, n_users: float) -> np.ndarray:
    """Return the smallest kernel width of each year that gathers a weight of at least `n_users`.

    Widths are whole years from 1 to `MAX_WIDTH`, int64, shape (n_years,); `MAX_WIDTH` if no width is enough. With
    `n_users` 0, no year borrows.

    References
    ----------
    The k-nearest-neighbour kernel of Hastie, Tibshirani, Friedman, The Elements of Statistical Learning, 6.1.
    """
    widths = np.full(len(sizes), MAX_WIDTH, dtype=np.int64)
    years, whole_sizes = np.arange(len(sizes)), sizes.astype(np.int64)
    apart = np.abs(years[:, None] - years)
    for width in range(MAX_WIDTH - 1, 0, -1):
        gathered = np.maximum(0, width - apart) @ whole_sizes  # scaled by the width: integers, so no rounding
        widths[gathered >= width * n_users] = width
    return widths


def weigh_years(widths: np.ndarray) -> np.ndarray:
    """Return how much a user of each year (columns) counts for each year (rows), float64, shape (n_years, n_years)."""
    years = np.arange(len(widths))
    apart = np.abs(years[:, None] - years)
    weights: np.ndarray = np.maximum(0.0, 1 - apart / widths[:, None])
    return weights


def share_counts(by_year: ItemCounts, widths: np.ndarray) -> ItemCounts:
    """Return user counts per year and item, with users of near years added by kernel weight.

    Sizes are float64; years of width 1 keep their counts.
    """
    weights = weigh_years(widths)
    rows, years = np.nonzero(weights)
    kernel = SparseRows.from_pairs(rows, years, weights[rows, years], *weights.shape)
    return ItemCounts(kernel.through(by_year.counts), weights @ by_year.sizes)
