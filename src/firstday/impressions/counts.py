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
    """Numbers of impressions per segment and item; counts of disjoint sets of users can be added (`add_shown`)."""

    shown: SparseRows  # impressions, shape (n_segments, n_items); an item counts once per list
    used: SparseRows  # impressions followed by a use, same shape

    def keep_segments(self, rows: np.ndarray) -> ShownCounts:
        """Select segments, given by row, in the given order."""
        return ShownCounts(self.shown.take(rows), self.used.take(rows))

    def of_items(self, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the numbers of impressions and of subsequent uses, each float32, shape (n_segments, n_items)."""
        columns = np.tile(items, (self.shown.n_rows, 1))
        return self.shown.at(columns), self.used.at(columns)


def add_shown(parts: Iterable[ShownCounts | None]) -> ShownCounts | None:
    """Add up counts of the same segments and items; None if all are None."""
    present = [part for part in parts if part is not None]
    if not present:
        return None
    shown = union_rows([part.shown for part in present])
    return ShownCounts(shown, union_rows([part.used for part in present]))


def count_shown(
    dataset: Dataset,
    users: np.ndarray,
    segments: np.ndarray,
    n_segments: int,
    config: SignalConfig,
    window: Window | None = None,
) -> ShownCounts | None:
    """Count the impressions of some users, and the uses that followed, by segment; None without impressions.

    A use with a list id is attributed to the impression of the item in that list. Any other use is attributed to the
    user's last impression of the item, if this was at most `signals.response_days` earlier. `users` are `user_ix` of
    the users to count, and `segments` their segments, shape (n,). Impressions and uses outside `window`, which has a
    row for each `user_ix`, are ignored.
    """
    if dataset.impressions is None:
        return None
    members = pl.DataFrame({"user_ix": users, "segment": segments}).cast({"user_ix": pl.Int32})
    codes = dataset.events.codes_of(ITEM, config.use)
    is_use = pl.col("pair").is_in(codes) & pl.col("timestamp").is_not_null()
    parts = []
    for frame, events in zip(dataset.impressions.frames(), dataset.events.frames(), strict=True):
        shown = frame.join(members, on="user_ix", maintain_order="left")
        uses = events.filter(is_use)
        if window is not None:
            shown = window.select(shown)
            uses = window.select(uses)
            # Ignore uses after the cut-off.
            end = pl.Series(window.end[shown["user_ix"].to_numpy()])
            is_before = (pl.col("used_at").to_physical() < end).fill_null(value=False)
            shown = shown.with_columns(pl.col("is_used") & is_before)
        uses = uses.rename({"target_ix": "item_ix"}).select(OF_USE)
        is_used = find_used(shown, uses, timedelta(days=config.response_days))
        parts.append(shown.select("segment", "item_ix", is_used=pl.Series(is_used)))
    shown = pl.concat(parts)
    counts = []
    for part in (shown, shown.filter("is_used")):
        rows, items = part.select("segment", "item_ix").to_numpy().T
        counts.append(SparseRows.from_pairs(rows, items, None, n_segments, len(dataset.items)))
    return ShownCounts(*counts)


def find_used(shown: pl.DataFrame, uses: pl.DataFrame, response_window: timedelta) -> np.ndarray:
    """Return a mask of the impressions that led to a use, bool, shape (n,).

    `shown` has the columns of `firstday.data.impressions.IMPRESSION_TYPES`, and `uses` has `OF_USE`, without
    nulls. `response_window` is the maximum time from an impression to a use without the list's id.
    """
    is_used = shown["is_used"].to_numpy().copy()
    list_uses = shown.filter("is_used").select("user_ix", "item_ix", timestamp="used_at")
    others = uses.join(list_uses, on=OF_USE, how="anti").sort("timestamp")
    timed = shown.select(*OF_USE).with_row_index("row").drop_nulls("timestamp")
    timed = timed.sort("timestamp", maintain_order=True)
    attributed = others.join_asof(  # to the last impression before the use
        timed, on="timestamp", by=["user_ix", "item_ix"], tolerance=response_window, check_sortedness=False
    )
    is_used[attributed["row"].drop_nulls().to_numpy()] = True
    return is_used
