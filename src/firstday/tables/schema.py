"""Table schemas: columns and their kinds."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import polars as pl

from firstday.errors import Fault

Kind = Literal[
    "id",
    "ids",
    "text",
    "time",
    "weight",
    "rating",
    "age",
    "vector",
    "position",
    "propensity",
    "outcome",
    "group",
    "entity",
    "other",
]
Frames = Mapping[str, pl.DataFrame]
"""Tables by name, with every column in its final type."""


@dataclass(frozen=True)
class TableSchema:
    """The kinds of a table's columns, in the order of the documentation, and which columns are required.

    Interactions also need ``item_id`` or ``entity`` (`firstday.data.interactions`). `others` is the kind of all other
    columns.
    """

    kinds: Mapping[str, Kind]
    required: tuple[str, ...]
    others: Kind = "other"


ASSIGNMENT = ("user_id", "experiment", "variant")
RECOMMENDABLE = "recommendable"
"""Boolean column of items; false: the item is never recommended."""
UPDATED = "firstday: updated"
"""Column of checked items: whether `item_updates` changed a value."""
EXPIRES_AT = "expires_at"
"""Column of items with the time from which on the item is not recommended."""
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
            "rating": "rating",
            "list_id": "id",
            "position": "position",
            "propensity": "propensity",
            "policy": "text",
        },
        ("user_id",),
    ),
    "users": TableSchema(
        {"user_id": "id", "registered_at": "time", "age": "age", "guest_ids": "ids"}, ("user_id",), "group"
    ),
    "items": TableSchema(
        {
            "item_id": "id",
            "title": "text",
            "description": "text",
            "vector": "vector",
            "added_at": "time",
            EXPIRES_AT: "time",
        },
        ("item_id",),
        "entity",
    ),
    "item_updates": TableSchema(
        {"item_id": "id", "title": "text", "description": "text", "added_at": "time", "expires_at": "time"},
        ("item_id",),
        "entity",
    ),
    "collections": TableSchema(
        {"entity": "text", "entity_id": "id", "item_id": "id"}, ("entity", "entity_id", "item_id")
    ),
    "names": TableSchema({"entity": "text", "entity_id": "id", "name": "text"}, ("entity", "entity_id", "name")),
    "friends": TableSchema({"user_id": "id", "friend_id": "id"}, ("user_id", "friend_id")),
    "assignments": TableSchema(
        {"user_id": "id", "experiment": "text", "variant": "text", "assigned_at": "time"},
        ASSIGNMENT,
    ),
    "embeddings/users": TableSchema({"user_id": "id", "vector": "vector"}, ("user_id", "vector")),
    "embeddings/items": TableSchema({"item_id": "id", "vector": "vector"}, ("item_id", "vector")),
}
"""Schemas by table name; users and items come before the tables that refer to them or update them."""
HOMES = {"user_id": "users", "friend_id": "users", "item_id": "items"}
"""The table that an id column refers to."""
ITEM = "item"
"""The recommended entity; every other entity (artist, genre, ...) is a set of items."""
UTC_MICROSECONDS = pl.Datetime("us", "UTC")
TIME_TEXT = "%Y-%m-%dT%H:%M:%SZ"
"""Form of times in columns that filters read."""
DAY_US = 86_400_000_000
IMPRESSION_COLUMNS = ("position", "propensity", "policy")
"""Columns of interactions that only impressions have. (`list_id` may also attribute a use to a list.)"""
DEFAULT_SIGNAL = "stream"
WHOLE_NUMBER = r"^(0|-?[1-9][0-9]{0,17})$"
NAMELESS = r"\s*|Unnamed: \d+|__index_level_\d+__"
"""Pattern of empty column names and of names that pandas gives to an index."""

_PERSON = "user|customer|member|account|visitor|reviewer|player|client|household"
_WORK = "item|product|track|song|movie|film|book|article|video|episode|podcast|game"
OTHER_NAMES: Mapping[str, str] = {
    "user_id": rf"id|({_PERSON}|u)(id|uuid|key|no|number|name)?",
    "item_id": rf"{_WORK}|(?!{_PERSON}|rating|event|order|session|row|line|invoice|entity).*(id|sku|asin|isbn|code)",
    "signal": r"(event|action|behaviou?r)(type|name)?|type",
    "timestamp": r"(?!play|run).*(date|time|stamp|posted|created).*|when|ts|(.*ed)?at|day",
    "weight": r".*(count|plays|quantity|hours|minutes|duration|playtime).*",
    "rating": r".*(rating|star|score|grade)s?",
    "registered_at": r".*(regist|signup|join|since|created).*",
    "title": r".*(name|title)",
    "added_at": r".*(date|published|posted|created).*",
    "friend_id": r".*(friend|follow|trust).*",
}
"""Patterns of other names of columns, as normalised by `fold_name`."""


def find_nearest(table: str, column: str, present: Collection[str]) -> str:
    """Return the first column of a table that a column with another name may be, and that is absent; "" if none."""
    name = fold_name(column)
    kinds = TABLES[table].kinds
    for label in () if column in kinds and column in present else kinds:
        if label not in present and re.fullmatch(f"{fold_name(label)}|{OTHER_NAMES.get(label, '-')}", name):
            return label
    return ""


def name_column(label: str, *columns: str) -> str:
    """Return how to read a column, or one of several, as another."""
    options = " or ".join(f"--column {shlex.quote(f'{column.strip()}={label}')}" for column in columns)
    names = ", ".join(map(repr, columns))
    return f"rename {'the right one of ' * (len(columns) > 1)}{names} to {label}, or add {options}"


def missing_column(name: str, label: str, columns: Iterable[str], advice: str = "add it") -> Fault:
    """Return "users.user_id: the column is missing (found: ID); rename 'ID' to user_id, or add --column ID=..."."""
    present = list(columns)
    variants = [column for column in present if find_nearest(name, column, present) == label]
    advice = name_column(label, *variants) if variants else advice
    return Fault("missing_column", f"the column is missing (found: {', '.join(present)}); {advice}.", name, label)


def fold_name(label: str) -> str:
    """Normalise a column name for comparison: ``userid`` for ``User_ID``."""
    return re.sub(r"[\W_]", "", label.lower())
