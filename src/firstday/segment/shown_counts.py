"""How often each segment was shown an item, and used it after that: what impressions teach of items."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from firstday.sparse import SparseRows, union_rows


@dataclass(frozen=True, eq=False)
class ShownCounts:
    """Impressions per segment and item; counts of parts of the users add up (`add_shown`).

    Parameters
    ----------
    shown
        How often an item was shown to the segment's users, once in each list, shape (n_segments, n_items).
    used
        How often it was used after that, likewise.
    """

    shown: SparseRows
    used: SparseRows

    def keep_segments(self, rows: np.ndarray) -> ShownCounts:
        """Return the counts of the given segments, in the order given."""
        return ShownCounts(self.shown.take(rows), self.used.take(rows))

    def of_items(self, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return how often each segment was shown some items, and used them after that.

        Parameters
        ----------
        items
            Their `item_ix`, ascending, shape (n,).

        Returns
        -------
        shown, used : numpy.ndarray
            float32, shape (n_segments, n).
        """
        shown, used = (_fill(counts.keep_columns(items)) for counts in (self.shown, self.used))
        return shown, used


def add_shown(parts: Iterable[ShownCounts | None]) -> ShownCounts | None:
    """Add up counts of the same segments and items; None where there are none."""
    present = [part for part in parts if part is not None]
    if not present:
        return None
    return ShownCounts(union_rows([part.shown for part in present]), union_rows([part.used for part in present]))


def _fill(counts: SparseRows) -> np.ndarray:
    """Return a sparse matrix with its zeros, float32."""
    dense = np.zeros((counts.n_rows, counts.n_columns), dtype=np.float32)
    dense[counts.row_of_entry(), counts.columns] = counts.weights
    return dense
