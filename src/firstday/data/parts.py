"""Parts of tables that are larger than one machine: all rows of some users, read by the code that reads whole tables.

A part is a small Dataset. Its users are some of all users; its items, entities and values of groups are those of the
whole. Every rule on tables, and every sum over users, is a function of a Dataset: run over parts and added up it says
the same as run over the whole.
"""

from __future__ import annotations

import pickle
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
from firstday.data.interactions import Interactions, Known, find_ids, judge_interactions, read_interactions, unite_ids
from firstday.data.load import add_users, assemble_catalogue, find_ids_of, find_known
from firstday.data.user_rows import RowWriter, UserRows, renumber, renumber_users
from firstday.tables import zstd
from firstday.tables.faults import Findings, show_examples
from firstday.tables.raw_table import RawTable
from firstday.tables.table_checks import (
    check_frames,
    check_named_users,
    check_vector_lengths,
    known_ids,
    share_id_types,
)

MENTIONS = "friends: who is named"
"""The rows of `friends` once more, in the part of the user who is named as a friend: there it can be looked up."""
OWN = ("name", "users", "groups", "ages", "registered_at", "friends", "friend_ids", "assignments")
"""What belongs to the users of a part, besides rows and vectors; the rest it shares with the whole."""
NO_VECTORS = pl.DataFrame(schema={"user_id": pl.String, "vector": pl.List(pl.Float32)})
USER_TABLES = ("users", "interactions", "friends", "assignments", "embeddings/users")
"""Tables whose rows belong to a user; the others belong to the whole."""


@dataclass(frozen=True, eq=False)
class Whole:
    """What all parts share.

    Parameters
    ----------
    tables
        The names of the tables that there are.
    known
        What interactions may name, but for users.
    catalogue
        A dataset without users: the items with their titles, entities and precomputed vectors, and the values of each
        column of `users` that makes groups; None where there are faults.
    now
        The time of reading.
    drop
        Whether bad rows are left out.
    unreadable
        The names of those tables that cannot be read, so that nothing can be looked up in them.
    """

    tables: frozenset[str]
    known: Known
    catalogue: Dataset | None
    now: datetime
    drop: bool = False
    unreadable: frozenset[str] = frozenset()


@dataclass(frozen=True, eq=False)
class Part:
    """A part that was read.

    Parameters
    ----------
    dataset
        Its users with all that belongs to them; None where there are faults.
    findings
        Its faults and notes.
    first_users
        The first ids of its users, to show how they are written; None where there are none.
    """

    dataset: Dataset | None
    findings: Findings
    first_users: pl.Series | None = None


def load_whole(
    raw: Mapping[str, RawTable | None],
    item_ids: pl.Series,
    groups: Mapping[str, tuple[str, ...]],
    tables: frozenset[str],
    signals: SignalConfig,
    findings: Findings,
    now: datetime,
    unreadable: frozenset[str] = frozenset(),
) -> Whole:
    """Read and check the tables that do not belong to users.

    Parameters
    ----------
    raw
        The tables `items`, `collections`, `names` and `embeddings/items`, as far as there are any; None for one that
        cannot be read.
    item_ids
        The items that interactions name: they are all items where there is no table of items, and else further ones.
    groups
        The values of each column of `users` that makes groups, sorted.
    tables, now, unreadable
        See `Whole`.
    signals
        Which signals are known and which mean use.
    findings
        Gets the faults and notes.
    """
    frames = check_frames(raw, {"items": item_ids}, findings)
    share_id_types(frames)
    known = find_known(raw, frames, tables, signals, findings)
    is_usable = not findings.faults and known.items is not None
    catalogue = assemble_catalogue(frames, known, groups, findings) if is_usable else None
    return Whole(tables, known, catalogue, now, findings.drop, unreadable)


