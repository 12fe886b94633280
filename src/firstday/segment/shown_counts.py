"""Counts of impressions, and of uses that followed them, per segment and item."""

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
    """Impressions per segment and item; counts of disjoint sets of users add up (`add_shown`).

    Parameters
    ----------
    shown
        Impressions by segment and item, at most one per list, shape (n_segments, n_items).
    used
        Impressions followed by a use, same shape.
    """

    shown: SparseRows
    used: SparseRows

    def keep_segments(self, rows: np.ndarray) -> ShownCounts:
        """Return the counts of the given segments, in the given order."""
        return ShownCounts(self.shown.take(rows), self.used.take(rows))

    def of_items(self, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return impressions and subsequent uses of the items by segment, each float32, shape (n_segments, n)."""
        columns = np.tile(items, (self.shown.n_rows, 1))
        return self.shown.at(columns), self.used.at(columns)


def add_shown(parts: Iterable[ShownCounts | None]) -> ShownCounts | None:
    """Sum counts of the same segments and items; None if there are none."""
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
    """Count impressions of the given users, and their subsequent uses, by segment.

    A use with a list id is attributed to the item's impression in that list. Any other use is attributed to the user's
    last impression of the item, if at most `signals.response_days` earlier.

    Parameters
    ----------
    dataset
        All users, or part of them.
    users
        `user_ix` of the users to count, shape (n,).
    segments
        Segment of each user, integers, shape (n,).
    n_segments
        Number of segments.
    config
        Which signals are uses, and the attribution window.
    window
        Time window by `user_ix` of all users, for both impressions and uses; None: no limit.

    Returns
    -------
    ShownCounts
        None if the dataset has no impressions.
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
            # Ignore uses after the cut-off.
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
    """Return a mask, bool, of impressions that were used, by a use with the list's id or by another one soon after.

    `shown` has the columns of `firstday.data.impressions.Impressions`, `uses` those of `OF_USE`, all with timestamps;
    `within` is the attribution window of a use without the list's id.
    """
    is_used = shown["is_used"].to_numpy().copy()
    of_lists = shown.filter("is_used").select("user_ix", "item_ix", timestamp="used_at")
    others = uses.join(of_lists, on=OF_USE, how="anti").sort("timestamp")
    timed = shown.select(*OF_USE).with_row_index("row").drop_nulls("timestamp").sort("timestamp", maintain_order=True)
    answers = others.join_asof(  # to the last impression before the use
        timed, on="timestamp", by=["user_ix", "item_ix"], tolerance=within, check_sortedness=False
    )
    is_used[answers["row"].drop_nulls().to_numpy()] = True
    return is_used
