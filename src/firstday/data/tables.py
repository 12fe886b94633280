"""The tables that firstday reads: their columns, types and rules.

`reading` brings files into frames, `columns` brings their columns to the types below, `checks` finds what is wrong
with them, `assemble` makes the Dataset.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import polars as pl

from firstday.data.events import ITEM
from firstday.data.ids import Ids

Kind = Literal["id", "text", "time", "number", "age", "vector"]
"""What a column holds: an id, one word or title, a moment in UTC, a number, years of age, or a list of numbers."""

Frames = Mapping[str, pl.DataFrame]
"""Tables by name, every column in its final type."""


@dataclass(frozen=True)
class TableRule:
    """What one table may hold.

    Parameters
    ----------
    kinds
        The kind of each column that firstday knows, in the order of the documentation.
    required
        Columns that must be there (interactions have one more rule, see `checks`).
    unique
        The id column that may not repeat, or None.
    """

    kinds: Mapping[str, Kind]
    required: tuple[str, ...]
    unique: str | None = None


TABLES: Mapping[str, TableRule] = {
    "interactions": TableRule(
        {
            "user_id": "id",
            "item_id": "id",
            "entity": "text",
            "entity_id": "id",
            "signal": "text",
            "timestamp": "time",
            "weight": "number",
        },
        ("user_id",),
    ),
    "users": TableRule({"user_id": "id", "registered_at": "time", "age": "age"}, ("user_id",), "user_id"),
    "items": TableRule({"item_id": "id", "title": "text"}, ("item_id",), "item_id"),
    "collections": TableRule(
        {"entity": "text", "entity_id": "id", "item_id": "id"}, ("entity", "entity_id", "item_id")
    ),
    "friends": TableRule({"user_id": "id", "friend_id": "id"}, ("user_id", "friend_id")),
    "embeddings/users": TableRule({"user_id": "id", "vector": "vector"}, ("user_id", "vector"), "user_id"),
    "embeddings/items": TableRule({"item_id": "id", "vector": "vector"}, ("item_id", "vector"), "item_id"),
}

KEPT_FOR_LATER = ("names",)
"""Tables that a folder may hold and nothing reads yet: what artists, albums, playlists are called."""

USER_COLUMNS = (
    ("users", "user_id"),
    ("interactions", "user_id"),
    ("friends", "user_id"),
    ("friends", "friend_id"),
    ("embeddings/users", "user_id"),
)
"""Where users are named."""

ITEM_COLUMNS = (
    ("items", "item_id"),
    ("interactions", "item_id"),
    ("collections", "item_id"),
    ("embeddings/items", "item_id"),
)
"""Where items are named."""

MAX_AGE_YEARS = 120
MAX_GROUP_VALUES = 5_000
"""A user column of more distinct values than this is taken for free text, not for a group."""
FEW_GROUP_VALUES = 50
"""A user column of more distinct values than this, and than half the users, is taken for names or addresses."""

DEFAULT_SIGNAL = "stream"


def entity_of_column(column: str) -> str:
    """Return the entity that a column of `items` names: ``artist`` for ``artist_id``."""
    return column.removesuffix("_id")


def all_ids(frames: Frames, home: Literal["users", "items"]) -> Ids:
    """Return every user's or every item's id, sorted."""
    return Ids.of(frames[home][TABLES[home].required[0]].drop_nulls().unique().sort())


def entity_members(frames: Frames) -> dict[str, pl.DataFrame]:
    """Return the members of each entity other than items, by name: columns `entity_id` (String) and `item_id`.

    They come from the entity columns of `items` and from `collections`; an entity in both is the union.
    """
    parts: dict[str, list[pl.DataFrame]] = {}
    if "items" in frames:
        items = frames["items"]
        for column in items.columns:
            if column not in TABLES["items"].kinds:
                pairs = items.select(pl.col(column).alias("entity_id"), "item_id").explode("entity_id")
                parts.setdefault(entity_of_column(column), []).append(pairs)
    if "collections" in frames:
        for (name,), rows in frames["collections"].group_by("entity"):
            if name != ITEM:
                pairs = rows.select(pl.col("entity_id").cast(pl.String), "item_id")
                parts.setdefault(str(name), []).append(pairs)
    return {name: pl.concat(parts[name]).drop_nulls().unique() for name in sorted(parts)}
