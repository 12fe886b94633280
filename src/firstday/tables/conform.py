"""Conversion of tables to the types of their columns."""

from __future__ import annotations

import re

import polars as pl

from firstday.config import SHOWN
from firstday.tables.categories import conform_entity, conform_group
from firstday.tables.columns import CONVERSIONS, WORDS, Column, words_of
from firstday.tables.faults import FILE, ROW, Findings, Reasons
from firstday.tables.schema import (
    ITEM,
    OF_IMPRESSIONS,
    PANDAS_INDEX,
    RESERVED_GROUPS,
    TABLES,
    hint_at_name,
    missing_column,
    note_pandas_index,
    show_name,
)


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
        column = Column(f"{name}.{show_name(label)}", frame[label], places, is_text, findings, reasons)
        conformed = _conform(name, label, column, hint_at_name(name, label, frame.columns), judge_groups)
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


def _is_column(name: str, label: str, frame: pl.DataFrame, findings: Findings) -> bool:
    """Tell whether a column is to be read; note it if not: the index of a pandas frame, or a column without a name."""
    if re.fullmatch(PANDAS_INDEX, label) or (not label and label == frame.columns[0]):
        note_pandas_index(name, label, findings)
        return False
    if not label.strip():
        findings.note(f"{name}: a column without a name was ignored.")
    return bool(label.strip())


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
