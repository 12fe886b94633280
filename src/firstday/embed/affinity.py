"""Affinity: one number for each user and item, added up over signals (PAPER, step 1)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from firstday.config import SignalConfig
from firstday.data.events import ITEM, Pair
from firstday.sparse import SparseRows, union_rows


def compute_affinity(
    actions: Mapping[Pair, SparseRows], config: SignalConfig, n_users: int, n_items: int
) -> SparseRows:
    """Add up all signals on items into users' affinities.

    Parameters
    ----------
    actions
        Users' interactions by (signal, entity) pair; only pairs on items count.
    config
        The signals' weights and damping: a first interaction counts 1, n interactions log2(1 + n) or n.
    n_users, n_items
        Shape of the result.

    Returns
    -------
    SparseRows
        Shape (n_users, n_items), positive entries only.
    """
    parts = []
    for (signal, entity), rows in actions.items():
        if entity == ITEM and config.affinity.get(signal):
            counts = np.log2(1 + rows.weights) if config.damping == "log" else rows.weights
            weights = (config.affinity[signal] * counts).astype(np.float32)
            parts.append(SparseRows(rows.starts, rows.columns, weights, rows.n_columns))
    if not parts:
        return SparseRows.empty(n_users, n_items)
    total = union_rows(parts)
    return total.keep(total.weights > 0)


def select_uses(actions: Mapping[Pair, SparseRows], config: SignalConfig, n_users: int, n_items: int) -> SparseRows:
    """Return the items that each user uses (`signals.use`), all weights 1, shape (n_users, n_items)."""
    parts = [rows for (signal, entity), rows in actions.items() if entity == ITEM and signal in config.use]
    return union_rows(parts).ones() if parts else SparseRows.empty(n_users, n_items)
