"""Dataset: validated tables in dense indexes, the input of every later stage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from time import time

import numpy as np
import polars as pl

from firstday.data.events import ITEM, UTC_MICROSECONDS, Events, Pair, Window, sort_pairs
from firstday.data.fields import (
    USER_TABLE,
    as_ages,
    as_microseconds,
    as_texts,
    as_vectors,
    join_arrays,
    per_item,
    per_user,
    restrict,
    take,
)
from firstday.data.ids import Ids
from firstday.data.impressions import join_shown, keep_shown_before, keep_shown_items, keep_shown_to
from firstday.data.user_rows import Parts, UserRows, renumber, take_rows
from firstday.display import readable
from firstday.sparse import SparseRows, union_rows
from firstday.tables.schema import EXPIRES_AT, RECOMMENDABLE, UPDATED


@readable
@dataclass(frozen=True, eq=False)
class Entity:
    """An entity other than items, such as artists, genres or playlists; each member is a set of items."""

    ids: Ids  # external ids of the members
    items: SparseRows  # items of each member, shape (n_members, n_items)
    names: tuple[str, ...] | None = None  # display name of each member, "" if unknown; None without names

    def take(self, members: np.ndarray) -> Entity:
        """Return some members, in the given order."""
        return Entity(Ids(self.ids.take(members)), self.items.take(members), take_rows(self.names, members))

    def keep_items(self, new_ix: np.ndarray) -> Entity:
        """Return all members with some of the items."""
        return replace(self, items=self.items.keep_columns(np.flatnonzero(new_ix >= 0)))


@readable
@dataclass(frozen=True, eq=False)
class Group:
    """A categorical column of the users table, such as country."""

    values: tuple[str, ...]  # distinct, sorted
    codes: np.ndarray  # index into `values`, -1 if missing, int32, shape (n_users,)

    def take(self, users: np.ndarray) -> Group:
        """Return the values of some users."""
        return Group(self.values, self.codes[users])

    def without_unused(self) -> Group:
        """Drop the values that no user has."""
        codes = np.unique(self.codes[self.codes >= 0])
        new_ix = np.append(renumber(codes, len(self.values)), np.int32(-1))
        return Group(tuple(self.values[code] for code in codes.tolist()), new_ix[self.codes])


def _take_ids(ids: Ids, new_ix: np.ndarray) -> Ids:
    return Ids(take(ids.values, new_ix))


def _keep_items_of(entities: Mapping[str, Entity], new_ix: np.ndarray) -> dict[str, Entity]:
    return {name: entity.keep_items(new_ix) for name, entity in entities.items()}


def _join_groups(parts: Parts, n_users: int) -> dict[str, Group]:
    """Join profile columns, which have the same values in all parts."""
    joined = {}
    for name, group in parts[0][0].items():
        codes = [(groups[name].codes, new_ix) for groups, new_ix in parts]
        joined[name] = Group(group.values, join_arrays(codes, n_users))
    return joined


ASSIGNMENT_TYPES: dict[str, pl.DataType] = {
    "user_ix": pl.Int32(),
    "experiment": pl.String(),
    "variant": pl.String(),
    "assigned_at": UTC_MICROSECONDS,
}


@readable
@dataclass(frozen=True, eq=False)
class Dataset:
    """All validated tables, indexed by dense `user_ix` and `item_ix` instead of external ids.

    Parameters
    ----------
    name
        Name of the dataset or of the folder.
    users, items
        External ids in index order.
    events
        The interactions.
    entities
        Entities other than items, by name.
    groups
        Categorical user columns, by name.
    ages
        Age in years, -1 if missing: int16, shape (n_users,). None if no age is known.
    registered_at
        Registration time in microseconds since 1970 UTC, -1 if missing: int64, shape (n_users,). None without the
        column.
    friends
        Friends of each user, shape (n_users, n_users), or (n_users, len(friend_ids)); None without the table.
    titles, descriptions
        Title and description of each item, "" if missing; None without the column.
    updated
        Mask of items of which the table `item_updates` changed a value, bool, shape (n_items,); None without it.
    content_vectors
        The caller's own vectors of what items are like, float32, shape (n_items, c), NaN without a vector; None without
        the column `vector`.
    added_at
        Time at which each item was added, in microseconds since 1970 UTC, -1 if missing: int64, shape (n_items,). None
        without the column.
    expires_at
        Time from which each item is in no list, in microseconds since 1970 UTC, -1 if missing: int64, shape (n_items,).
        None without the column.
    user_vectors, item_vectors
        Precomputed embeddings, which replace the first stage of training: float32, shape (n_users, d) and (n_items, d),
        NaN without a vector. None if training computes them.
    friend_ids
        Ids of the friends, if some are not in `users`.
    notes
        Sentences on what was ignored or decided while loading.
    left_out
        One line of JSON per bad row dropped while loading: table, location, reasons and values.
    impressions
        Impressions, with the columns of `IMPRESSION_TYPES`, partitioned by user; None without impressions. They are
        not interactions: training uses them only to count how often each segment used what it was shown.
    assignments
        Experiment variants of users, with the columns of `ASSIGNMENT_TYPES`, sorted by user, experiment and time, each
        once; a user who was a guest may have had several. `assigned_at` is null if unknown. None without the table.
        Training ignores assignments.
    guests
        All ids (`own_id`) of the users (`user_ix`) who were guests, sorted by user, the first id first. None without
        guests.
    columns
        Columns of `items` for rules on lists: Boolean, Float64, String or List(String), n_items rows each.
    new_items
        Table `items` of newcomers, whose items the model may not know; None without it.
    """

    name: str
    users: Ids = field(metadata={"users": _take_ids})
    items: Ids = field(metadata={"items": _take_ids})
    events: Events = field(
        metadata={
            "users": Events.keep_users,
            "items": Events.keep_items,
            "before": Events.before,
            "join": Events.join,
        }
    )
    entities: Mapping[str, Entity] = field(default_factory=dict, metadata={"items": _keep_items_of})
    groups: Mapping[str, Group] = field(
        default_factory=dict,
        metadata={"users": take, "join": _join_groups},
    )
    ages: np.ndarray | None = field(default=None, metadata=per_user("age", as_ages))
    registered_at: np.ndarray | None = field(default=None, metadata=per_user("registered_at", as_microseconds))
    friends: SparseRows | None = field(default=None, metadata={"users": take})
    titles: tuple[str, ...] | None = field(default=None, metadata=per_item("title", as_texts))
    descriptions: tuple[str, ...] | None = field(default=None, metadata=per_item("description", as_texts))
    content_vectors: np.ndarray | None = field(default=None, metadata=per_item("vector", as_vectors))
    added_at: np.ndarray | None = field(default=None, metadata=per_item("added_at", as_microseconds))
    expires_at: np.ndarray | None = field(default=None, metadata=per_item(EXPIRES_AT, as_microseconds))
    updated: np.ndarray | None = field(default=None, metadata=per_item(UPDATED, pl.Series.to_numpy))
    user_vectors: np.ndarray | None = field(default=None, metadata=per_user())
    item_vectors: np.ndarray | None = field(default=None, metadata=per_item())
    friend_ids: Ids | None = None
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    impressions: UserRows | None = field(
        default=None,
        metadata={
            "users": keep_shown_to,
            "items": keep_shown_items,
            "before": keep_shown_before,
            "join": join_shown,
        },
    )
    assignments: pl.DataFrame | None = field(default=None, metadata=USER_TABLE)
    guests: pl.DataFrame | None = field(default=None, metadata=USER_TABLE)
    columns: Mapping[str, pl.Series] = field(default_factory=dict, metadata={"items": take})
    new_items: pl.DataFrame | None = None

    def keep_users(self, rows: np.ndarray) -> Dataset:
        """Restrict the dataset to some users, given by their `user_ix` in ascending order."""
        friend_ids = self.users if self.friends is not None and self.friend_ids is None else self.friend_ids
        return replace(restrict(self, "users", renumber(rows, len(self.users))), friend_ids=friend_ids)

    def keep_items(self, rows: np.ndarray) -> Dataset:
        """Restrict the dataset to some items, given by their `item_ix` in ascending order."""
        return restrict(self, "items", renumber(rows, len(self.items)))

    def before(self, moment: int) -> Dataset:
        """Drop interactions and impressions at or after a time, in microseconds since 1970 UTC."""
        return restrict(self, "before", pl.lit(moment).cast(UTC_MICROSECONDS))

    @property
    def items_without_vector(self) -> np.ndarray:
        """Indexes of items without a precomputed vector, int32, ascending; empty if training computes vectors."""
        vectors = np.zeros((0, 1)) if self.item_vectors is None else self.item_vectors
        return np.flatnonzero(np.isnan(vectors).any(axis=1)).astype(np.int32)

    def find_users(self, ids: pl.Series) -> np.ndarray:
        """Return the index of the user of each id, as user or guest, int32, shape (n_ids,), -1 if unknown."""
        users = self.users.lookup(ids)
        if self.guests is None:
            return users
        rows = Ids(self.guests["own_id"]).lookup(ids)
        return np.where(rows >= 0, self.guests["user_ix"].to_numpy()[rows], users)

    @property
    def updated_items(self) -> np.ndarray:
        """Indexes of items of which `item_updates` changed a value, int32, ascending."""
        return np.flatnonzero(() if self.updated is None else self.updated).astype(np.int32)

    def find_expired(self, moment_us: float) -> np.ndarray:
        """Return the mask of items that had expired by a time, in microseconds since 1970 UTC; shape (n_items,)."""
        if self.expires_at is None:
            return np.zeros(len(self.items), dtype=bool)
        return (self.expires_at != -1) & (self.expires_at <= moment_us)

    def find_unlisted(self, moment_us: int | None = None) -> np.ndarray:
        """Return the indexes of items that are in no list at a time, int32, ascending: expired, or without a vector.

        None is now, when those that are not recommendable are in no list either.
        """
        is_unlisted = self.find_expired(time() * 1e6 if moment_us is None else moment_us)
        if moment_us is None and RECOMMENDABLE in self.columns:
            is_unlisted |= ~self.columns[RECOMMENDABLE].fill_null(True).to_numpy()
        is_unlisted[self.items_without_vector] = True
        return np.flatnonzero(is_unlisted).astype(np.int32)

    def pairs(self) -> tuple[Pair, ...]:
        """Return the (signal, entity) pairs in the data, items first."""
        return sort_pairs(pair for pair, n in zip(self.events.pairs, self.events.counts, strict=True) if n)

    def actions(self, window: Window | None = None) -> dict[Pair, SparseRows]:
        """Sum each user's interactions in a window: weights by (signal, entity) pair, shape (n_users, n_targets)."""
        parts: dict[Pair, list[SparseRows]] = {pair: [] for pair in self.pairs()}
        for frame in self.events.frames():  # each user is in one partition; sums follow the order of rows
            rows = frame if window is None else window.select(frame)
            for pair, matrices in parts.items():
                targets = self.items if pair[1] == ITEM else self.entities[pair[1]].ids
                cells = rows.filter(pl.col("pair") == self.events.pairs.index(pair))
                user, target, weight = (column.to_numpy() for column in cells["user_ix", "target_ix", "weight"])
                matrices.append(SparseRows.from_pairs(user, target, weight, len(self.users), len(targets)))
        return {pair: union_rows(matrices) for pair, matrices in parts.items()}

    def summary(self) -> dict[str, int | dict[str, int]]:
        """Return the numbers of users, items, interactions, pairs, entities, groups and friends."""
        per_pair = dict(zip(self.events.pairs, self.events.counts.tolist(), strict=True))
        return {
            "users": len(self.users),
            "items": len(self.items),
            "interactions": len(self.events),
            "pairs": Counter({" x ".join(pair): per_pair[pair] for pair in sorted(self.pairs())}),
            "entities": {name: len(entity.ids) for name, entity in sorted(self.entities.items())},
            "groups": {name: len(group.values) for name, group in sorted(self.groups.items())},
            "friends": 0 if self.friends is None else self.friends.n_entries,
        }

    def _repr_facts_(self) -> Mapping[str, object]:
        return {"name": self.name, **{key: count for key, count in self.summary().items() if count}}
