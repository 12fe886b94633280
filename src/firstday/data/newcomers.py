"""Tables of cold users to recommend to; names that a model does not know are no faults here."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from firstday.data.checks import (
    Interactions,
    check_rows,
    check_table,
    code_rows,
    leave_out_shown,
    share_id_type,
)
from firstday.data.dataset import Dataset, Entity
from firstday.data.event_writer import EventWriter
from firstday.data.events import ITEM, sort_pairs
from firstday.data.findings import Findings
from firstday.data.ids import Ids
from firstday.data.impressions import ImpressionWriter, take_impressions
from firstday.data.load import assemble, with_friends
from firstday.data.raw_table import RawTable
from firstday.data.readers import read_folder
from firstday.data.schema import DEFAULT_SIGNAL, USER_COLUMNS, all_ids, conform_interactions
from firstday.errors import DataError
from firstday.sparse import SparseRows

NEWCOMER_TABLES = ("users", "interactions", "friends")
"""The tables that are read; users or interactions must be there."""
FORGIVEN = frozenset({"users.age", "users.registered_at"})
"""Columns whose bad values are taken as unknown."""


def load_newcomers(tables: str | Path | Mapping[str, Any], *, drop_bad_rows: float = 0.0) -> Dataset:
    """Load the profiles and interactions of cold users.

    The users are all those in `users`, `interactions` and `friends`, also those without any interaction. Items,
    entities, signals and profile values that a model does not know are kept: the model's catalogue leaves them out. A
    bad age or registration time is taken as unknown, with a note: it costs nobody a list.

    Parameters
    ----------
    tables
        `users` or `interactions` or both, and `friends` if known: a folder, or data frames by the names of tables.
        Friends may be any users; a model uses the friends that are among its kept users.
    drop_bad_rows
        Share of a table's rows, from 0 to 1, that may be bad and are then left out; more is a fault.

    Raises
    ------
    DataError
        A table that cannot be read, with a sentence for each fault.
    """
    findings = Findings(drop=drop_bad_rows > 0, forgiven=FORGIVEN)
    if isinstance(tables, Mapping):
        from firstday.data.frames import read_frames  # Narwhals, which no command of the shell needs

        return finish_newcomers("tables", read_frames(tables, findings), drop_bad_rows, findings)
    folder = Path(tables)
    if not folder.is_dir():
        raise DataError(f"{folder}: is no folder; give the folder of the cold users' tables.")
    return finish_newcomers(folder.resolve().name, read_folder(folder, findings), drop_bad_rows, findings)


def finish_newcomers(
    name: str, raw: Mapping[str, RawTable | None], drop_bad_rows: float, findings: Findings
) -> Dataset:
    """Check tables of cold users that were found, and make a Dataset of them; see `load_newcomers`."""
    check_newcomer_tables(name, raw, findings)
    dataset = read_newcomers(name, raw, findings)
    findings.settle(drop_bad_rows)
    if dataset is None:
        check_newcomer_tables(name, (), findings)  # those that there are have no rows
    if findings.faults or dataset is None:
        raise DataError(findings.faults)
    return replace(dataset, notes=findings.notes, left_out=findings.left_out)


def check_newcomer_tables(name: str, tables: Collection[str], findings: Findings) -> None:
    """Find out whether there is a table of cold users at all."""
    if not {"users", "interactions"} & set(tables) and not findings.faults:
        findings.fault(f"{name}: has neither users nor interactions; add users.parquet or users.csv.")


def read_newcomers(name: str, raw: Mapping[str, RawTable | None], findings: Findings) -> Dataset | None:
    """Check tables of cold users, or the rows of some of these users; None where there are faults.

    Parameters
    ----------
    name
        The dataset's name.
    raw
        Their tables.
    findings
        Gets the faults and notes; `FORGIVEN` columns are forgiven in it.
    """
    frames = _check_tables(raw, findings)
    if not findings.are_usable or not frames:
        return None
    return _assemble(name, frames, findings)


def _check_tables(raw: Mapping[str, RawTable | None], findings: Findings) -> dict[str, pl.DataFrame]:
    """Convert the tables to their final types and find every fault in them."""
    frames: dict[str, pl.DataFrame] = {}
    for name in NEWCOMER_TABLES:
        table = raw.get(name)
        if table is None or (table.whole.frame.is_empty() and name != "users"):
            continue
        if name != "interactions":
            frames[name] = check_table(name, table, {}, findings, judge_groups=False)
            continue
        findings.at(table.whole.place)
        rows = conform_interactions(table.whole.frame, findings, is_text=table.is_text, judge_groups=False)
        frames[name] = rows
        check_rows(frames[name], table.columns, findings)
        keep = findings.leave_out(name, table.whole.frame)
        frames[name] = frames[name] if keep is None else frames[name].filter(pl.Series(keep))
    return frames


def _assemble(name: str, frames: dict[str, pl.DataFrame], findings: Findings) -> Dataset:
    """Make a Dataset of tables without faults."""
    share_id_type(frames, USER_COLUMNS)
    frames["users"] = _all_users(frames)
    rows = frames.pop("interactions", _no_interactions(frames["users"]["user_id"].dtype))
    has_items, n_rows = "item_id" in rows.columns, rows.height
    frames["items"] = pl.DataFrame({"item_id": rows["item_id"].drop_nulls().unique() if has_items else []})
    entities = _entities(rows)
    users, items = all_ids(frames, "users"), all_ids(frames, "items")
    user_ix, item_ix = users.lookup(rows["user_id"]), items.lookup(rows["item_id"]) if has_items else None
    impression_writer = ImpressionWriter(len(users), n_rows)
    impression_writer.add(take_impressions(rows, user_ix, item_ix, use=()))
    rows, user_ix, item_ix = leave_out_shown(rows, user_ix, item_ix, findings)
    signals = rows["signal"].unique().to_list() if "signal" in rows.columns else [DEFAULT_SIGNAL]
    pairs = sort_pairs([(signal, entity) for signal in signals for entity in (ITEM, *entities)])
    coded = code_rows(
        rows,
        user_ix,
        item_ix,
        {name: entity.ids for name, entity in entities.items()},
        pairs,
    )
    writer = EventWriter(pairs, len(users), n_rows)
    writer.add(coded.filter(pl.col("weight") > 0))
    friends = frames.pop("friends", None)
    interactions = Interactions(writer.finish(findings), impression_writer.finish(findings))
    dataset = assemble(name, frames, interactions, findings, entities)
    return dataset if friends is None else with_friends(dataset, friends, findings)


def _all_users(frames: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """Return the users table, with a row without profile for each user who is only in another table."""
    ids = [frames[table]["user_id"] for table in NEWCOMER_TABLES if table in frames]
    users = pl.DataFrame({"user_id": pl.concat(ids).unique().sort()})
    if "users" not in frames:
        return users
    return users.join(frames["users"], on="user_id", how="left", maintain_order="left")


def _no_interactions(id_type: pl.DataType) -> pl.DataFrame:
    """Return an empty interactions table."""
    return pl.DataFrame(schema={"user_id": id_type, "item_id": pl.String})


def _entities(interactions: pl.DataFrame) -> dict[str, Entity]:
    """Return the entities and members in interactions; their items are in the model."""
    if not {"entity", "entity_id"} <= set(interactions.columns):
        return {}
    entities = {}
    rows = interactions.filter(pl.col("entity").is_not_null() & (pl.col("entity") != ITEM))
    for (name,), part in rows.group_by("entity"):
        ids = Ids.of(part["entity_id"].cast(pl.String).unique().sort())
        entities[str(name)] = Entity(ids, SparseRows.empty(len(ids), 0))
    return entities
