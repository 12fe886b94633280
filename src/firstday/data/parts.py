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
from firstday.data.event_writer import EventWriter
from firstday.data.events import EVENT_TYPES, Events, renumber_users
from firstday.data.ids import Ids
from firstday.data.impressions import join_impressions
from firstday.data.interactions import (
    Interactions,
    Known,
    find_ids,
    judge_interactions,
    read_interactions,
    unite_ids,
)
from firstday.data.load import (
    add_users,
    assemble_catalogue,
    find_all_ids,
    find_friends,
    index_friends,
    known_entities,
    sort_assignments,
)
from firstday.tables import zstd
from firstday.tables.faults import Findings, show_examples
from firstday.tables.raw_table import RawTable
from firstday.tables.table_checks import (
    check_frames,
    check_named_users,
    check_vector_lengths,
    faulty_entities,
    known_ids,
    share_id_types,
)

MENTIONS = "friends: who is named"
"""The rows of `friends` once more, in the part of the user who is named as a friend: there it can be looked up."""
SHARED = ("items", "entities", "titles", "added_at")
"""What a part shares with the whole, besides the vectors of items."""
NO_VECTORS = pl.DataFrame(schema={"user_id": pl.String, "vector": pl.List(pl.Float32)})
_NOTHING = Dataset("nothing", Ids.of([]), Ids.of([]), Events.empty(()))
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
    derived = {"users", "items"} - tables
    entities, faulty = known_entities(raw, frames), faulty_entities(raw, findings)
    known = Known(None, find_all_ids(frames, "items"), entities, signals, faulty, derived)
    is_usable = not findings.faults and known.items is not None
    catalogue = assemble_catalogue(frames, groups, findings) if is_usable else None
    return Whole(tables, known, catalogue, now, findings.drop, unreadable)


def load_part(raw: Mapping[str, RawTable], whole: Whole, name: str = "part") -> Part:
    """Check the rows of some users and make a Dataset of them.

    Parameters
    ----------
    raw
        Their rows of `USER_TABLES`, and `MENTIONS`; a table of which they have no row is left out.
    whole
        What all parts share.
    name
        The dataset's name.
    """
    findings, interactions, catalogue = Findings(drop=whole.drop), raw.get("interactions"), whole.catalogue
    named: dict[str, pl.Series] = {}
    if interactions is not None and "users" not in whole.tables:
        known = whole.known if whole.drop else None  # only rows that are kept name users
        named = find_ids(interactions, known, ("users",))
    elif not {"users", "users" if "users" in whole.tables else "interactions"} & whole.unreadable:
        named["users"] = pl.Series([], dtype=pl.String)
    own = {name: table for name, table in raw.items() if name != MENTIONS}
    frames = check_frames(own, named, findings, are_all=False)
    first_users = known_ids(frames, "users")
    if MENTIONS in raw:
        check_named_users("friends", raw[MENTIONS], "friend_id", frames, findings)
    share_id_types(frames)
    users = find_all_ids(frames, "users")
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
        dataset = add_users(name, catalogue, frames, found, findings, find_friends(frames))
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
    shown, precomputed = part.impressions, part.precomputed
    own = replace(
        part,
        **{name: getattr(_NOTHING, name) for name in SHARED},
        events=replace(part.events, parts=(pl.concat(part.events.frames()),), spool=None),
        impressions=None if shown is None else replace(shown, parts=(shown.whole(),), spool=None),
        precomputed=None if precomputed is None else replace(precomputed, item_vectors=precomputed.item_vectors[:0]),
    )
    return zstd.compress(pickle.dumps(own, protocol=5), level=1)


def unpack(content: bytes, catalogue: Dataset) -> Dataset:
    """Return the part that `pack` wrote, with what it shares with the whole.

    Parameters
    ----------
    content
        From `pack`: by this very run, never from anywhere else, since it is unpickled.
    catalogue
        See `Whole`.
    """
    own: Dataset = pickle.loads(zstd.decompress(content))  # noqa: S301  written by this run
    precomputed = own.precomputed
    if precomputed is not None and catalogue.precomputed is not None:
        precomputed = replace(precomputed, item_vectors=catalogue.precomputed.item_vectors)
    return replace(own, precomputed=precomputed, **{name: getattr(catalogue, name) for name in SHARED})


