"""Checked tables -> Dataset: the caller's ids become dense indexes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
import polars as pl

from firstday.data.dataset import BroughtVectors, Dataset, Entity, Group
from firstday.data.events import UTC_MICROSECONDS, Events
from firstday.data.ids import Ids
from firstday.data.rows import SparseRows
from firstday.data.tables import TABLES, Frames, all_ids, entity_members
from firstday.errors import count_of


def assemble(
    name: str,
    frames: Frames,
    events: Events,
    notes: Sequence[str] = (),
    entities: Mapping[str, Entity] | None = None,
) -> Dataset:
    """Make a Dataset of tables without faults; the order of their rows does not matter.

    Parameters
    ----------
    name
        The dataset's name.
    frames
        Tables by name, as `checks.check_frames` returns them.
    events
        The interactions, indexed with the ids of `frames`.
    notes
        What was decided while reading, kept in the Dataset.
    entities
        Entities other than items; None takes them from the tables `items` and `collections`.
    """
    users, items = all_ids(frames, "users"), all_ids(frames, "items")
    if entities is None:
        entities = {entity: _entity(members, items) for entity, members in entity_members(frames).items()}
    decided = list(notes)
    return Dataset(
        name=name,
        users=users,
        items=items,
        events=events,
        entities=entities,
        groups=_groups(frames, users),
        ages=_ages(frames, users),
        registered_at=_registered_at(frames, users, decided),
        friends=_friends(frames, users, decided),
        titles=_titles(frames, items),
        brought=_brought(frames, users, items),
        notes=tuple(decided),
    )


def entity_ids(members: pl.DataFrame) -> Ids:
    """Return the ids of an entity's members, sorted."""
    return Ids.of(members["entity_id"].unique().sort())


def _entity(members: pl.DataFrame, items: Ids) -> Entity:
    """Index the members of one entity."""
    ids = entity_ids(members)
    rows, columns = ids.lookup(members["entity_id"]), items.lookup(members["item_id"])
    return Entity(ids, SparseRows.from_pairs(rows, columns, None, len(ids), len(items)))


def _by_user(frames: Frames, users: Ids, column: str) -> pl.Series | None:
    """Return a column of `users` in index order, None where there is no such column."""
    if "users" not in frames or column not in frames["users"].columns:
        return None
    rows = frames["users"]
    return rows[column].gather(pl.Series(np.argsort(users.lookup(rows["user_id"])).astype(np.uint32)))


def _groups(frames: Frames, users: Ids) -> dict[str, Group]:
    """Code each categorical column of `users`."""
    groups = {}
    for column in sorted(frames["users"].columns) if "users" in frames else []:
        if column not in TABLES["users"].kinds:
            values = _by_user(frames, users, column)
            assert values is not None
            distinct = Ids(values.drop_nulls().unique().sort())
            groups[column] = Group(tuple(distinct.values.to_list()), distinct.lookup(values))
    return groups


def _ages(frames: Frames, users: Ids) -> np.ndarray | None:
    """Return ages in index order; None where no age is known."""
    ages = _by_user(frames, users, "age")
    if ages is None or ages.null_count() == len(ages):
        return None
    return ages.fill_null(-1).cast(pl.Int16).to_numpy().copy()


def _registered_at(frames: Frames, users: Ids, notes: list[str]) -> np.ndarray | None:
    """Return registration times in index order; a time in the future is unknown."""
    times = _by_user(frames, users, "registered_at")
    if times is None:
        return None
    future = (times > datetime.now(UTC)).fill_null(value=False)
    if future.any():
        first = times.filter(future)[0]
        notes.append(
            f"users.registered_at: {count_of(int(future.sum()), len(times), 'users')} registered in the future (first: "
            f"{first:%Y-%m-%dT%H:%M:%SZ}); taken as unknown."
        )
    return times.cast(UTC_MICROSECONDS).to_physical().set(future, None).fill_null(-1).to_numpy().copy()


def _friends(frames: Frames, users: Ids, notes: list[str]) -> SparseRows | None:
    """Index friendships as they are listed, each once."""
    if "friends" not in frames:
        return None
    rows = users.lookup(frames["friends"]["user_id"])
    columns = users.lookup(frames["friends"]["friend_id"])
    others = rows != columns
    if not others.all():
        n = int((~others).sum())
        notes.append(f"friends: {n:,} of {len(rows):,} rows name a user as their own friend and were dropped.")
    return SparseRows.from_pairs(rows[others], columns[others], None, len(users), len(users)).ones()


def _titles(frames: Frames, items: Ids) -> tuple[str, ...] | None:
    """Return titles in index order."""
    if "items" not in frames or "title" not in frames["items"].columns:
        return None
    rows = frames["items"]
    order = np.argsort(items.lookup(rows["item_id"])).astype(np.uint32)
    return tuple(rows["title"].fill_null("").gather(pl.Series(order)).to_list())


def _brought(frames: Frames, users: Ids, items: Ids) -> BroughtVectors | None:
    """Place the caller's own vectors by index."""
    if "embeddings/items" not in frames:
        return None
    return BroughtVectors(
        _place(frames["embeddings/users"], "user_id", users), _place(frames["embeddings/items"], "item_id", items)
    )


def _place(rows: pl.DataFrame, column: str, ids: Ids) -> np.ndarray:
    """Return float32 vectors in index order, shape (n_ids, d), NaN where there is none."""
    given = rows["vector"].explode().to_numpy().astype(np.float32).reshape(rows.height, -1)
    vectors = np.full((len(ids), given.shape[1]), np.nan, dtype=np.float32)
    vectors[ids.lookup(rows[column])] = given
    return vectors
