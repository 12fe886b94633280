"""LaterItems: what warm users went on to use after a day one, item by item; what rankings are trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from firstday.data.rows import SparseRows, stack_rows
from firstday.ranking import most_used


class LaterItems:
    """The most used items, and which of them each warm user uses, in all and after each day one.

    Parameters
    ----------
    uses
        Items that each warm user uses in all, shape (n_warm, n_items).
    day_ones
        Items used on day one in each sample, each of shape (n_warm, n_items); none where they are not known.
    most
        How many items, at most; see `choose_items`.
    """

    def __init__(self, uses: SparseRows, day_ones: Sequence[SparseRows], most: int) -> None:
        self.items, self.shares = choose_items(uses, most)
        self.n_users = uses.n_rows
        self._used = uses.keep_columns(self.items)
        known = [day_one.keep_columns(self.items) for day_one in day_ones]
        self._known = stack_rows(known) if known else None

    def used_by(self, users: np.ndarray) -> np.ndarray:
        """Return 1 for what users use in all, else 0, float32, shape (n, n_kept)."""
        rows = self._used.take(users)
        used = np.zeros((len(users), len(self.items)), dtype=np.float32)
        used[rows.row_of_entry(), rows.columns] = 1
        return used

    def wanted_after(self, rows: np.ndarray) -> np.ndarray:
        """Return 1 for what is used and was not on day one, else 0, float32, shape (n, n_kept).

        Parameters
        ----------
        rows
            Day ones as `FeatureRows` numbers them: sample x n_users + user, shape (n,).
        """
        wanted = self.used_by(rows % self.n_users)
        if self._known is not None:
            known = self._known.take(rows)
            wanted[known.row_of_entry(), known.columns] = 0
        return wanted


def choose_items(uses: SparseRows, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the most used items, ascending, and the share of users who use each; among equals the lower index.

    Parameters
    ----------
    uses
        Items that each warm user uses, shape (n_warm, n_items).
    most
        How many, at most; items that nobody uses are none.

    Returns
    -------
    items : numpy.ndarray
        int32, shape (n_kept,).
    shares : numpy.ndarray
        float64, shape (n_kept,).
    """
    counts = uses.ones().column_sums()
    chosen = most_used(counts, most)
    return chosen.astype(np.int32), counts[chosen] / max(1, uses.n_rows)
