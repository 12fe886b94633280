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
from firstday.data.columns import CONFORM, WORDS, Column, words_of
from firstday.data.events import ITEM
from firstday.data.findings import Findings
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
ANOTHER_SIGNAL = f"have another signal than {SHOWN!r}; their"
"""The beginning of a note on a column that only impressions have."""
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
    name: str, frame: pl.DataFrame, findings: Findings, *, is_text: bool, judge_groups: bool = True
) -> pl.DataFrame:
    """Convert a table's columns to their types.

    Parameters
    ----------
    name
        The table's name.
    frame
        The table as it was read, or a batch of its rows.
    findings
        Gets the faults and notes.
    is_text
        Whether it comes from CSV, so that every value is text.
    judge_groups
        Whether to leave out columns of `users` whose values make no groups. Cold users alone are too few to judge by,
        and a model knows its columns.

    Returns
    -------
    polars.DataFrame
        The columns that could be converted: ids Int64 or String, text String, moments Datetime in UTC, weights Float64,
        ages Int16, vectors List(Float32); in `users` every group as String, in `items` every entity as List(String).
    """
    rule = TABLES[name]
    findings.count(name, frame.height)
    for label in rule.required:
        if label not in frame.columns:
            findings.fault(f"{missing_column(name, label, frame.columns)}.")
    if not frame.height:
        findings.fault(f"{name}: has no rows; add rows or remove the table.")
    columns = []
    for label in frame.columns:
        if _is_no_column(name, label, frame, findings):
            continue
        column = Column(f"{name}.{_show(label)}", frame[label], is_text, findings)
        kind = rule.kinds.get(label)
        hint = _hint_at_name(name, label, frame.columns)
        if kind is not None:
            conformed = CONFORM[kind](column)
        elif name == "users" and label in RESERVED_GROUPS:
            column.ignore("the name means something else in a user's signals; rename it to make it a group")
            conformed = None
        elif name == "users":
            conformed = conform_group(column, judge_groups)
            if hint and conformed is not None:
                findings.note(f"{name}.{label}: is a group like any other{hint}.")
        elif name == "items":
            conformed = conform_entity(column, label, hint)
        else:
            column.ignore(f"not a column of {name}{hint}")
            conformed = None
        if conformed is not None:
            columns.append(conformed.alias(label))
    return pl.DataFrame(columns)


def conform_interactions(
    frame: pl.DataFrame, findings: Findings, *, is_text: bool, judge_groups: bool = True
) -> pl.DataFrame:
    """Convert the columns of interactions to their types, and name items alike; see `conform_table`.

    What only impressions can have is read in their rows alone, with a note where other rows have it.
    """
    names = [name for name in OF_IMPRESSIONS if name in frame.columns]
    if names:
        is_shown = pl.repeat(False, frame.height, eager=True)
        if "signal" in frame.columns and frame["signal"].dtype in WORDS:
            is_shown = (frame["signal"].cast(pl.String) == SHOWN).fill_null(value=False)
        for name in names:
            values = words_of(frame[name]) if is_text else frame[name]
            present = values.is_not_null()
            n_other = int((present & ~is_shown).sum())
            findings.note_rows(f"interactions.{name}", n_other, frame.height, f"{ANOTHER_SIGNAL} {name} was ignored")
            if not (present & is_shown).any():
                frame = frame.with_columns(pl.Series(name, [None] * frame.height, dtype=pl.Null))
            elif n_other:
                frame = frame.with_columns(pl.when(is_shown).then(pl.col(name)).alias(name))
    table = conform_table("interactions", frame, findings, is_text=is_text, judge_groups=judge_groups)
    return name_items(table)


def name_items(interactions: pl.DataFrame) -> pl.DataFrame:
    """Turn rows whose entity is ``item`` into rows with an `item_id`, which mean the same."""
    if not {"entity", "entity_id"} <= set(interactions.columns):
        return interactions
    is_item = (pl.col("entity") == ITEM).fill_null(value=False)
    if not interactions.select(is_item.any()).item():
        return interactions
    entity_id = pl.col("entity_id")
    if "item_id" in interactions.columns:
        types = {interactions["item_id"].dtype, interactions["entity_id"].dtype}
        shared = pl.Int64 if types == {pl.Int64()} else pl.String
        written_id = pl.col("item_id").cast(shared)
        item_id = pl.when(is_item & written_id.is_null()).then(entity_id.cast(shared)).otherwise(written_id)
        is_item &= written_id.is_null()  # a row with both is a fault, which `_check_targets` finds
    else:
        item_id = pl.when(is_item).then(entity_id)
    return interactions.with_columns(
        item_id=item_id, entity=pl.when(~is_item).then("entity"), entity_id=pl.when(~is_item).then("entity_id")
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


def _is_no_column(name: str, label: str, frame: pl.DataFrame, findings: Findings) -> bool:
    """Tell whether a column is the index of a pandas table, or has no name, and note that it is ignored."""
    if re.fullmatch(PANDAS_INDEX, label) or (not label and label == frame.columns[0]):
        note_pandas_index(name, label, findings)
        return True
    if not label.strip():
        findings.note(f"{name}: a column without a name was ignored.")
        return True
    return False


def note_pandas_index(name: str, label: str, findings: Findings) -> None:
    """Note that a column is ignored, and how to write a table without it."""
    advice = "it is the index of a pandas table, and index=False leaves it out"
    findings.note(f"{name}: the column {label!r} was ignored; {advice}.")
