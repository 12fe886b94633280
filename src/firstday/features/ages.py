"""Years of age that share their users with near years, so that no year stands for a few people or nobody.

A triangular kernel: a user of age b counts for the year a with the weight ``max(0, 1 - |a - b| / width)``. Each year
has the smallest width at which it gathers enough users. A year that has enough of its own has width 1: it stands for
its own users alone. Sums and counts by year are gathered after they have been added up over all users, so that it does
not matter in which parts, or on which machines, they were added up.
"""

from __future__ import annotations

import numpy as np

from firstday.segment.segments import ItemCounts
from firstday.sparse import SparseRows, stack_rows

MAX_WIDTH = 20
"""Years: who is so far from every warm user's age is told nothing by it."""


def choose_widths(sizes: np.ndarray, n_users: float) -> np.ndarray:
    """Return the width of each year's kernel: the smallest at which the weights of users add up to enough.

    Parameters
    ----------
    sizes
        Users of each year of age, shape (n_years,).
    n_users
        What their weights are to add up to; 0: each year stands alone.

    Returns
    -------
    numpy.ndarray
        Whole years from 1 to `MAX_WIDTH`, int64, shape (n_years,). Where no width is enough, it is `MAX_WIDTH`.

    References
    ----------
    The k-nearest-neighbour kernel of Hastie, Tibshirani, Friedman, The Elements of Statistical Learning, 6.1.
    """
    widths = np.full(len(sizes), MAX_WIDTH, dtype=np.int64)
    years, whole_sizes = np.arange(len(sizes)), sizes.astype(np.int64)
    apart = np.abs(years[:, None] - years)
    for width in range(MAX_WIDTH - 1, 0, -1):
        gathered = np.maximum(0, width - apart) @ whole_sizes  # times the width: whole numbers, so no rounding
        widths[gathered >= width * n_users] = width
    return widths


def weigh_years(widths: np.ndarray) -> np.ndarray:
    """Return how much a user of each year (columns) counts for each year (rows), float64, shape (n_years, n_years)."""
    years = np.arange(len(widths))
    apart = np.abs(years[:, None] - years)
    weights: np.ndarray = np.maximum(0.0, 1 - apart / widths[:, None])
    return weights


def share_counts(by_year: ItemCounts, widths: np.ndarray) -> ItemCounts:
    """Return users of each year and item with the users of near years added, by their weights.

    Parameters
    ----------
    by_year
        Users of each year and item, whole numbers.
    widths
        See `choose_widths`.

    Returns
    -------
    ItemCounts
        Sizes are float64; years of width 1 keep their counts.
    """
    counts, wide = by_year.counts, np.flatnonzero(widths > 1)
    weights = weigh_years(widths)
    rows, years = np.nonzero(weights[wide])
    near = counts.take(years)  # the counts of each near year, one after the other
    of_near = near.row_of_entry()
    gathered = SparseRows.from_pairs(
        rows[of_near], near.columns, weights[wide][rows, years][of_near] * near.weights, len(wide), counts.n_columns
    )
    places = np.arange(counts.n_rows)
    places[wide] = counts.n_rows + np.arange(len(wide))
    return ItemCounts(stack_rows([counts, gathered]).take(places), weights @ by_year.sizes)
