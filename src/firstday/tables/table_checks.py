"""Checks of whole tables in memory: row rules and references between tables."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime

import polars as pl

from firstday.errors import DataError, hint_at
from firstday.tables.categories import drop_invalid_groups
from firstday.tables.conform import conform_table
from firstday.tables.faults import FILE, ROW, Findings, Rule, find_faults
from firstday.tables.guests import split_guests
from firstday.tables.raw_table import RawTable
from firstday.tables.rules import RULES, reference_rule
from firstday.tables.schema import EXPIRES_AT, HOMES, RECOMMENDABLE, TABLES, UPDATED, Frames

_KEY = "firstday: id as text"
_UPDATABLE = ("title", "description", RECOMMENDABLE, EXPIRES_AT)
"""Columns that an update may state even if `items` lacks them."""


def _reference_rules(name: str, frames: Frames) -> list[Rule]:
    """Return the rules of a table's foreign keys to `users` and `items`; ids are compared as text."""
    rules = []
    for column, home in HOMES.items():
        ids = known_ids(frames, home)
        if column in TABLES[name].kinds and name != home and ids is not None:
            known = ids.cast(pl.String)
            if home == "users" and "guests" in frames:
                known = pl.concat([known, frames["guests"]["own_id"]])
            is_known = pl.col(column).cast(pl.String).is_in(known.implode())
            code = "" if name in ("friends", "item_updates") else "unknown_id"
            rules.append(reference_rule(column, home, ids, ~is_known, code))
    return rules


def check_frames(
    raw: Mapping[str, RawTable | None],
    named_ids: Mapping[str, pl.Series],
    findings: Findings,
    *,
    are_all: bool = True,
) -> dict[str, pl.DataFrame]:
    """Convert all tables except interactions to their final types, and find all faults in them.

    A missing table of users or items is built from `named_ids`, the ids in interactions. A table that cannot be read,
    or lacks a required column, is omitted, and references to it are not checked. Unless `are_all`, the tables contain a
    subset of users: whether columns are groups is not checked, and friends may be in another part.

    `users` has one row per person. If there are guests, the result has their table (`split_guests`). `items` has the
    values of `item_updates`, which is not in the result.
    """
    frames = {}
    for home in named_ids.keys() - raw.keys():
        (column,) = TABLES[home].required
        frames[home] = named_ids[home].to_frame(column)
    for name in TABLES:  # users and items first: other tables refer to them
        table = raw.get(name)
        if name == "interactions" or table is None or (name == "item_updates" and table.whole.is_empty()):
            continue
        try:
            rows = check_table(name, table, frames, findings, are_all=are_all)
        except DataError as error:  # the file is damaged
            findings.report(*error.faults)
            continue
        if set(TABLES[name].required) <= set(rows.columns):
            frames[name] = rows
            if name == "users":
                frames |= split_guests(rows)
            if name == "items" and name in named_ids:
                add_items_of_interactions(frames, named_ids, findings)
    updates = frames.pop("item_updates", None)
    if "items" in frames:
        if updates is not None:
            frames["items"] = _update_items(frames["items"], updates, findings)
        note_expired(frames["items"], findings)
    if "embeddings/items" in frames:
        check_item_vectors(frames, findings)
    share_id_types(frames)
    return frames


def add_items_of_interactions(
    frames: dict[str, pl.DataFrame], named_ids: Mapping[str, pl.Series], findings: Findings
) -> None:
    """Add items that occur in interactions but not in `items`, without attributes and with a note.

    Those that are present in another spelling are not added. If most items are absent, the tables do not match: nothing
    is added, and the reference rules report each row. If most user ids are those of items, the columns are swapped.
    """
    ids = frames["items"]["item_id"].drop_nulls()
    named = named_ids["items"]
    new = _missing_ids(named, ids)
    if 2 * len(new) > len(named):
        users = named_ids.get("users", ids[:0])
        if 2 * len(_missing_ids(users, ids)) < len(users):
            text = (
                "look swapped: items has most of the user ids; add --column user_id=item_id --column item_id=user_id."
            )
            findings.fault("swapped_columns", f"user_id and item_id {text}", "interactions")
        return
    new = new.filter(~_fold_ids(new).is_in(_fold_ids(ids).implode()))
    frames["items"] = pl.concat([frames["items"], new.alias("item_id").to_frame()], how="diagonal_relaxed")
    findings.note_rows(
        "interactions",
        len(new),
        len(named),
        "are not in items",
        "they have no attributes",
        column="item_id",
        noun="items",
        examples=new.head(1),
    )


def _update_items(items: pl.DataFrame, updates: pl.DataFrame, findings: Findings) -> pl.DataFrame:
    """Return items with the values that updates state, null for none, and `UPDATED`.

    Columns that items do not have are noted.
    """
    key = pl.col("item_id").cast(pl.String).alias(_KEY)
    stated = updates.select(key, pl.exclude("item_id")).drop_nulls(_KEY).unique(_KEY)
    for name, dtype in stated.drop(_KEY).schema.items():
        if name in _UPDATABLE and name not in items.columns:
            items = items.with_columns(pl.lit(None, dtype).alias(name))
        elif items.schema.get(name) != dtype:
            findings.note(f"ignored: items has no column {name!r} of type {dtype}.", "item_updates", name)
            stated = stated.drop(name)
    updated = items.with_columns(key).update(stated, on=_KEY)
    differs = [updated[name].ne_missing(items[name]).alias(name) for name in stated.drop(_KEY).columns]
    is_updated = pl.DataFrame([pl.repeat(False, items.height, eager=True), *differs]).select(
        pl.any_horizontal(pl.all())
    )
    return updated.drop(_KEY).with_columns(is_updated.to_series().alias(UPDATED))


