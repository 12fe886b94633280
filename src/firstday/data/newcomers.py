"""Tables of cold users to recommend to. Unlike in training data, unknown names are not faults."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import polars as pl

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.events import ITEM, sort_pairs
from firstday.data.ids import Ids
from firstday.data.interactions import ABSENT, Vocabulary, check_interactions, index_interactions
from firstday.data.load import add_users, assemble_catalogue, find_entities, find_groups, open_tables
from firstday.errors import DataError
from firstday.tables.faults import Findings
from firstday.tables.guests import name_persons, split_guests
from firstday.tables.raw_table import RawTable
from firstday.tables.table_checks import check_table, note_expired, share_id_types

NEWCOMER_TABLES = ("users", "interactions", "friends")
"""Tables of users; users or interactions is required."""
FORGIVEN = frozenset({"users.age", "users.registered_at"})
"""Columns whose bad values count as missing."""


def load_newcomers(
    tables: str | Path | Mapping[str, Any], *, config: Config | None = None, drop_bad_rows: float = 0.0
) -> Dataset:
    """Load cold users: `users` or `interactions` or both, and optionally `friends` and new `items`.

    Users need no interactions, and friends may be any users. Items, entities, signals and profile values are not
    compared with a model here; the model's catalogue drops unknown ones. A bad age or registration time counts as
    missing, with a note, so that the user still gets a list. `config` is the model's. Raises DataError if the tables
    have faults.
    """
    findings = Findings(drop_bad_rows > 0, FORGIVEN, config or Config())
    name, raw = open_tables(tables, findings, "the folder of the cold users' tables")
    check_newcomer_tables(name, raw, findings)
    dataset = read_newcomers(name, raw, findings)
    findings.settle(drop_bad_rows)
    if dataset is None:
        check_newcomer_tables(name, (), findings)  # the tables present have no rows
    if findings.faults or dataset is None:
        raise DataError(findings.faults)
    return replace(dataset, notes=findings.notes, left_out=findings.left_out)


def check_newcomer_tables(name: str, tables: Collection[str], findings: Findings) -> None:
    """Add a fault if there is neither a table of users nor of interactions."""
    if not {"users", "interactions"} & set(tables) and not findings.faults:
        text = "has neither users nor interactions; add users.parquet or users.csv."
        findings.fault("missing_table", text, file=name)


def read_newcomers(name: str, raw: Mapping[str, RawTable | None], findings: Findings) -> Dataset | None:
    """Validate the tables, or a part, of cold users; return None if there are faults or no rows.

    `findings` must forgive the columns in `FORGIVEN`.
    """
    frames = _check_frames(raw, findings)
    if findings.faults or not frames:
        return None
    new_items = check_new_items(raw, findings)
    if findings.faults:
        return None
    share_id_types(frames)
    users = pl.concat([frame["user_id"] for frame in frames.values()]).unique().sort().to_frame()
    rows = frames.pop("interactions", pl.DataFrame({"user_id": []}).with_columns(**ABSENT))
    frames["users"] = users.join(frames.get("users", users), on="user_id", how="left", maintain_order="left")
    frames["items"] = rows.select("item_id").drop_nulls().unique("item_id").sort("item_id")
    items = Ids.of(frames["items"]["item_id"])
    members = rows.select("entity", "entity_id", item_id=None).drop_nulls("entity")
    entities = find_entities({"items": frames["items"], "collections": members}, items)
    vocabulary = Vocabulary(Ids.of(users["user_id"]), items, entities)
    rows = vocabulary.index(rows)
    pairs = sort_pairs(product(rows["signal"].unique(), (ITEM, *entities)))
    interactions = index_interactions([rows], vocabulary, pairs, rows.height, findings)
    assert interactions is not None
    catalogue = assemble_catalogue(frames, vocabulary, find_groups(frames), findings)
    return replace(add_users(name, catalogue, frames, interactions, findings), new_items=new_items)


def _check_frames(raw: Mapping[str, RawTable | None], findings: Findings) -> dict[str, pl.DataFrame]:
    """Validate the tables of users that have rows; guests get the ids of their persons."""
    frames: dict[str, pl.DataFrame] = {}
    for name in NEWCOMER_TABLES:
        table = raw.get(name)
        if table is None or (table.whole.is_empty() and name != "users"):
            continue
        if name == "interactions":
            frames[name] = check_interactions(table.whole, Vocabulary(), findings, is_text=table.is_text)
        else:
            frames[name] = check_table(name, table, {}, findings, are_all=False)
    if findings.faults or "users" not in frames:
        return frames
    frames |= split_guests(frames["users"])
    guests = frames.pop("guests", None)
    return frames if guests is None else {name: name_persons(frame, guests) for name, frame in frames.items()}


def check_new_items(raw: Mapping[str, RawTable | None], findings: Findings) -> pl.DataFrame | None:
    """Validate the tables of items that are new or have changed, if there are any; updates replace what items state."""
    present = [(name, table) for name in ("items", "item_updates") if (table := raw.get(name)) is not None]
    tables = [check_table(name, table, {}, findings) for name, table in present]
    if not tables or findings.faults:
        return None
    items = pl.concat(tables, how="diagonal_relaxed")
    if len(tables) > 1:
        items = items.group_by("item_id", maintain_order=True).agg(pl.all().drop_nulls().last())
    note_expired(items, findings)
    return items


def load_items(table: Any) -> pl.DataFrame:
    """Load a table of new items, a data frame, which may be empty; raise DataError if it has faults."""
    findings = Findings(config=Config())
    _, raw = open_tables({"items": table}, findings, "a data frame")
    items = check_new_items(raw, findings)
    if findings.faults or items is None:
        raise DataError(findings.faults)
    return items
