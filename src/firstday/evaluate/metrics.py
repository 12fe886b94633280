"""Precision, recall and NDCG at K of ranked lists, user by user (PAPER, offline protocol)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from firstday.data.rows import SparseRows

PrecisionRule = Literal["min", "k"]
METRICS = ("precision", "recall", "ndcg")


@dataclass(frozen=True, eq=False)
class UserMetrics:
    """Metrics of each user, fractions of 1, float64, shape (n_users,)."""

    precision: np.ndarray
    recall: np.ndarray
    ndcg: np.ndarray


def measure(lists: np.ndarray, truth: SparseRows, *, divide_by: PrecisionRule = "min") -> UserMetrics:
    """Compare ranked lists with what users used afterwards.

    Parameters
    ----------
    lists
        Item indexes, best first, -1 for an empty place, shape (n_users, K).
    truth
        Relevant items of each user, shape (n_users, n_items).
    divide_by
        Precision is hits / min(K, relevant) as in the paper (``min``), or hits / K (``k``).

    Returns
    -------
    UserMetrics
        Recall is hits / relevant; NDCG has binary gain and an ideal of min(K, relevant). A user without relevant
        items has 0 throughout.
    """
    n_users, k = lists.shape
    relevant = truth.lengths()
    keys = truth.row_of_entry() * truth.n_columns + truth.columns
    asked = np.arange(n_users)[:, None] * truth.n_columns + lists
    at = np.searchsorted(keys, asked)  # keys ascend
    hit = (np.append(keys, -1)[at] == asked) & (lists >= 0)
    hits = hit.sum(axis=1).astype(np.float64)
    best = np.minimum(k, relevant)
    discount = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.concatenate([[0], np.cumsum(discount)])[best]
    below = best if divide_by == "min" else np.where(relevant > 0, k, 0)
    return UserMetrics(_ratio(hits, below), _ratio(hits, relevant), _ratio(hit @ discount, ideal))


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Divide, with 0 where there is nothing to divide by."""
    ratio: np.ndarray = np.divide(above, below, out=np.zeros(len(above)), where=below > 0)
    return ratio
