"""The tables that firstday reads: their columns, types and rules, the faults in them, and conversion to the types."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

import polars as pl

from firstday.config import SHOWN
from firstday.data.categories import conform_entity, conform_group, entity_of_column
from firstday.data.columns import CONVERSIONS, WORDS, Column, words_of
from firstday.data.events import ITEM
from firstday.data.faults import FILE, ROW, Findings, Reasons
from firstday.data.ids import Ids
from firstday.data.impressions import OF_IMPRESSIONS

Kind = Literal["id", "label", "text", "time", "weight", "age", "vector", "position", "propensity"]
"""What a column holds: an id, an id that nothing else refers to, one word or title, a moment in UTC, a weight, years of
age, a list of numbers, a place in a list, or a probability."""
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
        Columns that must be there (interactions have one more rule, see `firstday.data.checks`).
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
            "weight": "weight",
            "list_id": "label",
            "position": "position",
            "propensity": "propensity",
            "policy": "text",
        },
        ("user_id",),
    ),
    "users": TableRule({"user_id": "id", "registered_at": "time", "age": "age"}, ("user_id",), "user_id"),
    "items": TableRule({"item_id": "id", "title": "text", "added_at": "time"}, ("item_id",), "item_id"),
    "collections": TableRule(
        {"entity": "text", "entity_id": "id", "item_id": "id"}, ("entity", "entity_id", "item_id")
    ),
    "names": TableRule({"entity": "text", "entity_id": "id", "name": "text"}, ("entity", "entity_id", "name")),
    "friends": TableRule({"user_id": "id", "friend_id": "id"}, ("user_id", "friend_id")),
    "assignments": TableRule(
        {"user_id": "id", "experiment": "text", "variant": "text", "assigned_at": "time"},
        ("user_id", "experiment", "variant"),
    ),
    "embeddings/users": TableRule({"user_id": "id", "vector": "vector"}, ("user_id", "vector"), "user_id"),
    "embeddings/items": TableRule({"item_id": "id", "vector": "vector"}, ("item_id", "vector"), "item_id"),
}
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
DEFAULT_SIGNAL = "stream"
RESERVED_GROUPS = ("interactions", "friends")
"""Names with another meaning in a user's signals, so that no profile column can have them."""
PANDAS_INDEX = r"Unnamed: \d+|__index_level_\d+__"
"""Columns that pandas makes of a table's index; in CSV, the first column also has an empty name."""


def all_ids(frames: Frames, home: Literal["users", "items"]) -> Ids:
    """Return every user's or every item's id, sorted."""
    return Ids.of(frames[home][TABLES[home].required[0]].drop_nulls().unique().sort())


