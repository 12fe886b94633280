"""Parts of tables too large for one machine: all rows of some users, read by the same code as complete tables.

A part is a small Dataset with a subset of the users, and all items, entities and group values. Every table rule and
every sum over users is a function of a Dataset, so results summed over parts equal those of the complete dataset.
"""

from __future__ import annotations

import pickle
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from firstday.config import SignalConfig
from firstday.data.dataset import Dataset, Group
from firstday.data.events import EVENT_TYPES, SORT_ORDER, UTC_MICROSECONDS, Events
from firstday.data.ids import Ids
from firstday.data.impressions import IMPRESSION_ORDER, IMPRESSION_TYPES
from firstday.data.interactions import Vocabulary, check_tallies, find_ids, read_interactions
from firstday.data.load import add_users, assemble_catalogue, find_vocabulary, index_ids
from firstday.data.user_rows import RowWriter, UserRows, renumber, renumber_users, take_rows
from firstday.tables import zstd
from firstday.tables.faults import Findings
from firstday.tables.raw_table import RawTable
from firstday.tables.table_checks import (
    check_frames,
    check_named_friends,
    check_vector_lengths,
    share_id_types,
)

MENTIONS = "friends: by friend_id"
"""Rows of `friends` partitioned by `friend_id`, so that the part with the friend can check the id."""
SHARED = ("items", "entities", "titles", "descriptions", "content_vectors", "added_at", "columns")
"""Fields of the catalogue that all parts share, in addition to item vectors; other fields belong to a part's users."""
NO_VECTORS = pl.DataFrame(schema={"user_id": pl.String, "vector": pl.List(pl.Float32)})
USER_TABLES = ("users", "interactions", "friends", "assignments", "embeddings/users")
"""Tables partitioned by user; the other tables are shared by all parts."""


@dataclass(frozen=True, eq=False)
class Whole:
    """What all parts share."""

    # Table that defines the user ids: ``users``, or ``interactions`` if that is absent. None if it cannot be read;
    # references to users are then not checked.
    home: str | None
    vocabulary: Vocabulary  # valid values for interactions, except user ids
    # Dataset without users: items with titles, entities and precomputed vectors, and the values of each group column
    # of `users`. None if there are faults.
    catalogue: Dataset | None
    now: datetime  # time at which reading began; later interactions are in the future
    options: Findings  # without findings


def load_whole(
    raw: Mapping[str, RawTable | None],
    item_ids: pl.Series,
    groups: Mapping[str, tuple[str, ...]],
    tables: frozenset[str],
    signals: SignalConfig,
    findings: Findings,
    now: datetime,
    home: str | None,
) -> Whole:
    """Read and validate the tables that are not partitioned by user (`raw`; None for one that cannot be read).

    `item_ids` are those in interactions, `groups` the sorted values of each group column of `users`, and `tables` the
    names of all tables present; for `now` and `home` see `Whole`.
    """
    frames = check_frames(raw, {"items": item_ids}, findings)
    vocabulary = find_vocabulary(tables, frames, signals, findings)
    is_usable = not findings.faults and vocabulary.items is not None
    catalogue = assemble_catalogue(frames, vocabulary, groups, findings) if is_usable else None
    return Whole(home, vocabulary, catalogue, now, findings.fresh())


def load_part(raw: Mapping[str, RawTable], whole: Whole) -> tuple[Dataset | None, Findings]:
    """Validate the rows of some users and build a Dataset, None if there are faults.

    `raw` has these users' rows of `USER_TABLES` and `MENTIONS`; tables without rows are absent.
    """
    findings = whole.options.fresh()
    interactions = raw.get("interactions")
    catalogue = whole.catalogue
    named: dict[str, pl.Series] = {}
    if interactions is not None and whole.home == "interactions":
        named["users"] = find_ids(interactions, findings)["users"]
    elif whole.home is not None:
        named["users"] = pl.Series([], dtype=pl.String)
    frames = check_frames(raw, named, findings, are_all=False)
    if MENTIONS in raw:
        check_named_friends(raw[MENTIONS], frames, findings)
    users = index_ids(frames, "users")
    vocabulary = replace(whole.vocabulary, users=users, guests=frames.get("guests"))
    indexed = read_interactions(interactions, vocabulary, findings, whole.now)
    if catalogue is not None and catalogue.precomputed is not None:
        frames.setdefault("embeddings/users", NO_VECTORS)
        check_vector_lengths(frames, catalogue.precomputed.item_vectors.shape[1], findings)
    dataset = None
    if indexed is not None and not findings.faults and users is not None and catalogue is not None:
        dataset = add_users("part", catalogue, frames, indexed, findings)
    return dataset, findings


def join_findings(parts: Iterable[Findings], signals: SignalConfig, findings: Findings) -> None:
    """Merge the findings of parts, in any order, and run the checks that need all parts."""
    for part in parts:
        findings.merge(part)
    check_tallies(findings, signals)


def pack(part: Dataset) -> bytes:
    """Serialise a part without the fields that all parts share."""
    own = {name: value for name, value in vars(part).items() if name not in SHARED}
    own["precomputed"] = part.precomputed and part.precomputed.user_vectors
    return zstd.compress(pickle.dumps(own, protocol=5), level=1)


