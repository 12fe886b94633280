"""How often each segment was shown an item, and used it after that: what impressions teach of items."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl

from firstday.config import SignalConfig
from firstday.data.dataset import Dataset
from firstday.data.events import ITEM, Window
from firstday.display import readable
from firstday.sparse import SparseRows, union_rows

OF_USE = ("user_ix", "item_ix", "timestamp")


@readable
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
        columns = np.tile(items, (self.shown.n_rows, 1))
        return self.shown.at(columns), self.used.at(columns)


def add_shown(parts: Iterable[ShownCounts | None]) -> ShownCounts | None:
    """Add up counts of the same segments and items; None where there are none."""
    present = [part for part in parts if part is not None]
    if not present:
        return None
    return ShownCounts(union_rows([part.shown for part in present]), union_rows([part.used for part in present]))


def count_shown(
    dataset: Dataset,
    users: np.ndarray,
    segments: np.ndarray,
    n_segments: int,
    config: SignalConfig,
    window: Window | None = None,
) -> ShownCounts | None:
    """Count what was shown to some users, by their segments, and what of it they used.

    A use that carries a list's id is a use of the item of that list. Another use counts for the last time when the item
    was shown to the user, if that was at most `signals.response_days` before it.

    Parameters
    ----------
    dataset
        All users, or a part of them.
    users
        `user_ix` of those who count, shape (n,).
    segments
        Their segments, integers, shape (n,).
    n_segments
        How many segments there are.
    config
        What counts as use, and how long after.
    window
        By `user_ix` of all users: only impressions and uses within it count; None: all.

    Returns
    -------
    ShownCounts
        None where the dataset has no impressions.
    """
    if dataset.impressions is None:
        return None
    n_items = len(dataset.items)
    segment_of_user = np.full(len(dataset.users), -1, dtype=np.int64)
    segment_of_user[users] = segments
    codes = [code for code, (signal, of) in enumerate(dataset.events.pairs) if of == ITEM and signal in config.use]
    within = timedelta(days=config.response_days)
    shown_pairs, used_pairs = [], []
    for frame, events in zip(dataset.impressions.frames(), dataset.events.frames(), strict=True):
        shown = frame.filter(pl.Series(segment_of_user[frame["user_ix"].to_numpy()] >= 0))
        uses = events.filter(pl.col("pair").is_in(codes) & pl.col("timestamp").is_not_null())
        if window is not None:
            shown, uses = window.select(shown), window.select(uses)
            # Not what was used after the cut-off.
            end = pl.Series(window.end[shown["user_ix"].to_numpy()])
            shown = shown.with_columns(
                pl.col("is_used") & (pl.col("used_at").to_physical() < end).fill_null(value=False)
            )
        is_used = find_used(shown, uses.rename({"target_ix": "item_ix"}).select(OF_USE), within)
        pairs = np.stack([segment_of_user[shown["user_ix"].to_numpy()], shown["item_ix"].to_numpy()])
        shown_pairs.append(pairs)
        used_pairs.append(pairs[:, is_used])
    counts = []
    for parts in (shown_pairs, used_pairs):
        rows, columns = np.concatenate(parts, axis=1)
        counts.append(SparseRows.from_pairs(rows, columns, None, n_segments, n_items))
    return ShownCounts(*counts)


def find_used(shown: pl.DataFrame, uses: pl.DataFrame, within: timedelta) -> np.ndarray:
    """Tell which impressions were used: by a use that carries the list's id, or by another one soon after.

    Parameters
    ----------
    shown
        Impressions, columns as in `firstday.data.impressions.Impressions`.
    uses
        Columns as in `OF_USE`, each with a time.
    within
        How long after an impression a use without its list's id is an answer to it.

    Returns
    -------
    numpy.ndarray
        bool, shape (n_rows,).
    """
    is_used = shown["is_used"].to_numpy().copy()
    of_lists = shown.filter("is_used").select("user_ix", "item_ix", timestamp="used_at")
    others = uses.join(of_lists, on=OF_USE, how="anti").sort("timestamp")
    timed = shown.select(*OF_USE).with_row_index("row").drop_nulls("timestamp").sort("timestamp", maintain_order=True)
    answers = others.join_asof(  # to the last time when the item was shown before
        timed, on="timestamp", by=["user_ix", "item_ix"], tolerance=within, check_sortedness=False
    )
    is_used[answers["row"].drop_nulls().to_numpy()] = True
    return is_used
