"""How popular the recommended items are, beside those that are used: shares by tenths of all use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from firstday.artifact.model import TrainedModel

N_PARTS = 10


@dataclass(frozen=True)
class PopularityShares:
    """Items in ten parts, each with a tenth of warm users' use, the most used items first.

    Parameters
    ----------
    n_items
        Items of each part; items that no warm user used are in the last.
    used
        Share of each part in what cold users went on to use, in %.
    places
        Share of each part in the places of lists, by strategy, in %.
    """

    n_items: tuple[int, ...]
    used: tuple[float, ...]
    places: Mapping[str, tuple[float, ...]]


def divide_by_use(model: TrainedModel) -> np.ndarray:
    """Return the part of each item, 0 for the most used ones to 9, int64, shape (n_items,)."""
    uses = np.asarray(model.everyone.counts.column_sums(), dtype=np.float64)
    order = model.popular_items
    total = max(uses.sum(), 1.0)
    # An item lies where the middle of its use lies, so that one of more than a tenth of all use stays whole.
    middle = np.cumsum(uses[order]) - uses[order] / 2
    part = np.empty(len(uses), dtype=np.int64)
    part[order] = np.minimum((N_PARTS * middle / total).astype(np.int64), N_PARTS - 1)
    part[uses == 0] = N_PARTS - 1
    return part


def count_by_part(items: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Count items by part, those below 0 left out, int64, shape (N_PARTS,)."""
    return np.bincount(part[items[items >= 0]], minlength=N_PARTS)


def to_shares(counts: np.ndarray) -> tuple[float, ...]:
    """Return counts as shares of their sum, in %."""
    return tuple((100 * counts / max(1, counts.sum())).tolist())
