"""Conversion of tables to their column types."""

from __future__ import annotations

import re

import polars as pl

from firstday.config import SHOWN
from firstday.tables import columns
from firstday.tables.categories import conform_entity, conform_group
from firstday.tables.columns import TEXT_TYPES, Column, to_text
from firstday.tables.faults import FILE, ROW, Findings, Reasons, Rule, find_faults
from firstday.tables.schema import (
    IMPRESSION_COLUMNS,
    ITEM,
    NAMELESS,
    TABLES,
    find_nearest,
    missing_column,
    name_column,
)

CONVERSIONS = {**columns.VALUE_CONVERSIONS, "group": conform_group, "entity": conform_entity}


def conform_table(name: str, rows: pl.DataFrame, findings: Findings, *, is_text: bool) -> tuple[pl.DataFrame, Reasons]:
    """Convert the columns of a table, or of a batch of its rows; `is_text` if all values are text, as in CSV.

    Returns `FILE`, `ROW` and all convertible columns (ids Int64 or String, text and groups String, times Datetime in
    UTC, numbers Float64, vectors List(Float32), entities List(String)), and the masks of bad rows.
    """
    findings.n_rows[name] += rows.height
    schema = TABLES[name]
    own = findings.config.experiment.outcomes if name == "interactions" else ()
    origin = rows.select(FILE, ROW)
    frame = rows.drop(FILE, ROW)
    reasons = Reasons()
    for label in schema.required:
        if label not in frame.columns:
            findings.report(missing_column(name, label, frame.columns))
    if not frame.height:
        findings.fault("no_rows", "has no rows; add rows or remove the table.", name)
    columns = []
    for label in frame.columns:
        kind = schema.kinds.get(label, "outcome" if label in own else schema.others)
        values = frame[label]
        if rows.height and not values.count():
            values = pl.repeat(None, rows.height, dtype=pl.String, eager=True)
        values = to_text(values) if values.dtype in TEXT_TYPES else values
        column = Column(name, label, kind, values, origin, is_text, findings, reasons)
        if nearest := find_nearest(name, label, frame.columns):
            column.note(f"was not read as {nearest}; if it contains that, {name_column(nearest, label)}.")
        if re.fullmatch(NAMELESS, label):
            column.ignore("it has no name, or is the index of a pandas table; index=False omits the latter")
        elif (conformed := CONVERSIONS[kind](column)) is not None:
            columns.append(conformed.alias(label))
    return origin.with_columns(columns), reasons


def conform_interactions(rows: pl.DataFrame, findings: Findings, *, is_text: bool) -> tuple[pl.DataFrame, Reasons]:
    """Convert the columns of interactions; see `conform_table`. Items are always in the column `item_id`.

    `IMPRESSION_COLUMNS` are read from impressions only; values in other rows are ignored with a note.
    """
    is_shown = pl.lit(False)
    if rows.schema.get("signal") in TEXT_TYPES:
        is_shown = pl.col("signal").cast(pl.String).eq_missing(SHOWN)
    finding = f"have a signal other than {SHOWN!r}, so the value was ignored"
    notes = [Rule(finding, pl.col(name).is_not_null() & ~is_shown, column=name) for name in IMPRESSION_COLUMNS]
    find_faults("interactions", rows, notes, findings)
    rows = rows.with_columns(pl.when(is_shown).then(pl.selectors.by_name(IMPRESSION_COLUMNS, require_all=False)))
    conformed, reasons = conform_table("interactions", rows, findings, is_text=is_text)
    if {"entity", "entity_id"} <= set(conformed.columns):
        item_id = pl.col("item_id") if "item_id" in conformed.columns else pl.lit(None)
        is_item = pl.col("entity").eq_missing(ITEM) & item_id.is_null()  # a row with both is a fault
        if conformed.select(is_item.any()).item():
            others = pl.when(~is_item).then(pl.col("entity", "entity_id"))
            conformed = conformed.with_columns(others, item_id=pl.when(is_item).then("entity_id").otherwise(item_id))
    return conformed, reasons
