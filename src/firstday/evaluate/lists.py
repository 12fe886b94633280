"""What lists are like beside how good they are: whose they are, and how well known their items are."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from firstday.recommend.strategies import FALLBACKS
from firstday.segment.segments import ItemCounts


def measure_novelty(lists: np.ndarray, everyone: ItemCounts) -> np.ndarray:
    """Return the mean self-information of each list's items: -log2 of the share of warm users who use them.

    Parameters
    ----------
    lists
        Item indexes, -1 for an empty place, shape (n_users, K).
    everyone
        How many warm users use each item, one row.

    Returns
    -------
    numpy.ndarray
        Bits, float64, shape (n_users,); 0 for an empty list. An item that nobody uses counts as one that one user uses.

    References
    ----------
    S. Vargas, P. Castells, "Rank and Relevance in Novelty and Diversity Metrics for Recommender Systems", RecSys 2011.
    """
    n_users = np.maximum(everyone.counts.column_sums(), 1)
    bits = np.append(np.log2(max(1, int(everyone.sizes[0])) / n_users), 0.0)  # the last stands for an empty place
    mean: np.ndarray = bits[lists].sum(axis=1) / np.maximum((lists >= 0).sum(axis=1), 1)
    return mean


def share_own_lists(strategy: str, routes: Mapping[str, int]) -> float:
    """Return the share of users whose list is a strategy's own, not a fallback's, given users by route."""
    own = sum(n for route, n in routes.items() if route == strategy or route not in FALLBACKS)
    return own / max(1, sum(routes.values()))
