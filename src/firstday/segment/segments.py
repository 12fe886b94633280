"""Segments: clusters of warm users, with their most used items, and the assignment of vectors to them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from firstday.display import readable
from firstday.ranking import NO_ITEM, first_allowed, top_k, weigh_nearest
from firstday.sparse import SparseRows

BELIEF_SMOOTHING = 5.0
"""Smoothing of segments' item shares for likelihoods, in pseudo-users, so that no item excludes a segment."""
MAX_SEGMENTS_PER_USER = 32
"""Maximum number of segments that contribute to a user's list."""


@readable
@dataclass(frozen=True, eq=False)
class Segments:
    """Result of clustering (PAPER, step 1, "Segments")."""

    centroids: np.ndarray  # float32, shape (n_segments, d)
    items: ItemCounts  # numbers of users per segment and item, and per segment
    top_items: np.ndarray  # most used items, best first, padded with `NO_ITEM`, int32, shape (n_segments, n_top)
    spread: np.ndarray  # mean squared distance of a segment's users to its centroid, float32, shape (n_segments,)

    def __len__(self) -> int:
        return len(self.centroids)

    @cached_property
    def _half_squares(self) -> np.ndarray:
        return (self.centroids**2).sum(axis=1) / 2

    def assign(self, vectors: np.ndarray) -> np.ndarray:
        """Return the segment nearest to each vector (Euclidean, ties by index), int64, shape (n,)."""
        return np.argmax(self.closeness(vectors), axis=1)

    def closeness(self, vectors: np.ndarray) -> np.ndarray:
        """Return minus half the squared distance to each centroid, up to a constant per vector.

        The result is float32, shape (n_vectors, n_segments).
        """
        return vectors @ self.centroids.T - self._half_squares

    @cached_property
    def top_shares(self) -> np.ndarray:
        """Share of the segment's users who use each top item, float32, shape (n_segments, n_top)."""
        counts = self.items.counts.at(np.maximum(self.top_items, 0))
        users = np.where(self.top_items >= 0, counts, 0)
        return (users / self.items.sizes[:, None]).astype(np.float32)

    @cached_property
    def counts_by_item(self) -> SparseRows:
        """Numbers of users per item and segment, shape (n_items, n_segments)."""
        return self.items.counts.transpose()

    def without(self, items: np.ndarray) -> Segments:
        """Remove items, given by index, from the top lists; counts are unchanged."""
        is_listed = (self.top_items >= 0) & ~np.isin(self.top_items, items)
        top, _ = first_allowed(self.top_items, self.top_shares, is_listed, self.top_items.shape[1])
        return replace(self, top_items=top)


@dataclass(frozen=True)
class Mixing:
    """Settings of the soft assignment (`soft_segments`), chosen on validation users."""

    temperature: float = 0.05  # of the softmax over half the squared distance; near 0, only the nearest segment counts
    smoothing: float = 20.0  # shrinkage of item shares towards those among all warm users, in pseudo-users


@readable
@dataclass(frozen=True, eq=False)
class ItemCounts:
    """Numbers of users per group and item; a group is a segment, a profile group, or all users."""

    counts: SparseRows  # shape (n_groups, n_items)
    sizes: np.ndarray  # users per group, int64, shape (n_groups,); float64 if users are weighted, as with smoothed ages


def count_items(group_of_user: np.ndarray, uses: SparseRows, n_groups: int) -> ItemCounts:
    """Count users per group and item; `group_of_user` has the group of each row of `uses`, -1: no group."""
    entry_group = np.asarray(group_of_user)[uses.row_of_entry()]
    has_group = entry_group >= 0
    counts = SparseRows.from_pairs(entry_group[has_group], uses.columns[has_group], None, n_groups, uses.n_columns)
    sizes = np.bincount(group_of_user[group_of_user >= 0], minlength=n_groups)
    return ItemCounts(counts, sizes.astype(np.int64))


def rank_items(item_counts: ItemCounts, popularity: np.ndarray, n_top: int) -> np.ndarray:
    """Rank each group's most used items, int32, shape (n_groups, n_top), padded with `NO_ITEM`.

    Ties are broken by `popularity`, the number of all users of each item, then by index.
    """
    counts = item_counts.counts
    rank = counts.rank_within_rows(counts.columns, -popularity[counts.columns], -counts.weights)
    is_top = rank < n_top
    top = np.full((counts.n_rows, n_top), NO_ITEM, dtype=np.int32)
    top[counts.row_of_entry()[is_top], rank[is_top]] = counts.columns[is_top]
    return top


def weigh_segments(vectors: np.ndarray, segments: Segments, mixing: Mixing) -> tuple[np.ndarray, np.ndarray]:
    """Return the segments nearest to each vector, unsorted, with softmax weights that sum to 1.

    Both have shape (n, m) with m = min(`MAX_SEGMENTS_PER_USER`, n_segments), int64 and float32.
    """
    return weigh_nearest(segments.closeness(vectors), MAX_SEGMENTS_PER_USER, mixing.temperature)


def rank_smoothed(segments: Segments, popularity: np.ndarray, smoothing: float) -> tuple[np.ndarray, np.ndarray]:
    """Rank each segment's items by share of users, smoothed towards the shares among all warm users.

    `popularity` has the share of all users who use each item; `smoothing` is the shrinkage in pseudo-users. Returns
    items, int32, padded with `NO_ITEM`, and shares, float32, both of shape (n_segments, n_top).
    """
    if not smoothing:
        return segments.top_items, segments.top_shares
    counts = segments.items.counts
    sizes = segments.items.sizes[:, None]
    items = np.empty_like(segments.top_items)
    users = np.empty(segments.top_items.shape, dtype=np.float32)
    base = np.where(popularity > 0, smoothing * popularity, -np.inf).astype(np.float32)
    for segment in range(len(segments)):
        added = base.copy()
        added[counts.row(segment)] += counts.row_weights(segment)
        items[[segment]], users[[segment]] = top_k(added[None], items.shape[1])
    return items, (users / (sizes + smoothing)).astype(np.float32)


def smooth_shares(segments: Segments, popularity: np.ndarray, mixing: Mixing) -> np.ndarray:
    """Return the shares of each segment's top items, smoothed towards `popularity`, float32, shape (n_segments, n_top).

    `popularity` has the share of all users who use each item, shape (n_items,).
    """
    sizes = segments.items.sizes[:, None]
    overall = np.where(segments.top_items >= 0, popularity[segments.top_items], 0)
    counts = segments.top_shares * sizes + mixing.smoothing * overall
    return (counts / (sizes + mixing.smoothing)).astype(np.float32)