def load_part(raw: Mapping[str, RawTable], whole: Whole) -> Part:
    """Check the rows of some users and make a Dataset of them.

    Parameters
    ----------
    raw
        Their rows of `USER_TABLES`, and `MENTIONS`; a table of which they have no row is left out.
    whole
        What all parts share.
    """
    findings, interactions, catalogue = Findings(drop=whole.drop), raw.get("interactions"), whole.catalogue
    named: dict[str, pl.Series] = {}
    home = "users" if "users" in whole.tables else "interactions"
    if interactions is not None and home == "interactions":
        known = whole.known if whole.drop else None  # only rows that are kept name users
        named["users"] = find_ids(interactions, known)["users"]
    elif home not in whole.unreadable:
        named["users"] = pl.Series([], dtype=pl.String)
    own = {name: table for name, table in raw.items() if name != MENTIONS}
    frames = check_frames(own, named, findings, are_all=False)
    first_users = known_ids(frames, "users")
    if MENTIONS in raw:
        check_named_users("friends", raw[MENTIONS], "friend_id", frames, findings)
    share_id_types(frames)
    users = find_ids_of(frames, "users")
    known = replace(whole.known, users=users)
    found: Interactions | None = Interactions(Events.empty(known.pairs))
    if interactions is not None:
        found = read_interactions(interactions, known, findings, whole.now)
    if catalogue is not None and catalogue.precomputed is not None:
        vectors = frames.setdefault("embeddings/users", NO_VECTORS)
        if "vector" in vectors.columns:
            check_vector_lengths(vectors["vector"], catalogue.precomputed.item_vectors.shape[1], findings)
    dataset = None
    if found is not None and findings.are_usable and users is not None and catalogue is not None:
        dataset = add_users("part", catalogue, frames, found, findings, are_all=False)
    return Part(dataset, findings, None if first_users is None else first_users.head(3))


def join_findings(parts: Iterable[Part], signals: SignalConfig, findings: Findings) -> None:
    """Add up what was found in parts, in any order, and judge what only all parts together can tell."""
    firsts: list[pl.Series] = []
    for part in parts:
        findings.merge([part.findings])
        firsts += [] if part.first_users is None else [part.first_users]
    findings.join_left_out("friends")
    judge_interactions(findings, signals)
    examples = show_examples("users", unite_ids(firsts))
    for key, found in findings.found.items():
        if found.finding == "name unknown users":
            findings.found[key] = replace(found, examples=examples)


def pack(part: Dataset) -> bytes:
    """Write what belongs to a part's users as bytes; what it shares with the whole is left out."""
    own = {name: getattr(part, name) for name in OWN}
    own["events"] = replace(part.events, rows=UserRows((part.events.rows.whole(),)))
    own["impressions"] = part.impressions and UserRows((part.impressions.whole(),))
    vectors = None if part.precomputed is None else part.precomputed.user_vectors
    return zstd.compress(pickle.dumps((own, vectors), protocol=5), level=1)


def unpack(content: bytes, catalogue: Dataset) -> Dataset:
    """Return the part that `pack` wrote, with what it shares with the whole.

    Parameters
    ----------
    content
        From `pack`: by this very run, never from anywhere else, since it is unpickled.
    catalogue
        See `Whole`.
    """
    own, vectors = pickle.loads(zstd.decompress(content))  # noqa: S301  written by this run
    precomputed = catalogue.precomputed and replace(catalogue.precomputed, user_vectors=vectors)
    return replace(catalogue, **own, precomputed=precomputed)


def keep_users(dataset: Dataset, rows: np.ndarray) -> Dataset:
    """Return a dataset of some of the users, with all that belongs to them.

    Parameters
    ----------
    dataset
        Any dataset.
    rows
        Their `user_ix`, ascending, shape (n,).
    """
    place, precomputed, impressions = renumber(rows, len(dataset.users)), dataset.precomputed, dataset.impressions
    assignments = dataset.assignments
    if assignments is not None:
        (assignments,) = renumber_users([assignments], place)
    return replace(
        dataset,
        users=Ids(dataset.users.take(rows)),
        events=Events.of_rows(dataset.events.pairs, dataset.events.rows.keep_users(place)),
        groups={name: Group(group.values, group.codes[rows]) for name, group in dataset.groups.items()},
        ages=None if dataset.ages is None else dataset.ages[rows],
        registered_at=None if dataset.registered_at is None else dataset.registered_at[rows],
        friends=dataset.friends and dataset.friends.take(rows),
        friend_ids=dataset.friend_ids or (None if dataset.friends is None else dataset.users),
        precomputed=precomputed and replace(precomputed, user_vectors=precomputed.user_vectors[rows]),
        impressions=(impressions and impressions.keep_users(place)) or None,
        assignments=assignments,
    )