def keep_users(dataset: Dataset, rows: np.ndarray) -> Dataset:
    """Return a dataset of some of the users, with all that belongs to them.

    Parameters
    ----------
    dataset
        Any dataset.
    rows
        Their `user_ix`, ascending, shape (n,).
    """
    place = np.full(len(dataset.users), -1, dtype=np.int32)
    place[rows] = np.arange(len(rows), dtype=np.int32)
    events = pl.concat([pl.DataFrame(schema=EVENT_TYPES), *renumber_users(dataset.events.frames(), place)])
    counts = np.bincount(events["pair"].to_numpy(), minlength=len(dataset.events.pairs))
    ages, registered_at, friends, precomputed = (
        getattr(dataset, name) for name in ("ages", "registered_at", "friends", "precomputed")
    )
    return replace(
        dataset,
        users=Ids(dataset.users.take(rows)),
        events=replace(dataset.events, counts=counts, parts=(events,), spool=None),
        groups={name: Group(group.values, group.codes[rows]) for name, group in dataset.groups.items()},
        ages=None if ages is None else ages[rows],
        registered_at=None if registered_at is None else registered_at[rows],
        friends=None if friends is None else friends.take(rows),
        friend_ids=dataset.friend_ids or (None if friends is None else dataset.users),
        precomputed=None if precomputed is None else replace(precomputed, user_vectors=precomputed.user_vectors[rows]),
        impressions=None if dataset.impressions is None else dataset.impressions.keep_users(place),
        assignments=_join_assignments([dataset.assignments], [place]),
    )


def _join_assignments(parts: Iterable[pl.DataFrame | None], places: Iterable[np.ndarray]) -> pl.DataFrame | None:
    """Return the assignments of users by their new place, -1 for those who are left out; None without any table."""
    frames = [
        frame
        for part, place in zip(parts, places, strict=True)
        if part is not None
        for frame in renumber_users([part], place)
    ]
    return sort_assignments(pl.concat(frames)) if frames else None


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
    with TemporaryDirectory(prefix="firstday-") as folder:
        kept: list[Dataset] = []
        for number, part in enumerate(parts):  # their events wait on disk: the order of all users comes last
            path = Path(folder) / f"{number:06}.arrow"
            pl.concat([pl.DataFrame(schema=EVENT_TYPES), *part.events.frames()]).write_ipc(path, compression="lz4")
            kept.append(replace(part, events=replace(part.events, parts=(path,), spool=None)))
        users = Ids(unite_ids([part.users.values for part in kept])) if kept else catalogue.users
        places = [users.lookup(part.users.values) for part in kept]
        writer = EventWriter(kept[0].events.pairs if kept else (), len(users), n_interactions)
        for part, place in zip(kept, places, strict=True):
            for frame in renumber_users(map(pl.read_ipc, part.events.parts), place):  # type: ignore[arg-type]
                writer.add(frame)
        events = writer.finish(Findings())
    shown = (
        frame
        for part, place in zip(kept, places, strict=True)
        if part.impressions is not None
        for frame in renumber_users(part.impressions.frames(), place)
    )
    order = np.argsort(np.concatenate([np.empty(0, dtype=np.int32), *places]))
    profiles = pl.concat([_profiles(catalogue).clear(), *map(_profiles, kept)], how="diagonal")[order].fill_null(-1)
    columns = {name: profiles[name].to_numpy(writable=True) for name in profiles.columns}
    precomputed = catalogue.precomputed
    if precomputed is not None:
        vectors = [part.precomputed.user_vectors for part in kept if part.precomputed is not None]
        precomputed = replace(precomputed, user_vectors=np.concatenate([precomputed.user_vectors[:0], *vectors])[order])
    dataset = replace(
        catalogue,
        name=name,
        friends=None,
        friend_ids=None,
        users=users,
        events=events,
        groups={name: Group(group.values, columns[f"group {name}"]) for name, group in catalogue.groups.items()},
        ages=columns.get("age"),
        registered_at=columns.get("registered_at"),
        precomputed=precomputed,
        impressions=join_impressions(shown, len(users), n_interactions),
        assignments=_join_assignments([part.assignments for part in kept], places),
    )
    pairs = [_list_friends(part) for part in kept if part.friends is not None and part.friend_ids is not None]
    if not pairs:
        return dataset
    friends = pl.concat(pairs)
    is_user = pl.Series(users.lookup(friends["friend_id"]) >= 0)
    if are_all or is_user.all():
        return replace(dataset, friends=index_friends(friends.filter(is_user), users, users, Findings()))
    friend_ids = Ids.of(friends["friend_id"].unique().sort())
    return replace(dataset, friends=index_friends(friends, users, friend_ids, Findings()), friend_ids=friend_ids)


def _profiles(part: Dataset) -> pl.DataFrame:
    """Return what is known of each user, a row each; without columns of which the part knows nothing."""
    columns = {"age": part.ages, "registered_at": part.registered_at}
    columns |= {f"group {name}": group.codes for name, group in part.groups.items()}
    return pl.DataFrame({name: values for name, values in columns.items() if values is not None})


def _list_friends(part: Dataset) -> pl.DataFrame:
    """Return the friendships of a part by the ids of both."""
    assert part.friends is not None
    assert part.friend_ids is not None
    return pl.DataFrame(
        {
            "user_id": part.users.take(part.friends.row_of_entry()).cast(pl.String),
            "friend_id": part.friend_ids.take(part.friends.columns).cast(pl.String),
        }
    )
