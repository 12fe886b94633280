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
    """Counts of impressions, by what followed, per segment and item, shape (n_segments, n_items).

    Counts of disjoint sets of users can be added (`add_shown`).
    """

    shown: SparseRows  # impressions; an item counts once per list
    used: SparseRows  # impressions followed by a use

    def keep_segments(self, rows: np.ndarray) -> ShownCounts:
        """Select segments, given by row, in the given order."""
        return ShownCounts(*(counts.take(rows) for counts in vars(self).values()))


def add_shown(parts: Iterable[ShownCounts | None]) -> ShownCounts | None:
    """Add up counts of the same segments and items; None if all are None."""
    present = [vars(part).values() for part in parts if part is not None]
    return ShownCounts(*map(union_rows, zip(*present, strict=True))) if present else None


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
    response_window = timedelta(days=config.response_days)
    parts = []
    for frame, events in zip(dataset.impressions.frames(), dataset.events.frames(), strict=True):
        shown = frame.join(members, on="user_ix", maintain_order="left")
        uses = events.filter(is_use).rename({"target_ix": "item_ix"})
        if window is not None:
            shown = _forget_later_uses(window.select(shown), window)
            uses = window.select(uses)
        is_used = find_used(shown, uses.select(OF_USE), response_window)
        parts.append(shown.select("segment", "item_ix", is_used=pl.Series(is_used)))
    shown = pl.concat(parts)
    shape = n_segments, len(dataset.items)
    return ShownCounts(shown=_count(shown, shape), used=_count(shown.filter("is_used"), shape))


def _forget_later_uses(shown: pl.DataFrame, window: Window) -> pl.DataFrame:
    """Return impressions without the uses after the end of a window."""
    end = pl.Series(window.end[shown["user_ix"].to_numpy()])
    is_before = (pl.col("used_at").to_physical() < end).fill_null(value=False)
    return shown.with_columns(pl.col("is_used") & is_before)


def _count(shown: pl.DataFrame, shape: tuple[int, int]) -> SparseRows:
    """Count impressions by segment and item."""
    segments, items = shown.select("segment", "item_ix").to_numpy().T
    return SparseRows.from_pairs(segments, items, None, *shape)


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