def unpack(content: bytes, catalogue: Dataset) -> Dataset:
    """Restore a part from the output of `pack`, taking the shared fields from the catalogue.

    The content is unpickled: pass only output of `pack` from this run.
    """
    own = pickle.loads(zstd.decompress(content))  # noqa: S301  written by this run
    own["precomputed"] = catalogue.precomputed and replace(catalogue.precomputed, user_vectors=own["precomputed"])
    return replace(catalogue, **own)


def keep_users(dataset: Dataset, rows: np.ndarray) -> Dataset:
    """Restrict the dataset to some users, given by their `user_ix` in ascending order."""
    new_ix = renumber(rows, len(dataset.users))
    precomputed = dataset.precomputed
    impressions = dataset.impressions
    assignments = dataset.assignments
    guests = dataset.guests
    return replace(
        dataset,
        users=Ids(dataset.users.take(rows)),
        events=Events.of_rows(dataset.events.pairs, dataset.events.rows.keep_users(new_ix)),
        groups={name: Group(group.values, group.codes[rows]) for name, group in dataset.groups.items()},
        ages=take_rows(dataset.ages, rows),
        registered_at=take_rows(dataset.registered_at, rows),
        friends=take_rows(dataset.friends, rows),
        friend_ids=dataset.friend_ids or (None if dataset.friends is None else dataset.users),
        precomputed=precomputed and replace(precomputed, user_vectors=precomputed.user_vectors[rows]),
        impressions=(impressions and impressions.keep_users(new_ix)) or None,
        assignments=None if assignments is None else next(renumber_users([assignments], new_ix)),
        guests=None if guests is None else next(renumber_users([guests], new_ix)),
    )


def join_users(name: str, parts: Iterable[Dataset], catalogue: Dataset, *, are_all: bool = False) -> Dataset:
    """Concatenate the users of several parts, sorted by id; large numbers of events are spooled to disk.

    If `are_all`, the parts contain all users, and other friends are dropped.
    """
    tables: dict[str, list[pl.DataFrame]] = defaultdict(list)
    spooled: list[tuple[Ids, UserRows, UserRows | None]] = []
    with TemporaryDirectory(prefix="firstday-") as folder:
        for part in parts:
            if not len(part.users):
                continue
            path = Path(folder) / f"{len(spooled):06}.parquet"  # the order of users is known only at the end
            part.events.rows.whole().write_parquet(path, compression="lz4")
            events = UserRows((pl.scan_parquet(path, glob=False),))
            spooled.append((part.users, events, part.impressions))
            for table, frame in _write_frames(part).items():
                tables[table].append(frame)
        if not spooled:
            return replace(catalogue, name=name)
        frames = {table: pl.concat(part_frames, how="diagonal_relaxed") for table, part_frames in tables.items()}
        share_id_types(frames)
        users = Ids.of(frames["users"]["user_id"].sort())
        n_interactions = sum(len(rows) for _, rows, _ in spooled)
        writers = [RowWriter(types, len(users), n_interactions) for types in (EVENT_TYPES, IMPRESSION_TYPES)]
        for ids, *part_rows in spooled:
            new_ix = users.lookup(ids.values)
            for writer, rows in zip(writers, part_rows, strict=True):
                for frame in renumber_users(() if rows is None else rows.frames(), new_ix):
                    writer.add(frame)
        joined = Events.of_rows(part.events.pairs, writers[0].finish(lambda rows: rows.sort(SORT_ORDER)))
    impressions = writers[1].finish(lambda rows: rows.sort(IMPRESSION_ORDER)) or None
    return add_users(name, catalogue, frames, (joined, impressions), Findings(), are_all=are_all)


def _write_frames(part: Dataset) -> dict[str, pl.DataFrame]:
    """Convert a part's data back to tables, except interactions and impressions."""
    ids = part.users.values.alias("user_id")
    precomputed = part.precomputed
    groups = {
        name: pl.Series([*group.values, None], dtype=pl.String).gather(group.codes)  # code -1 selects the last
        for name, group in part.groups.items()
    }
    columns = {"user_id": ids, "age": part.ages, "registered_at": part.registered_at, **groups}
    users = pl.DataFrame({name: values for name, values in columns.items() if values is not None})
    frames = {"users": users.with_columns(pl.col("^registered_at$").cast(UTC_MICROSECONDS))}
    if part.friends is not None:
        friend_ids = (part.friend_ids or part.users).take(part.friends.columns)
        frames["friends"] = pl.DataFrame([ids.gather(part.friends.row_of_entry()), friend_ids.alias("friend_id")])
    if part.assignments is not None:
        frames["assignments"] = part.assignments.with_columns(ids.gather(part.assignments["user_ix"]))
    if part.guests is not None:
        frames["guests"] = part.guests.with_columns(ids.cast(pl.String).gather(part.guests["user_ix"]))
    if precomputed is not None:
        frames["embeddings/users"] = pl.DataFrame({"user_id": ids, "vector": precomputed.user_vectors})
    return frames
