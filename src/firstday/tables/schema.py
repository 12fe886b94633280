"""Table schemas: columns, their kinds, and common alternative names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

import polars as pl

from firstday.tables.faults import Findings

Kind = Literal["id", "tag", "text", "time", "weight", "age", "vector", "position", "propensity", "group", "entity"]
"""Content of a column: a tag is an id that nothing refers to, a time is in UTC, an age in years."""
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
    copies_of
        Columns that may repeat across rows; only the earliest row counts.
    """

    kinds: Mapping[str, Kind]
    required: tuple[str, ...]
    unique: str | None = None
    others: Kind | None = None
    copies_of: tuple[str, ...] = ()


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
        copies_of=ASSIGNMENT,
    ),
    "embeddings/users": TableSchema({"user_id": "id", "vector": "vector"}, ("user_id", "vector"), "user_id"),
    "embeddings/items": TableSchema({"item_id": "id", "vector": "vector"}, ("item_id", "vector"), "item_id"),
}
"""Schemas by table name; users and items precede the tables that refer to them."""
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
ITEM = "item"
"""The recommended entity; every other entity (artist, genre, ...) is a set of items."""
UTC_MICROSECONDS = pl.Datetime("us", "UTC")
DAY_US = 86_400_000_000
OF_IMPRESSIONS = ("position", "propensity", "policy")
"""Columns of interactions that only impressions have; `list_id` may also attribute a use to a list."""
DEFAULT_SIGNAL = "stream"
RESERVED_GROUPS = ("interactions", "friends")
"""Keys with another meaning in a user's signals, which no profile column may use."""
WHOLE_NUMBER = r"^(0|-?[1-9][0-9]{0,17})$"
PANDAS_INDEX = r"Unnamed: \d+|__index_level_\d+__"
"""Columns that pandas writes for an index; in CSV, the index is a first column with an empty name."""


def missing_column(name: str, label: str, columns: Iterable[str]) -> str:
    """Return "users.user_id: the column is missing (found: User_ID, age); rename User_ID to user_id"."""
    present = list(columns)
    others = {fold_name(column): column for column in present if column not in TABLES[name].kinds}
    alike = get_close_matches(fold_name(label), others, 1)
    ids = [other for other in others if other.endswith("id")] if label.endswith("_id") else []
    guess, advice = alike or (ids if len(ids) == 1 else []), "add it"
    if guess:
        doubt = "" if guess[0] == fold_name(label) else " if that is what it holds"
        advice = f"rename {show_name(others[guess[0]])} to {label}{doubt}"
    return f"{name}.{label}: the column is missing (found: {', '.join(map(show_name, present))}); {advice}"


def hint_at_name(name: str, label: str, columns: Iterable[str]) -> str:
    """Suggest the absent optional column of which this name is a spelling variant; else ""."""
    known = [*TABLES[name].kinds, *(["genre"] if name == "items" else [])]
    absent = [column for column in known if column not in columns and column not in TABLES[name].required]
    meant = [column for column in absent if fold_name(label).removesuffix("s") == fold_name(column).removesuffix("s")]
    return f"; rename it to {meant[0]} if that is what it holds" if meant else ""


def fold_name(label: str) -> str:
    """Normalise a column name for comparison: ``userid`` for ``User_ID``."""
    return re.sub(r"[\W_]", "", label.lower())


def show_name(label: str) -> str:
    """Format a column name for a message, in quotes if it is empty or has surrounding spaces."""
    return label if label and label == label.strip() else repr(label)


def note_pandas_index(name: str, label: str, findings: Findings) -> None:
    """Note that an index column is ignored, and how to write a table without it."""
    advice = "it is the index of a pandas table, and index=False leaves it out"
    findings.note(f"{name}: the column {label!r} was ignored; {advice}.")
