"""Segments: groups of warm users, what each uses most, and which groups a vector belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from firstday.ranking import NO_ITEM, weigh_nearest
from firstday.sparse import SparseRows


@dataclass(frozen=True, eq=False)
class ItemCounts:
    """How many users of each group use each item. A group is a segment, a profile group, or everyone.

    Parameters
    ----------
    counts
        Users per group and item, shape (n_groups, n_items).
    sizes
        int64, shape (n_groups,): users in each group.
    """

    counts: SparseRows
    sizes: np.ndarray


def count_items(group_of_user: np.ndarray, uses: SparseRows, n_groups: int) -> ItemCounts:
    """Count users per group and item.

    Parameters
    ----------
    group_of_user
        Integers, shape (n_users,): the group of each row of `uses`, -1 for none.
    uses
        Which items each user uses, shape (n_users, n_items).
    n_groups
        How many groups there are.
    """
    group = np.asarray(group_of_user)[uses.row_of_entry()]
    inside = group >= 0
    counts = SparseRows.from_pairs(group[inside], uses.columns[inside], None, n_groups, uses.n_columns)
    sizes = np.bincount(group_of_user[group_of_user >= 0], minlength=n_groups)
    return ItemCounts(counts, sizes.astype(np.int64))


def rank_items(counted: ItemCounts, popularity: np.ndarray, n_top: int) -> np.ndarray:
    """Rank each group's most used items; ties go to the item more popular with everyone, then to the lower index.

    Parameters
    ----------
    counted
        Users per group and item.
    popularity
        Users of each item over all, shape (n_items,).
    n_top
        Length of the lists.

    Returns
    -------
    numpy.ndarray
        int32, shape (n_groups, n_top), `NO_ITEM` beyond the items that a group uses.
    """
    rows = counted.counts
    group = rows.row_of_entry()
    order = np.lexsort((rows.columns, -popularity[rows.columns], -rows.weights, group))
    place = np.arange(rows.n_entries) - rows.starts[group]
    inside = place < n_top
    top = np.full((rows.n_rows, n_top), NO_ITEM, dtype=np.int32)
    top[group[inside], place[inside]] = rows.columns[order][inside]
    return top


@dataclass(frozen=True, eq=False)
class Segments:
    """The result of clustering: PAPER, step 1, "Segments".

    Parameters
    ----------
    centroids
        float32, shape (n_segments, d).
    items
        Users per segment and item, and the segments' sizes.
    top_items
        int32, shape (n_segments, n_top): most used items, best first, `NO_ITEM` beyond what the segment uses.
    spread
        float32, shape (n_segments,): mean squared distance of the segment's users to its centroid.
    """

    centroids: np.ndarray
    items: ItemCounts
    top_items: np.ndarray
    spread: np.ndarray

    def __len__(self) -> int:
        return len(self.centroids)

    @cached_property
    def _half_squares(self) -> np.ndarray:
        squares: np.ndarray = (self.centroids**2).sum(axis=1) / 2
        return squares

    @cached_property
    def _columns(self) -> np.ndarray:
        """The centroids as columns, side by side in memory, float32, shape (d, n_segments)."""
        return np.ascontiguousarray(self.centroids.T)

    def assign(self, vectors: np.ndarray) -> np.ndarray:
        """Return the segment whose centroid is nearest to each vector (Euclidean; ties: the lower), int64, (n,)."""
        nearest: np.ndarray = np.argmax(self.closeness(vectors), axis=1)
        return nearest

    def closeness(self, vectors: np.ndarray) -> np.ndarray:
        """Return how near each centroid is: minus half the squared distance, up to a number of each vector's own.

        Returns
        -------
        numpy.ndarray
            float32, shape (n_vectors, n_segments).
        """
        near: np.ndarray = vectors @ self._columns - self._half_squares
        return near

    @cached_property
    def top_shares(self) -> np.ndarray:
        """Share of the segment's users who use each of its top items, float32, shape (n_segments, n_top)."""
        shares = np.zeros(self.top_items.shape, dtype=np.float32)
        for segment, items in enumerate(self.top_items):
            known = items >= 0
            used = self.items.counts.row(segment)
            at = np.searchsorted(used, items[known])
            shares[segment, known] = self.items.counts.row_weights(segment)[at] / self.items.sizes[segment]
        return shares


N_NEAREST = 32
"""Segments that may speak for one user, at most."""


@dataclass(frozen=True)
class Mixing:
    """The two settings of `soft_segments`, chosen on validation users.

    Parameters
    ----------
    temperature
        Half the squared distance at which a segment's weight falls by e; towards 0 the nearest speaks alone.
    smoothing
        Users with everyone's habits added to each segment, so that small ones do not speak too loud.
    """

    temperature: float = 0.05
    smoothing: float = 20.0


def weigh_segments(vectors: np.ndarray, segments: Segments, mixing: Mixing) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest segments of each vector and their weights, which add up to 1.

    Parameters
    ----------
    vectors
        float32, shape (n, d).
    segments
        Where to look.
    mixing
        The temperature.

    Returns
    -------
    nearest : numpy.ndarray
        int64, shape (n, m), m the smaller of `N_NEAREST` and the number of segments; in no order.
    weights : numpy.ndarray
        float32, shape (n, m).
    """
    return weigh_nearest(segments.closeness(vectors), N_NEAREST, mixing.temperature)


def smooth_shares(segments: Segments, popularity: np.ndarray, mixing: Mixing) -> np.ndarray:
    """Return the share of users of each segment's top items, leaning on everyone's, float32, (n_segments, n_top).

    Parameters
    ----------
    segments
        Whose top items.
    popularity
        Share of all users who use each item, shape (n_items,).
    mixing
        The smoothing.
    """
    sizes = segments.items.sizes[:, None]
    counts = segments.top_shares * sizes
    everyone = np.where(segments.top_items >= 0, popularity[segments.top_items], 0)
    smoothed: np.ndarray = ((counts + mixing.smoothing * everyone) / (sizes + mixing.smoothing)).astype(np.float32)
    return smoothed
