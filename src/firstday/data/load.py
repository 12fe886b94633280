"""Load a folder of tables, data frames or a dataset known by name as a validated Dataset."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import polars as pl

from firstday.config import Config, SignalConfig
from firstday.data.dataset import ASSIGNMENT_TYPES, Dataset, Entity, Group
from firstday.data.events import Events
from firstday.data.fields import fill_lists, find_item_columns, place_vectors, read_columns
from firstday.data.ids import Ids
from firstday.data.interactions import Interactions, Vocabulary, check_tallies, find_ids, read_interactions
from firstday.data.user_rows import NEVER
from firstday.datasets import dataset_names, load_source
from firstday.errors import DataError, hint_at
from firstday.sparse import SparseRows
from firstday.tables.categories import entity_of_column
from firstday.tables.faults import Findings
from firstday.tables.guests import name_persons
from firstday.tables.raw_table import UNREADABLE, RawTable, first_line
from firstday.tables.read import read_folder
from firstday.tables.schema import TABLES, Frames
from firstday.tables.table_checks import check_frames, check_presence, known_ids

GUESTS_IN = {"friends", "assignments"}
"""Tables in which ids of guests become those of their persons; interactions are indexed by person."""


def load(
    tables: str | Path | Mapping[str, Any],
    *,
    path: str | Path | None = None,
    config: Config | None = None,
    drop_bad_rows: float = 0.0,
) -> Dataset:
    """Load and validate a dataset on this machine; see `firstday.load`.

    The result does not depend on the order of rows. Raises DataError if the tables have faults.
    """
    dataset, findings = check_tables(tables, path=path, config=config, drop_bad_rows=drop_bad_rows)
    if dataset is None:
        raise DataError(findings.faults, findings.hint)
    return dataset


def check_tables(
    tables: str | Path | Mapping[str, Any],
    *,
    path: str | Path | None = None,
    config: Config | None = None,
    drop_bad_rows: float = 0.0,
) -> tuple[Dataset | None, Findings]:
    """Validate a dataset; return it (None if there are faults) and all findings. For parameters see `firstday.load`.

    Raises DataError if the folder or dataset does not exist, or its local copy is unusable.
    """
    findings = Findings(drop=drop_bad_rows > 0, config=config or Config())
    if isinstance(tables, str) and tables in dataset_names():
        name = tables
        raw = _read_source(tables, path)
    else:
        hint = hint_at(tables, dataset_names()) if isinstance(tables, str) else ""
        if path is not None:
            raise DataError(f"{tables}: a path is allowed only with a dataset name{hint}; omit it.")
        name, raw = open_tables(tables, findings, f"a folder of tables, or a dataset name{hint}")
    dataset = None
    try:
        check_presence(raw, findings)
        interactions = raw.get("interactions")
        signals = findings.config.signals
        named_ids = {} if interactions is None else find_ids(interactions, findings)
        frames = check_frames(raw, named_ids, findings)
        vocabulary = find_vocabulary(raw, frames, signals, findings)
        indexed = read_interactions(interactions, vocabulary, findings)
        check_tallies(findings, signals)
        if indexed is not None and not findings.faults:
            catalogue = assemble_catalogue(frames, vocabulary, find_groups(frames), findings)
            dataset = add_users(name, catalogue, frames, indexed, findings, are_all=True)
    except DataError as error:  # a damaged file
        findings.report(*error.faults)
    findings.settle(drop_bad_rows)
    if dataset is None or findings.faults:
        return None, findings
    return replace(dataset, notes=findings.notes, left_out=findings.left_out), findings


def _read_source(name: str, path: str | Path | None) -> dict[str, RawTable | None]:
    """Read a dataset known by name."""
    source = load_source(name)
    if path is None and source.file:
        raise DataError(f"{name}: is not downloaded by firstday; give the path of {source.file} (--path).")
    try:
        return {table: RawTable.of(frame, table) for table, frame in source.read(path).items()}
    except DataError:
        raise
    except (ValueError, TypeError, AttributeError, KeyError, BadZipFile, *UNREADABLE) as error:
        raise DataError(
            f"{path or name}: cannot be read as {name} ({first_line(error)}); give the published file, or a folder "
            "with its contents (--path)."
        ) from None


def open_tables(
    tables: str | Path | Mapping[str, Any], findings: Findings, expected: str
) -> tuple[str, dict[str, RawTable | None]]:
    """Open data frames, or the tables of a folder (`expected`, in errors); return a name and the tables."""
    if isinstance(tables, Mapping):
        from firstday.tables.frames import read_frames  # imports Narwhals, which the commands do not need

        return "tables", read_frames(tables, findings)
    folder = Path(tables)
    if not folder.is_dir():
        raise DataError(f"{tables}: {'is a file' if folder.exists() else 'does not exist'}; give {expected}.")
    return folder.resolve().name, read_folder(folder, findings)


def index_ids(frames: Frames, home: str) -> Ids | None:
    """Return the ids of `users` or `items`; None if `frames` lacks the table."""
    ids = known_ids(frames, home)
    return None if ids is None else Ids.of(ids)


def find_vocabulary(tables: Collection[str], frames: Frames, signals: SignalConfig, findings: Findings) -> Vocabulary:
    """Collect the valid values for interactions from the other `tables`, as checked (`frames`)."""
    users = index_ids(frames, "users")
    items = index_ids(frames, "items")
    are_readable = {"items", "collections"} & set(tables) <= set(frames)
    entities = find_entities(frames, items or Ids.of([])) if are_readable else None
    faulty = {entity_of_column(fault.column) for fault in findings.faults if fault.table == "items"}
    derived = {"users", "items"} - set(tables)
    guests = frames.get("guests")
    return Vocabulary(users, items, entities, signals, faulty, guests, derived)


def find_entities(frames: Frames, items: Ids) -> dict[str, Entity]:
    """Collect the entities other than items, from columns of `items` and from `collections`."""
    table = frames.get("items", pl.DataFrame())
    parts = [pl.DataFrame(schema={"item_id": pl.Null, "entity": pl.String, "entity_id": pl.String})]
    for column in table.select(pl.col(pl.List(pl.String))).columns:
        entity = pl.lit(entity_of_column(column))
        parts.append(table.select("item_id", entity=entity, entity_id=column).explode("entity_id"))
    if "collections" in frames:
        parts.append(frames["collections"].select("item_id", "entity", pl.col("entity_id").cast(pl.String)))
    rows = pl.concat(parts, how="vertical_relaxed").drop_nulls("entity_id").sort("entity")
    entities = {}
    for (name,), members in rows.group_by("entity", maintain_order=True):
        ids = Ids.of(members["entity_id"].unique().sort())
        entities[str(name)] = Entity(ids, _link(ids, members["entity_id"], items, members["item_id"]))
    return entities


def _link(row_ids: Ids, rows: pl.Series, column_ids: Ids, columns: pl.Series) -> SparseRows:
    """Build a binary matrix from pairs of ids; duplicates count once, unknown ids are dropped."""
    pairs = np.stack([row_ids.lookup(rows), column_ids.lookup(columns)])
    row_ix, column_ix = pairs[:, (pairs >= 0).all(axis=0)]
    return SparseRows.from_pairs(row_ix, column_ix, None, len(row_ids), len(column_ids)).ones()


def assemble_catalogue(
    frames: Frames, vocabulary: Vocabulary, groups: Mapping[str, tuple[str, ...]], findings: Findings
) -> Dataset:
    """Build a Dataset of items, entities and group values, without users, from tables without faults.

    `frames` are from `check_frames`; `groups` are the sorted values of each group column of `users`.
    """
    assert vocabulary.items is not None
    assert vocabulary.entities is not None
    table = frames["items"].sort("item_id")
    entities = vocabulary.entities
    item_vectors = None
    if "embeddings/items" in frames:
        item_vectors = collect_vectors(frames["embeddings/items"], "item_id", vocabulary.items)
    return Dataset(
        name="catalogue",
        users=Ids.of([]),
        items=vocabulary.items,
        events=Events.empty(),
        entities=_with_names(entities, frames["names"], findings) if "names" in frames else entities,
        groups={name: Group(values, np.zeros(0, dtype=np.int32)) for name, values in groups.items()},
        item_vectors=item_vectors,
        columns=fill_lists(find_item_columns(table)),
        **read_columns(Dataset, "items", table),
    )


def find_groups(frames: Frames) -> dict[str, tuple[str, ...]]:
    """Return the sorted values of each group column of `users`."""
    columns = [column for column in sorted(frames["users"].columns) if column not in TABLES["users"].kinds]
    return {column: tuple(frames["users"][column].drop_nulls().unique().sort()) for column in columns}


def add_users(
    name: str,
    catalogue: Dataset,
    frames: Frames,
    interactions: Interactions,
    findings: Findings,
    *,
    are_all: bool = False,
) -> Dataset:
    """Add the users of tables without faults to a catalogue; the result does not depend on the order of rows.

    `interactions` use the indexes of `frames` and `catalogue`. Unless they `are_all`, friends may be users who are not
    in `frames`; otherwise, those are dropped.
    """
    table = _without_future(frames["users"].sort("user_id"), findings)
    users = Ids.of(table["user_id"])
    events, impressions = interactions
    read = read_columns(Dataset, "users", table)
    if catalogue.item_vectors is not None:
        dimensions = catalogue.item_vectors.shape[1]
        read["user_vectors"] = collect_vectors(frames["embeddings/users"], "user_id", users, dimensions)
    if "guests" in frames:
        frames = {
            **frames,
            **{name: name_persons(frames[name], frames["guests"]) for name in GUESTS_IN & frames.keys()},
        }
        read["guests"] = _index_guests(frames["guests"], users)
    if "guests" in read and "registered_at" in read:
        read["registered_at"] = _register_persons(read["registered_at"], read["guests"], events)
    if "friends" in frames:
        read |= link_friends(frames["friends"], users, findings, are_all=are_all)
    if "assignments" in frames:
        read["assignments"] = _assignments(frames["assignments"], users)
    groups = _code_groups(table, catalogue.groups)
    return replace(catalogue, name=name, users=users, events=events, impressions=impressions, groups=groups, **read)


def _code_groups(users: pl.DataFrame, groups: Mapping[str, Group]) -> dict[str, Group]:
    """Code the group columns of users by the values of `groups`; an absent column has no values."""
    coded = {}
    for column, group in groups.items():
        values = users.get_column(column, default=pl.repeat(None, users.height, dtype=pl.String, eager=True))
        members = Ids(pl.Series(group.values, dtype=pl.String))
        coded[column] = Group(group.values, members.lookup(values))
    return coded


def _index_guests(named: pl.DataFrame, users: Ids) -> pl.DataFrame:
    """Replace the ids of persons by `user_ix`, and sort by it."""
    guests = named.select(pl.Series("user_ix", users.lookup(named["user_id"])), "own_id")
    return guests.sort("user_ix", maintain_order=True)


def _register_persons(registered_at: np.ndarray, guests: pl.DataFrame, events: Events) -> np.ndarray:
    """Let persons with guests register at their first interaction, if that is earlier than a known registration."""
    first = events.first_moments("user_ix", len(registered_at), NEVER)
    is_person = np.zeros(len(registered_at), dtype=bool)
    is_person[guests["user_ix"].to_numpy()] = True
    return np.where(is_person & (registered_at >= 0), np.minimum(registered_at, first), registered_at)


def _with_names(entities: Mapping[str, Entity], names: pl.DataFrame, findings: Findings) -> dict[str, Entity]:
    """Add display names to entity members; of several names, the alphabetically first is used."""
    members = names.drop_nulls().group_by("entity", pl.col("entity_id").cast(pl.String))
    rows = members.agg(pl.col("name").min())
    named = {}
    n_known = 0
    for name, entity in entities.items():
        ids = entity.ids.values.to_frame("entity_id")
        of_entity = rows.filter(pl.col("entity") == name)
        texts = ids.join(of_entity, on="entity_id", how="left", maintain_order="left")["name"]
        n_known += texts.count()
        named[name] = replace(entity, names=tuple(texts.fill_null("")))
    unknown = "are not in items or collections and were ignored; put item names into items.title"
    findings.note_rows("names", rows.height - n_known, rows.height, unknown, noun="ids")
    return named


def _without_future(users: pl.DataFrame, findings: Findings) -> pl.DataFrame:
    """Replace registration times in the future by null, with a note."""
    if "registered_at" not in users.columns:
        return users
    times = users["registered_at"]
    is_future = (times > datetime.now(UTC)).fill_null(False)
    future = times.filter(is_future).sort().dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    findings.note_rows(
        "users",
        len(future),
        len(times),
        "registered in the future",
        "taken as unknown",
        column="registered_at",
        noun="users",
        examples=future.head(1),
    )
    return users.with_columns(times.set(is_future, None))


def _assignments(rows: pl.DataFrame, users: Ids) -> pl.DataFrame:
    """Index the assignments and sort them by user, experiment and time."""
    indexed = rows.with_columns(pl.Series("user_ix", users.lookup(rows["user_id"])))
    full = pl.concat([pl.DataFrame(schema=ASSIGNMENT_TYPES), indexed], how="diagonal_relaxed")
    by_time = full.select(*ASSIGNMENT_TYPES).sort("user_ix", "experiment", "assigned_at", nulls_last=True)
    return by_time.unique(["user_ix", "experiment", "variant"], keep="first", maintain_order=True)


def link_friends(friends: pl.DataFrame, users: Ids, findings: Findings, *, are_all: bool) -> dict[str, Any]:
    """Return the fields `friends` and `friend_ids` without duplicates and self-references.

    Unless users `are_all`, friends may be others, whose ids are then in `friend_ids`.
    """
    friend_ids = None
    if not are_all and (users.lookup(friends["friend_id"]) < 0).any():
        friend_ids = Ids.of(friends["friend_id"].unique().sort())
    pairs = friends.filter(pl.col("user_id") != pl.col("friend_id"))
    n_alone = friends.height - pairs.height
    findings.note_rows("friends", n_alone, friends.height, "have a user as their own friend and were dropped")
    linked = _link(users, pairs["user_id"], friend_ids or users, pairs["friend_id"])
    return {"friends": linked, "friend_ids": friend_ids}


def collect_vectors(rows: pl.DataFrame, column: str, ids: Ids, dimensions: int = -1) -> np.ndarray:
    """Return float32 vectors in index order, shape (n_ids, d); rows without a vector are NaN."""
    ix = ids.lookup(rows[column])  # -1 for guests, whose vectors are not those of their persons
    return place_vectors(rows["vector"], ix, len(ids), dimensions)
