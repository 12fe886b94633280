"""Impressions: items shown to users, stored separately from interactions, in partitions that fit into memory."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import polars as pl

from firstday.config import SHOWN
from firstday.data.events import HAS_TIME_OF_DAY, UTC_MICROSECONDS
from firstday.data.user_rows import Parts, UserRows, join_rows, renumber_users
from firstday.tables.faults import Findings

_SHOWN_TYPES: dict[str, pl.DataType] = {
    "user_ix": pl.Int32(),
    "item_ix": pl.Int32(),
    "timestamp": UTC_MICROSECONDS,
    "list_id": pl.String(),
    "position": pl.Int32(),
    "propensity": pl.Float32(),
    "policy": pl.String(),
}
IMPRESSION_TYPES = {**_SHOWN_TYPES, "is_used": pl.Boolean(), "used_at": UTC_MICROSECONDS}
"""Columns of impressions, one row per item shown to a user.

- `timestamp`: when it was shown, null if unknown
- `list_id`: null if the item was not shown in a list; `position`: from 1, 0 if unknown
- `propensity`: probability that the policy shows the item there, NaN if unknown; `policy`: null if unknown
- `is_used`: whether the user used the item with the list's id; `used_at`: time of the first such use, null if unknown
"""
WRITTEN_TYPES = {**_SHOWN_TYPES, "is_shown": pl.Boolean()}
"""Columns while reading: impressions, and uses with a list id."""
USER_INDEX, TARGET_INDEX = "firstday: index of the user", "firstday: index of the item or entity member"
"""Index columns of interactions, -1 if unknown."""
IMPRESSION_ORDER = ("user_ix", "timestamp", "list_id", "position", "item_ix", "propensity", "policy")
"""Sort key of the rows in a partition; makes the result independent of input order."""
LISTED_ITEM = ("user_ix", "item_ix", "list_id")
"""Key of an item in a list, which is counted once."""
_IS_NEW = (
    pl.when(pl.col("list_id").is_not_null())
    .then(pl.struct(LISTED_ITEM).is_first_distinct())
    .otherwise(pl.struct("user_ix", "item_ix", "timestamp").is_first_distinct() | ~HAS_TIME_OF_DAY)
)
"""Mask of sorted rows that are not duplicates: an item is shown once per list, or without a list, once per time."""


def select_impressions(rows: pl.DataFrame, use: Collection[str]) -> pl.DataFrame:
    """Select impressions, and uses with a list id, from valid interactions; add the columns of `WRITTEN_TYPES`.

    Rows about entities other than items are dropped.
    """
    signal = pl.col("signal")
    weight = pl.col("weight").fill_null(1.0)
    is_use = signal.is_in(use) & pl.col("list_id").is_not_null() & (weight > 0)
    selected = rows.filter(pl.col("entity").is_null() & ((signal == SHOWN) | is_use))
    return selected.with_columns(
        pl.col("position").fill_null(0),
        pl.col("propensity").cast(pl.Float32).fill_null(float("nan")),
        user_ix=USER_INDEX,
        item_ix=TARGET_INDEX,
        is_shown=signal == SHOWN,
    )


def clean_impressions(rows: pl.DataFrame, findings: Findings) -> pl.DataFrame:
    """Build the impressions of a partition from rows with `WRITTEN_TYPES`, without duplicates."""
    impressions = rows.filter("is_shown").drop("is_shown").sort(IMPRESSION_ORDER)
    distinct = impressions.filter(_IS_NEW)
    findings.note_rows(
        "interactions",
        impressions.height - distinct.height,
        impressions.height,
        "are duplicate impressions (same user, list and item; without a list: same time); each is counted once",
    )
    uses = rows.remove("is_shown").group_by(LISTED_ITEM)
    first_uses = uses.agg(used_at=pl.col("timestamp").min(), is_used=pl.lit(True))
    marked = distinct.join(first_uses, on=LISTED_ITEM, how="left", maintain_order="left")
    return marked.with_columns(pl.col("is_used").fill_null(False)).select(*IMPRESSION_TYPES)


def keep_shown_to(impressions: UserRows, new_ix: np.ndarray) -> UserRows | None:
    """Return the impressions of some users, see `UserRows.keep_users`; None if there are none."""
    return impressions.keep_users(new_ix) or None


def keep_shown_items(impressions: UserRows, new_ix: np.ndarray) -> UserRows | None:
    """Replace items by their new indexes, without those whose new index is -1; None if none is left."""
    return impressions.map(lambda rows: renumber_users(rows, new_ix, "item_ix")) or None


def keep_shown_before(impressions: UserRows, now: pl.Expr) -> UserRows | None:
    """Return the impressions and their uses before a time; None if there are none."""
    used_before = pl.col("used_at") < now
    is_used = pl.col("is_used") & used_before.fill_null(False)
    used_at = pl.when(used_before).then("used_at")
    past = impressions.map(lambda rows: rows.filter(pl.col("timestamp") < now))
    return past.map(lambda rows: rows.with_columns(is_used=is_used, used_at=used_at)) or None


def join_shown(parts: Parts, n_users: int) -> UserRows | None:
    """Join the impressions of disjoint users."""
    return join_rows(parts, n_users, IMPRESSION_TYPES, lambda frame: frame.sort(IMPRESSION_ORDER)) or None
