"""Finding what is wrong with tables, all of it at once."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from firstday.data.columns import conform_table
from firstday.data.events import ITEM
from firstday.data.findings import Findings
from firstday.data.ids import Ids
from firstday.data.raw import RawTable
from firstday.data.tables import (
    ITEM_COLUMNS,
    TABLES,
    USER_COLUMNS,
    Frames,
    entity_of_column,
)

OR_DROP = "or drop the rows"


def check_frames(
    raw: Mapping[str, RawTable | None], named: Mapping[str, pl.Series], findings: Findings
) -> dict[str, pl.DataFrame]:
    """Bring all tables but interactions to their final types and find every fault in them.

    Parameters
    ----------
    raw
        Tables by name; None for one that is there but could not be read (what refers to it is not checked).
    named
        The ids of ``users`` and ``items`` that interactions name, where there is no such table.
    findings
        Gets the faults and notes.

    Returns
    -------
    dict
        Tables ready for `assemble.assemble`, provided that there are no faults. Where there is no table of users or of
        items, it is made of the ids that interactions name.
    """
    frames = {
        name: conform_table(name, table.frame, findings, is_text=table.is_text)
        for name in TABLES
        if name != "interactions" and (table := raw.get(name)) is not None
    }
    for home, ids in named.items():
        frames[home] = pl.DataFrame({TABLES[home].required[0]: ids})
    share_id_type(frames, USER_COLUMNS)
    share_id_type(frames, ITEM_COLUMNS)
    for name, frame in frames.items():
        check_present(name, frame, findings)
        unique = TABLES[name].unique
        if unique is not None and unique in frame.columns:
            ids = frame[unique]
            repeats = ids.is_not_null() & ~ids.is_first_distinct()
            findings.rows(f"{name}.{unique}", repeats, "repeat an id", ids, "keep one row for each id")
    if "interactions" not in raw:
        findings.fault("interactions: the table is missing; add interactions.parquet or interactions.csv.")
    for one, other in (("users", "items"), ("items", "users")):
        if f"embeddings/{one}" in raw and f"embeddings/{other}" not in raw:
            findings.fault(f"embeddings/{other}: the table is missing beside embeddings/{one}; add it.")
    _check_references(frames, USER_COLUMNS, "users", findings)
    _check_references(frames, ITEM_COLUMNS, "items", findings)
    _check_vectors(frames, findings)
    return frames


def share_id_type(frames: dict[str, pl.DataFrame], places: tuple[tuple[str, str], ...]) -> None:
    """Make ids of one kind String everywhere if they are String anywhere, so that they join."""
    present = [(table, column) for table, column in places if table in frames and column in frames[table].columns]
    if any(frames[table][column].dtype == pl.String for table, column in present):
        for table, column in present:
            frames[table] = frames[table].with_columns(pl.col(column).cast(pl.String))


def check_present(name: str, frame: pl.DataFrame, findings: Findings) -> None:
    """Find rows whose required text or ids are missing."""
    for column in TABLES[name].required:
        if column in frame.columns and column != "vector":
            missing = frame[column].is_null()
            findings.rows(f"{name}.{column}", missing, "are empty", None, f"fill them in {OR_DROP}")
    if name == "collections" and "entity" in frame.columns:
        own = frame["entity"] == ITEM
        findings.rows("collections.entity", own, "name 'item', which is no collection", None, f"rename it {OR_DROP}")


def _check_references(frames: Frames, places: tuple[tuple[str, str], ...], home: str, findings: Findings) -> None:
    """Find rows that name users or items which the home table does not have."""
    id_column = places[0][1]
    if home not in frames or id_column not in frames[home].columns:
        return
    known = Ids.of(frames[home][id_column].drop_nulls().unique())
    for table, column in places[1:]:
        if table in frames and column in frames[table].columns:
            ids = frames[table][column]
            unknown = ids.is_not_null() & pl.Series(known.lookup(ids) < 0)
            findings.rows(f"{table}.{column}", unknown, f"name unknown {home}", ids, f"add them to {home} {OR_DROP}")


def faulty_entities(raw: Mapping[str, RawTable | None], findings: Findings) -> set[str]:
    """Return the entities of columns of `items` that have faults themselves."""
    items = raw.get("items")
    columns = [] if items is None else items.frame.columns
    return {entity_of_column(c) for c in columns if any(fault.startswith(f"items.{c}:") for fault in findings.faults)}


def _check_vectors(frames: Frames, findings: Findings) -> None:
    """Find items without a vector of their own, and users' and items' vectors that do not fit each other."""
    tables = [frames.get(f"embeddings/{kind}", pl.DataFrame()) for kind in ("users", "items")]
    if all("vector" in table.columns and table.height for table in tables):
        users, items = (next(filter(None, table["vector"].list.len()), 0) for table in tables)
        if users != items:
            findings.fault(
                f"embeddings/users.vector: has {users} numbers where those of items have {items}; "
                "bring both from the same model."
            )
    source = frames.get("items", pl.DataFrame())
    if "item_id" in tables[1].columns and "item_id" in source.columns:
        ids = source["item_id"].drop_nulls().unique().sort()
        lacking = pl.Series(np.asarray(Ids.of(tables[1]["item_id"].drop_nulls().unique()).lookup(ids) < 0))
        findings.rows("embeddings/items", lacking, "have no vector", ids, "bring one for every item", noun="items")
