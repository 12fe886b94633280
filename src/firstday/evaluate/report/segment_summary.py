"""Many segments in a few lines: how their sizes spread, and the few to show first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from firstday.evaluate.segment_rows import SegmentRow

ALL_UP_TO = 12
"""So many segments are shown all at once."""
N_LARGEST, N_SMALLEST = 5, 3
FEW_USERS = 10
"""A list that fewer people make says little."""


@dataclass(frozen=True)
class SegmentSummary:
    """Segments, largest first, and what to say of them.

    Parameters
    ----------
    rows
        All of them.
    first
        Those to show at once: all, or the largest.
    last
        The smallest, where not all are shown at once.
    n_users
        Users in all.
    quartiles
        Sizes below which a quarter, a half and three quarters of the segments are.
    spread
        Mean squared distance of all users to their centroids.
    n_small, small
        How many segments have fewer than `small` users.
    """

    rows: tuple[SegmentRow, ...]
    first: tuple[SegmentRow, ...]
    last: tuple[SegmentRow, ...]
    n_users: int
    quartiles: tuple[int, int, int]
    spread: float
    n_small: int
    small: int = FEW_USERS


def summarise_segments(rows: Sequence[SegmentRow]) -> SegmentSummary | None:
    """Choose what to show of the segments of a model, largest first; None where there are none."""
    if not rows:
        return None
    rows = tuple(sorted(rows, key=lambda row: -row.n_users))
    sizes = np.array([row.n_users for row in rows])
    low, middle, high = (int(size) for size in np.quantile(sizes, [0.25, 0.5, 0.75], method="nearest"))
    few = len(rows) <= ALL_UP_TO
    return SegmentSummary(
        rows,
        rows if few else rows[:N_LARGEST],
        () if few else rows[-N_SMALLEST:],
        int(sizes.sum()),
        (low, middle, high),
        float(np.average([row.spread for row in rows], weights=sizes)),
        int((sizes < FEW_USERS).sum()),
    )
