"""Dataset: validated tables in dense indexes, the input of every later stage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from firstday.data.events import ITEM, UTC_MICROSECONDS, Events, Pair, Window, sort_pairs
from firstday.data.ids import Ids
from firstday.data.user_rows import UserRows
from firstday.display import readable
from firstday.sparse import SparseRows, union_rows
from firstday.tables.schema import RECOMMENDABLE


@readable
@dataclass(frozen=True, eq=False)
class Entity:
    """An entity other than items, such as artists, genres or playlists; each member is a set of items."""

    ids: Ids  # external ids of the members
    items: SparseRows  # items of each member, shape (n_members, n_items)
    names: tuple[str, ...] | None = None  # display name of each member, "" if unknown; None without names


@readable
@dataclass(frozen=True, eq=False)
class Group:
    """A categorical column of the users table, such as country."""

    values: tuple[str, ...]  # distinct, sorted
    codes: np.ndarray  # index into `values`, -1 if missing, int32, shape (n_users,)


@readable
@dataclass(frozen=True, eq=False)
class PrecomputedVectors:
    """Precomputed embeddings, which replace the first stage of training; rows without a vector are NaN."""

    user_vectors: np.ndarray  # float32, shape (n_users, d)
    item_vectors: np.ndarray  # float32, shape (n_items, d)

    @property
    def items_without_vector(self) -> np.ndarray:
        """Indexes of items without a vector, int32, ascending."""
        return np.flatnonzero(np.isnan(self.item_vectors).any(axis=1)).astype(np.int32)


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
    content_vectors
        The caller's own vectors of what items are like, float32, shape (n_items, c), NaN without a vector; None without
        the column `vector`.
    added_at
        Time at which each item was added, in microseconds since 1970 UTC, -1 if missing: int64, shape (n_items,). None
        without the column.
    precomputed
        Precomputed embeddings; None if training computes them.
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
    users: Ids
    items: Ids
    events: Events
    entities: Mapping[str, Entity] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    ages: np.ndarray | None = None
    registered_at: np.ndarray | None = None
    friends: SparseRows | None = None
    titles: tuple[str, ...] | None = None
    descriptions: tuple[str, ...] | None = None
    content_vectors: np.ndarray | None = None
    added_at: np.ndarray | None = None
    precomputed: PrecomputedVectors | None = None
    friend_ids: Ids | None = None
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    impressions: UserRows | None = None
    assignments: pl.DataFrame | None = None
    guests: pl.DataFrame | None = None
    columns: Mapping[str, pl.Series] = field(default_factory=dict)
    new_items: pl.DataFrame | None = None

    def find_users(self, ids: pl.Series) -> np.ndarray:
        """Return the index of the user of each id, as user or guest, int32, shape (n_ids,), -1 if unknown."""
        users = self.users.lookup(ids)
        if self.guests is None:
            return users
        rows = Ids(self.guests["own_id"]).lookup(ids)
        return np.where(rows >= 0, self.guests["user_ix"].to_numpy()[rows], users)

    @property
    def unlisted(self) -> np.ndarray:
        """Indexes of items that are never recommended, int32, ascending: not recommendable, or without a vector."""
        is_unlisted = np.zeros(len(self.items), dtype=bool)
        if RECOMMENDABLE in self.columns:
            is_unlisted |= ~self.columns[RECOMMENDABLE].fill_null(True).to_numpy()
        if self.precomputed is not None:
            is_unlisted[self.precomputed.items_without_vector] = True
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