def join_users(
    name: str, parts: Iterable[Dataset], catalogue: Dataset, n_interactions: int, *, are_all: bool = False
) -> Dataset:
    """Make one dataset of the users of several parts, in the order of their ids; events go to disk where many.

    Parameters
    ----------
    name
        The dataset's name.
    parts
        Parts with the same catalogue.
    catalogue
        See `Whole`.
    n_interactions
        How many interactions they have, about: decides whether these stay in memory.
    are_all
        Whether these are all users: a friend who is none of them was left out.
    """
    tables: dict[str, list[pl.DataFrame]] = {}
    waiting: list[tuple[Ids, Events, UserRows | None]] = []
    with TemporaryDirectory(prefix="firstday-") as folder:
        for part in filter(lambda part: len(part.users), parts):
            path = Path(folder) / f"{len(waiting):06}.parquet"  # events wait on disk: the order of users comes last
            part.events.rows.whole().write_parquet(path, compression="lz4")
            waiting.append((part.users, replace(part.events, rows=UserRows((path,))), part.impressions))
            for table, frame in _write_frames(part).items():
                tables.setdefault(table, []).append(frame)
        if not waiting:
            return replace(catalogue, name=name)
        frames = {table: pl.concat(of_parts, how="diagonal_relaxed") for table, of_parts in tables.items()}
        share_id_types(frames)
        users = Ids.of(frames["users"]["user_id"].sort())
        writers = [RowWriter(types, len(users), n_interactions) for types in (EVENT_TYPES, IMPRESSION_TYPES)]
        for ids, events, shown in waiting:
            place = users.lookup(ids.values)
            for writer, rows in zip(writers, (events.rows, shown), strict=True):
                for frame in renumber_users(() if rows is None else rows.frames(), place):
                    writer.add(frame)
        joined = Events.of_rows(waiting[0][1].pairs, writers[0].finish(lambda rows: rows.sort(SORT_ORDER)))
    impressions = writers[1].finish(lambda rows: rows.sort(IMPRESSION_ORDER)) or None
    if "friends" in frames:
        are_all = are_all or bool((users.lookup(frames["friends"]["friend_id"]) >= 0).all())
    return add_users(name, catalogue, frames, Interactions(joined, impressions), Findings(), are_all=are_all)


def _write_frames(part: Dataset) -> dict[str, pl.DataFrame]:
    """Return what belongs to the users of a part, apart from rows of interactions, as tables."""
    ids = part.users.values.alias("user_id")
    users = ids.to_frame()
    if part.ages is not None:
        users = users.with_columns(age=part.ages)
    if part.registered_at is not None:
        users = users.with_columns(registered_at=pl.Series(part.registered_at).cast(UTC_MICROSECONDS))
    for name, group in part.groups.items():
        values = (*group.values, None)
        users = users.with_columns(pl.Series(name, [values[code] for code in group.codes.tolist()], dtype=pl.String))
    frames = {"users": users}
    if part.friends is not None:
        friend_ids = (part.friend_ids or part.users).take(part.friends.columns)
        frames["friends"] = pl.DataFrame([ids.gather(part.friends.row_of_entry()), friend_ids.alias("friend_id")])
    if part.assignments is not None:
        frames["assignments"] = part.assignments.with_columns(ids.gather(part.assignments["user_ix"]))
    if part.precomputed is not None:
        frames["embeddings/users"] = pl.DataFrame([ids, pl.Series("vector", part.precomputed.user_vectors)])
    return frames