def entity_members(frames: Frames) -> dict[str, pl.DataFrame]:
    """Return the members of each entity other than items, by name: columns `entity_id` (String) and `item_id`.

    They come from the entity columns of `items` and from `collections`; an entity that is in both gets all members.
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


def conform_table(
    name: str, rows: pl.DataFrame, findings: Findings, *, is_text: bool, judge_groups: bool = True
) -> tuple[pl.DataFrame, Reasons]:
    """Convert a table's columns to their types.

    Parameters
    ----------
    name
        The table's name.
    rows
        The table as it was read, or a batch of its rows, with `FILE` and `ROW`.
    findings
        Gets the faults and notes.
    is_text
        Whether it comes from CSV, so that every value is text.
    judge_groups
        Whether to leave out columns of `users` whose values make no groups. Cold users alone are too few to judge by,
        and a model knows its columns.

    Returns
    -------
    conformed : polars.DataFrame
        `FILE`, `ROW` and the columns that could be converted: ids Int64 or String, text String, moments Datetime in
        UTC, weights Float64, ages Int16, vectors List(Float32); in `users` every group as String, in `items` every
        entity as List(String).
    reasons : dict
        The rows with bad values.
    """
    findings.n_rows[name] += rows.height
    places, frame, reasons = rows.select(FILE, ROW), rows.drop(FILE, ROW), Reasons()
    for label in TABLES[name].required:
        if label not in frame.columns:
            findings.fault(f"{missing_column(name, label, frame.columns)}.")
    if not frame.height:
        findings.fault(f"{name}: has no rows; add rows or remove the table.")
    columns = []
    for label in frame.columns:
        if not _is_column(name, label, frame, findings):
            continue
        column = Column(f"{name}.{_show(label)}", frame[label], places, is_text, findings, reasons)
        conformed = _conform(name, label, column, _hint_at_name(name, label, frame.columns), judge_groups)
        if conformed is not None:
            columns.append(conformed.alias(label))
    return places.with_columns(columns), reasons


def _conform(name: str, label: str, column: Column, hint: str, judge_groups: bool) -> pl.Series | None:
    """Convert a column to its type; None, with a note or a fault, where it cannot be."""
    kind = TABLES[name].kinds.get(label)
    if kind is not None:
        return CONVERSIONS[kind](column)
    if name == "items":
        return conform_entity(column, label, hint)
    if name == "users" and label not in RESERVED_GROUPS:
        group = conform_group(column, judge_groups)
        if hint and group is not None:
            column.findings.note(f"{name}.{label}: is a group like any other{hint}.")
        return group
    reason = "the name means something else in a user's signals; rename it to make it a group"
    column.ignore(reason if name == "users" else f"not a column of {name}{hint}")
    return None


def conform_interactions(rows: pl.DataFrame, findings: Findings, *, is_text: bool) -> tuple[pl.DataFrame, Reasons]:
    """Convert the columns of interactions to their types, and name items alike; see `conform_table`.

    What only impressions can have is read in their rows alone, with a note where other rows have it.
    """
    names = [name for name in OF_IMPRESSIONS if name in rows.columns]
    is_shown = pl.lit(value=False)
    if "signal" in rows.columns and rows["signal"].dtype in WORDS:
        is_shown = (pl.col("signal").cast(pl.String) == SHOWN).fill_null(value=False)
    for name in names:
        values = words_of(rows[name]) if is_text else rows[name]
        of_shown = rows.select(pl.when(is_shown).then(values).alias(name)).to_series()
        n_other = of_shown.null_count() - values.null_count()
        findings.note_rows(
            f"interactions.{name}",
            n_other,
            rows.height,
            f"have another signal than {SHOWN!r}; their {name} was ignored",
        )
        is_empty = of_shown.null_count() == rows.height
        rows = rows.with_columns(of_shown.cast(pl.Null) if is_empty else of_shown)
    conformed, reasons = conform_table("interactions", rows, findings, is_text=is_text)
    return name_items(conformed), reasons


def name_items(interactions: pl.DataFrame) -> pl.DataFrame:
    """Turn rows whose entity is ``item`` into rows with an `item_id`, which mean the same."""
    if not {"entity", "entity_id"} <= set(interactions.columns):
        return interactions
    item_id = pl.col("item_id") if "item_id" in interactions.columns else pl.lit(None)
    is_item = (pl.col("entity") == ITEM).fill_null(value=False) & item_id.is_null()  # a row with both is a fault
    if not interactions.select(is_item.any()).item():
        return interactions
    return interactions.with_columns(
        item_id=pl.when(is_item).then("entity_id").otherwise(item_id),
        entity=pl.when(~is_item).then("entity"),
        entity_id=pl.when(~is_item).then("entity_id"),
    )


def missing_column(name: str, label: str, columns: Iterable[str]) -> str:
    """Return "users.user_id: the column is missing (found: User_ID, age); rename User_ID to user_id"."""
    present = list(columns)
    others = {fold_name(column): column for column in present if column not in TABLES[name].kinds}
    alike = get_close_matches(fold_name(label), others, 1)
    ids = [other for other in others if other.endswith("id")] if label.endswith("_id") else []
    advice = "add it"
    if fold_name(label) in others:
        advice = f"rename {_show(others[fold_name(label)])} to {label}"
    elif alike or len(ids) == 1:
        advice = f"rename {_show(others[(alike or ids)[0]])} to {label} if that is what it holds"
    return f"{name}.{label}: the column is missing (found: {', '.join(map(_show, present))}); {advice}"


def _hint_at_name(name: str, label: str, columns: Iterable[str]) -> str:
    """Return a hint where a column's name is that of a known optional one but for its spelling; else ""."""
    known = [*TABLES[name].kinds, *(["genre"] if name == "items" else [])]
    absent = [column for column in known if column not in columns and column not in TABLES[name].required]
    meant = [column for column in absent if fold_name(label).removesuffix("s") == fold_name(column).removesuffix("s")]
    return f"; rename it to {meant[0]} if that is what it holds" if meant and label not in known else ""


def fold_name(label: str) -> str:
    """Return a column's name as spellings are compared: ``userid`` for ``User_ID``."""
    return re.sub(r"[\W_]", "", label.lower())


def _show(label: str) -> str:
    """Return a column's name for a sentence, in quotes where it would be hard to see."""
    return label if label and label == label.strip() else repr(label)


def _is_column(name: str, label: str, frame: pl.DataFrame, findings: Findings) -> bool:
    """Tell whether a column is neither the index of a pandas table nor without a name, or note that it is ignored."""
    if re.fullmatch(PANDAS_INDEX, label) or (not label and label == frame.columns[0]):
        note_pandas_index(name, label, findings)
        return False
    if not label.strip():
        findings.note(f"{name}: a column without a name was ignored.")
    return bool(label.strip())


def note_pandas_index(name: str, label: str, findings: Findings) -> None:
    """Note that a column is ignored, and how to write a table without it."""
    advice = "it is the index of a pandas table, and index=False leaves it out"
    findings.note(f"{name}: the column {label!r} was ignored; {advice}.")
