"""Parts of tables too large for one machine: all rows of some users, read by the same code as complete tables.

A part is a small Dataset with a subset of the users, and all items, entities and group values. Every table rule and
every sum over users is a function of a Dataset, so results summed over parts equal those of the complete dataset.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from firstday.config import SignalConfig
from firstday.data.dataset import Dataset
from firstday.data.fields import join_fields
from firstday.data.ids import Ids
from firstday.data.interactions import Vocabulary, check_tallies, find_ids, read_interactions, unite_ids
from firstday.data.load import add_users, assemble_catalogue, find_vocabulary, index_ids, link_friends
from firstday.data.user_rows import UserRows
from firstday.tables import zstd
from firstday.tables.faults import Findings
from firstday.tables.raw_table import RawTable
from firstday.tables.table_checks import check_frames, check_named_friends, check_vector_lengths

MENTIONS = "friends: by friend_id"
"""Rows of `friends` partitioned by `friend_id`, so that the part with the friend can check the id."""
SHARED = [f.name for f in fields(Dataset) if "items" in f.metadata and "users" not in f.metadata]
"""Fields of the catalogue that all parts share; other fields belong to a part's users."""
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
    if catalogue is not None and catalogue.item_vectors is not None:
        frames.setdefault("embeddings/users", NO_VECTORS)
        check_vector_lengths(frames, catalogue.item_vectors.shape[1], findings)
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
    return zstd.compress(pickle.dumps(own, protocol=5), level=1)


def unpack(content: bytes, catalogue: Dataset) -> Dataset:
    """Restore a part from the output of `pack`, taking the shared fields from the catalogue.

    The content is unpickled: pass only output of `pack` from this run.
    """
    return replace(catalogue, **pickle.loads(zstd.decompress(content)))  # noqa: S301  written by this run


def join_users(name: str, parts: Iterable[Dataset], catalogue: Dataset, *, are_all: bool = False) -> Dataset:
    """Concatenate the users of several parts, sorted by id; large numbers of events are spooled to disk.

    If `are_all`, the parts contain all users, and other friends are dropped.
    """
    with TemporaryDirectory(prefix="firstday-") as folder:
        with_users = (part for part in parts if len(part.users))
        # The order of users is known only at the end.
        spooled = [_spool(part, Path(folder) / f"{number:06}.parquet") for number, part in enumerate(with_users)]
        if not spooled:
            return replace(catalogue, name=name)
        users = Ids.of(unite_ids([part.users.values for part in spooled]))
        new_ix = [users.lookup(part.users.values) for part in spooled]
        joined = join_fields(spooled, new_ix)
    friends = [_list_friends(part) for part in spooled if part.friends is not None]
    if friends:
        pairs = pl.concat(friends, how="vertical_relaxed")
        joined |= link_friends(pairs, users, Findings(), are_all=are_all)
    return replace(catalogue, name=name, users=users, **joined)


def _spool(part: Dataset, path: Path) -> Dataset:
    """Return the part with its events in a file."""
    part.events.rows.whole().write_parquet(path, compression="lz4")
    rows = UserRows((pl.scan_parquet(path, glob=False),))
    return replace(part, events=replace(part.events, rows=rows))


def _list_friends(part: Dataset) -> pl.DataFrame:
    """Return the table of friends of a part."""
    assert part.friends is not None
    friend_ids = (part.friend_ids or part.users).take(part.friends.columns)
    user_ids = part.users.take(part.friends.row_of_entry())
    return pl.DataFrame([user_ids.alias("user_id"), friend_ids.alias("friend_id")])
