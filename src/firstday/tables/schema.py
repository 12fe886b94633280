"""Table schemas: columns, their kinds, and common alternative names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import polars as pl

Kind = Literal["id", "tag", "text", "time", "weight", "age", "vector", "position", "propensity", "group", "entity"]
"""Kind of a column's values. A tag is an id that no table refers to; times are in UTC, ages in years."""
Frames = Mapping[str, pl.DataFrame]
"""Tables by name, with every column in its final type."""


@dataclass(frozen=True)
class TableSchema:
    """Schema of a table.

    Parameters
    ----------
    kinds
        Kind of each column of the schema, in the order of the documentation.
    required
        Required columns; interactions also need ``item_id`` or ``entity`` (`firstday.data.interactions`).
    unique
        Id column that must be unique, or None.
    others
        Kind of all other columns; None ignores them.
    """

    kinds: Mapping[str, Kind]
    required: tuple[str, ...]
    unique: str | None = None
    others: Kind | None = None


ASSIGNMENT = ("user_id", "experiment", "variant")
TABLES: Mapping[str, TableSchema] = {
    "interactions": TableSchema(
        {
            "user_id": "id",
            "item_id": "id",
            "entity": "text",
            "entity_id": "id",
            "signal": "text",
            "timestamp": "time",
            "weight": "weight",
            "list_id": "tag",
            "position": "position",
            "propensity": "propensity",
            "policy": "text",
        },
        ("user_id",),
    ),
    "users": TableSchema({"user_id": "id", "registered_at": "time", "age": "age"}, ("user_id",), "user_id", "group"),
    "items": TableSchema({"item_id": "id", "title": "text", "added_at": "time"}, ("item_id",), "item_id", "entity"),
    "collections": TableSchema(
        {"entity": "text", "entity_id": "id", "item_id": "id"}, ("entity", "entity_id", "item_id")
    ),
    "names": TableSchema({"entity": "text", "entity_id": "id", "name": "text"}, ("entity", "entity_id", "name")),
    "friends": TableSchema({"user_id": "id", "friend_id": "id"}, ("user_id", "friend_id")),
    "assignments": TableSchema(
        {"user_id": "id", "experiment": "text", "variant": "text", "assigned_at": "time"},
        ASSIGNMENT,
    ),
    "embeddings/users": TableSchema({"user_id": "id", "vector": "vector"}, ("user_id", "vector"), "user_id"),
    "embeddings/items": TableSchema({"item_id": "id", "vector": "vector"}, ("item_id", "vector"), "item_id"),
}
"""Schemas by table name; users and items come before the tables that refer to them."""
USER_COLUMNS = (
    ("users", "user_id"),
    ("interactions", "user_id"),
    ("friends", "user_id"),
    ("friends", "friend_id"),
    ("assignments", "user_id"),
    ("embeddings/users", "user_id"),
)
"""All columns with user ids, starting with the primary key of `users`."""
ITEM_COLUMNS = (
    ("items", "item_id"),
    ("interactions", "item_id"),
    ("collections", "item_id"),
    ("embeddings/items", "item_id"),
)
"""All columns with item ids, starting with the primary key of `items`."""
RECOMMENDABLE = "recommendable"
"""Boolean column of items; false: the item is never recommended."""
ITEM = "item"
"""The recommended entity; every other entity (artist, genre, ...) is a set of items."""
UTC_MICROSECONDS = pl.Datetime("us", "UTC")
DAY_US = 86_400_000_000
IMPRESSION_COLUMNS = ("position", "propensity", "policy")
"""Columns of interactions that only impressions have. (`list_id` may also attribute a use to a list.)"""
DEFAULT_SIGNAL = "stream"
RESERVED_GROUPS = ("interactions", "friends")
"""Keys with another meaning in a user's signals, which no profile column may use."""
WHOLE_NUMBER = r"^(0|-?[1-9][0-9]{0,17})$"
NAMELESS = r"\s*|Unnamed: \d+|__index_level_\d+__"
"""Pattern of empty column names and of names that pandas gives to an index."""


def missing_column(name: str, label: str, columns: Iterable[str], advice: str = "add it") -> str:
    """Return "users.user_id: the column is missing (found: User_ID, age); rename 'User_ID' to user_id."."""
    present = list(columns)
    variants = [column for column in present if fold_name(column) == fold_name(label)]
    advice = f"rename {variants[0]!r} to {label}" if variants else advice
    return f"{name}.{label}: the column is missing (found: {', '.join(present)}); {advice}."


def fold_name(label: str) -> str:
    """Normalise a column name for comparison: ``userid`` for ``User_ID``."""
    return re.sub(r"[\W_]", "", label.lower())
