"""The tables that firstday reads: their columns, the kinds of these, and the names that people give them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

import polars as pl

from firstday.tables.faults import Findings

Kind = Literal["id", "tag", "text", "time", "weight", "age", "vector", "position", "propensity", "group", "entity"]
"""What a column holds; a tag is an id that nothing else refers to, a time a moment in UTC, an age one in years."""
Frames = Mapping[str, pl.DataFrame]
"""Tables by name, every column in its final type."""


@dataclass(frozen=True)
class TableSchema:
    """What one table may hold.

    Parameters
    ----------
    kinds
        The kind of each column that firstday knows, in the order of the documentation.
    required
        Columns that must be there; interactions also need ``item_id`` or ``entity`` (`firstday.data.interactions`).
    unique
        The id column that may not repeat, or None.
    others
        The kind of all other columns; None where these are ignored.
    copies_of
        Columns that may be alike in several rows, of which the earliest counts.
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
"""What each table may hold; users and items come before the tables that name them."""
USER_COLUMNS = (
    ("users", "user_id"),
    ("interactions", "user_id"),
    ("friends", "user_id"),
    ("friends", "friend_id"),
    ("assignments", "user_id"),
    ("embeddings/users", "user_id"),
)
"""Every column with ids of users; the first is the table of users."""
ITEM_COLUMNS = (
    ("items", "item_id"),
    ("interactions", "item_id"),
    ("collections", "item_id"),
    ("embeddings/items", "item_id"),
)
"""Every column with ids of items; the first is the table of items."""
ITEM = "item"
"""The entity that is recommended; every other entity (artist, genre, ...) is a set of items."""
UTC_MICROSECONDS = pl.Datetime("us", "UTC")
DAY_US = 86_400_000_000
OF_IMPRESSIONS = ("position", "propensity", "policy")
"""Columns of interactions that say something of impressions alone; a list's id may stand beside a use, too."""
DEFAULT_SIGNAL = "stream"
RESERVED_GROUPS = ("interactions", "friends")
"""Names with another meaning in a user's signals, so that no profile column can have them."""
WHOLE_NUMBER = r"^(0|-?[1-9][0-9]{0,17})$"
PANDAS_INDEX = r"Unnamed: \d+|__index_level_\d+__"
"""Columns that pandas makes of a table's index; in CSV, the first column also has an empty name."""


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
    """Return a hint where a column's name is that of a known optional one but for its spelling; else ""."""
    known = [*TABLES[name].kinds, *(["genre"] if name == "items" else [])]
    absent = [column for column in known if column not in columns and column not in TABLES[name].required]
    meant = [column for column in absent if fold_name(label).removesuffix("s") == fold_name(column).removesuffix("s")]
    return f"; rename it to {meant[0]} if that is what it holds" if meant else ""


def fold_name(label: str) -> str:
    """Return a column's name as spellings are compared: ``userid`` for ``User_ID``."""
    return re.sub(r"[\W_]", "", label.lower())


def show_name(label: str) -> str:
    """Return a column's name for a sentence, in quotes where it would be hard to see."""
    return label if label and label == label.strip() else repr(label)


def note_pandas_index(name: str, label: str, findings: Findings) -> None:
    """Note that a column is ignored, and how to write a table without it."""
    advice = "it is the index of a pandas table, and index=False leaves it out"
    findings.note(f"{name}: the column {label!r} was ignored; {advice}.")