def note_expired(items: pl.DataFrame, findings: Findings) -> None:
    """Add a note on items that have expired by now."""
    if EXPIRES_AT in items.columns:
        n_expired = int((items[EXPIRES_AT] <= datetime.now(UTC)).sum())
        findings.note_rows("items", n_expired, items.height, "have expired; they are in no list now", column=EXPIRES_AT)


def _missing_ids(ids: pl.Series, others: pl.Series) -> pl.Series:
    """Return the ids that are not in `others`, compared as text."""
    return ids.filter(~ids.cast(pl.String).is_in(others.cast(pl.String).implode()))


def _fold_ids(values: pl.Series) -> pl.Series:
    """Normalise ids for comparison: lower case, without surrounding spaces, leading zeros and trailing ``.0``."""
    words = values.cast(pl.String).str.strip_chars().str.to_lowercase()
    return words.str.replace(r"\.0+$", "").str.strip_chars_start("0")


def check_presence(tables: Collection[str], findings: Findings) -> None:
    """Add a fault for each required table, and each column in the settings, that is missing."""
    if "interactions" not in tables:
        text = "the table is missing; add interactions.parquet, interactions.csv or a data frame."
        findings.fault("missing_table", text, "interactions")
    for column in findings.config.columns if findings.columns else ():
        if column not in findings.columns:
            hint = hint_at(column, tuple(findings.columns))
            findings.fault("unknown_column", f"columns.{column}: no table has this column{hint}; correct the name.")
    vectors = [name for name in tables if name.startswith("embeddings/")]
    if len(vectors) == 1:
        findings.fault("missing_table", "embeddings need both users and items; add the other table.", vectors[0])


def check_table(
    name: str,
    table: RawTable,
    frames: Frames,
    findings: Findings,
    *,
    are_all: bool = True,
) -> pl.DataFrame:
    """Convert a table to its final types, find all faults in its rows, and return the rows that are not dropped.

    `frames` are the checked tables that rows may refer to; references to an absent table are not checked. For
    `are_all`, see `check_frames`.
    """
    conformed, reasons = conform_table(name, table.whole, findings, is_text=table.is_text)
    if name == "users" and are_all:
        conformed = drop_invalid_groups(conformed, findings)
    references = [rule for rule in _reference_rules(name, frames) if are_all or rule.column != "friend_id"]
    reasons |= find_faults(name, conformed, [*RULES[name], *references], findings)
    keep = findings.leave_out(name, table.whole, reasons)
    return conformed.drop(FILE, ROW).filter(keep).unique(maintain_order=True)


def check_named_friends(table: RawTable, frames: Frames, findings: Findings) -> None:
    """Find rows of `friends` whose friend is an unknown user; report no other faults."""
    conformed, _ = conform_table("friends", table.whole, Findings(), is_text=table.is_text)
    rules = [rule for rule in _reference_rules("friends", frames) if rule.column == "friend_id"]
    find_faults("friends", conformed, rules, findings)


def share_id_types(frames: dict[str, pl.DataFrame]) -> None:
    """Cast all user ids, or all item ids, to String if one of their columns is String. Modifies `frames`."""
    tables = frames.keys() & TABLES.keys()
    columns = [(table, column) for table in tables for column in HOMES if column in TABLES[table].kinds]
    are_text = {HOMES[column] for table, column in columns if frames[table][column].dtype == pl.String}
    for table, column in columns:
        if HOMES[column] in are_text:
            frames[table] = frames[table].with_columns(pl.col(column).cast(pl.String))


def known_ids(frames: Frames, home: str) -> pl.Series | None:
    """Return the sorted ids of `users` or `items`; None if `frames` lacks the table."""
    if home not in frames:
        return None
    (column,) = TABLES[home].required
    return frames[home][column].drop_nulls().unique().sort()


def check_item_vectors(frames: Frames, findings: Findings) -> None:
    """Check the lengths of vectors; note the items without a vector, or add a fault if no item has one."""
    vectors = frames["embeddings/items"]
    items = known_ids(frames, "items")
    if "embeddings/users" in frames:
        check_vector_lengths(frames, next(filter(None, vectors["vector"].list.len()), 0), findings)
    if items is None:
        return
    without_vector = _missing_ids(items, vectors["item_id"])
    if len(without_vector) == len(items):
        text = f"none of {len(items):,} items has a vector; provide one for every item."
        findings.fault("no_vectors", text, "embeddings/items")
        return
    findings.note_rows(
        "embeddings/items",
        len(without_vector),
        len(items),
        "have no vector",
        "they are never recommended; provide a vector for every item",
        noun="items",
        examples=without_vector.head(3),
    )


def check_vector_lengths(frames: Frames, n_numbers: int, findings: Findings) -> None:
    """Add a fault if user vectors do not have `n_numbers` elements, the length of item vectors (0: unknown)."""
    length = next(filter(None, frames["embeddings/users"]["vector"].list.len()), n_numbers)
    if n_numbers and length != n_numbers:
        text = f"has {length} numbers, but embeddings/items.vector has {n_numbers}; use vectors of the same model."
        findings.fault("vector_length", text, "embeddings/users", "vector")
