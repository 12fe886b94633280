"""Impressions: items shown to users, stored apart from interactions, in partitions that fit into memory."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from firstday.config import SHOWN
from firstday.data.events import HAS_TIME_OF_DAY, UTC_MICROSECONDS
from firstday.tables.faults import Findings

IMPRESSION_TYPES: dict[str, pl.DataType] = {
    "user_ix": pl.Int32(),
    "item_ix": pl.Int32(),
    "timestamp": UTC_MICROSECONDS,
    "list_id": pl.String(),
    "position": pl.Int32(),
    "propensity": pl.Float32(),
    "policy": pl.String(),
    "is_used": pl.Boolean(),
    "used_at": UTC_MICROSECONDS,
}
"""Columns of impressions, one row per item shown to a user.

- `timestamp`: when it was shown, null if unknown
- `list_id`: null if it was shown alone; `position`: from 1, 0 if unknown
- `propensity`: the policy's probability of showing it there, NaN if unknown; `policy`: null if unknown
- `is_used`: whether a use of the item by the user carries the list's id; `used_at`: time of the first such use, null
  if it has none
"""
WRITTEN_TYPES: dict[str, pl.DataType] = {
    **{name: kind for name, kind in IMPRESSION_TYPES.items() if name not in ("is_used", "used_at")},
    "is_shown": pl.Boolean(),
}
"""Columns while reading: impressions, and uses that carry a list's id."""
USER_INDEX, TARGET_INDEX = "firstday: index of the user", "firstday: index of the item or entity member"
"""Index columns of interactions, -1 if unknown."""
IMPRESSION_ORDER = ("user_ix", "timestamp", "list_id", "position", "item_ix", "propensity", "policy")
"""Sort key of the rows in a partition; makes the result independent of input order."""
ONE_PLACE = ("user_ix", "item_ix", "list_id")
"""Identity of an item in a list, which counts once."""
_IS_NEW = (
    pl.when(pl.col("list_id").is_not_null())
    .then(pl.struct(ONE_PLACE).is_first_distinct())
    .otherwise(pl.struct("user_ix", "item_ix", "timestamp").is_first_distinct() | ~HAS_TIME_OF_DAY)
)
"""Mask of sorted rows that are not duplicates: a list shows an item once, and so does one moment without a list."""


def take_impressions(rows: pl.DataFrame, use: Collection[str]) -> pl.DataFrame:
    """Select impressions, and uses that carry a list's id, from valid interactions; add columns of `WRITTEN_TYPES`.

    Rows about other entities than items are dropped.
    """
    signal, weight = pl.col("signal"), pl.col("weight").fill_null(1.0)
    is_use = signal.is_in(use) & pl.col("list_id").is_not_null() & (weight > 0)
    taken = rows.filter(pl.col("entity").is_null() & ((signal == SHOWN) | is_use))
    return taken.with_columns(
        pl.col("position").fill_null(0),
        pl.col("propensity").cast(pl.Float32).fill_null(float("nan")),
        user_ix=USER_INDEX,
        item_ix=TARGET_INDEX,
        is_shown=signal == SHOWN,
    )


def clean_impressions(rows: pl.DataFrame, findings: Findings) -> pl.DataFrame:
    """Build the impressions of a partition from `WRITTEN_TYPES` rows, dropping duplicates."""
    shown = rows.filter("is_shown").drop("is_shown").sort(IMPRESSION_ORDER)
    distinct = shown.filter(_IS_NEW)
    findings.note_rows(
        "interactions",
        shown.height - distinct.height,
        shown.height,
        "repeat another impression (same user, list and item; without a list: same moment); each is counted once",
    )
    uses = rows.remove("is_shown").group_by(ONE_PLACE)
    first_uses = uses.agg(used_at=pl.col("timestamp").min(), is_used=pl.lit(value=True))
    marked = distinct.join(first_uses, on=ONE_PLACE, how="left", maintain_order="left")
    marked = marked.with_columns(pl.col("is_used").fill_null(value=False))
    return marked.select(pl.col(name).cast(kind) for name, kind in IMPRESSION_TYPES.items())
