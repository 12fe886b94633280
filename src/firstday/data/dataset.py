"""Dataset: validated tables in dense indexes, the input of every later stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from firstday.data.events import ITEM, UTC_MICROSECONDS, Events, Pair, Window
from firstday.data.ids import Ids
from firstday.data.user_rows import UserRows
from firstday.display import readable
from firstday.sparse import SparseRows


@readable
@dataclass(frozen=True, eq=False)
class Entity:
    """A kind of thing that groups items, such as artists, genres or playlists.

    Parameters
    ----------
    ids
        The caller's ids of the entity's members.
    items
        The items of each, shape (n_members, n_items).
    names
        What people call each, "" where unknown; None without names.
    """

    ids: Ids
    items: SparseRows
    names: tuple[str, ...] | None = None


@readable
@dataclass(frozen=True, eq=False)
class Group:
    """A categorical column of the users table, such as country.

    Parameters
    ----------
    values
        The distinct values, sorted.
    codes
        int32, shape (n_users,): index into `values`, -1 where missing.
    """

    values: tuple[str, ...]
    codes: np.ndarray


@readable
@dataclass(frozen=True, eq=False)
class PrecomputedVectors:
    """Embeddings of another model that replace step 1 (tables `embeddings/users`, `embeddings/items`).

    Parameters
    ----------
    user_vectors, item_vectors
        float32, shapes (n_users, d) and (n_items, d); rows of NaN for those without a vector.
    """

    user_vectors: np.ndarray
    item_vectors: np.ndarray

    @property
    def items_without(self) -> np.ndarray:
        """Indexes of the items that have no vector, int32, ascending."""
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
    """All checked tables, with dense `user_ix` and `item_ix` instead of the caller's ids.

    Parameters
    ----------
    name
        The built-in name or the folder's name.
    users, items
        The caller's ids by index.
    events
        The interactions.
    entities
        Entities other than items, by name.
    groups
        Categorical user columns, by name.
    ages
        int16, shape (n_users,), years, -1 where missing; None without any age.
    registered_at
        int64, shape (n_users,), microseconds since 1970 UTC, -1 where missing; None without the column.
    friends
        The friends of each user, shape (n_users, n_users), or (n_users, len(friend_ids)); None without the table.
    titles
        One string for each item, "" where missing; None without titles.
    added_at
        int64, shape (n_items,): when each item was added, microseconds since 1970 UTC, -1 where missing; None without
        the column.
    precomputed
        Embeddings of another model; None where training makes them.
    friend_ids
        Ids of the friends, where these are not `users`.
    notes
        Sentences about what was ignored or decided while loading.
    left_out
        A line of JSON for each bad row that was left out while loading: its table, its place, the reasons, its values.
    impressions
        What was shown to the users, columns as in `interactions`, indexed, each part of the same
        users as the interactions; None where nothing was shown. It is no interaction: training learns from it no more
        than how often each segment used what it was shown.
    assignments
        Which user got which variant of which experiment, columns as in `ASSIGNMENT_TYPES`, in this order, one row for
        each user and experiment; `assigned_at` is null where unknown. None without the table. Nothing is learned of it.
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
    added_at: np.ndarray | None = None
    precomputed: PrecomputedVectors | None = None
    friend_ids: Ids | None = None
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    impressions: UserRows | None = None
    assignments: pl.DataFrame | None = None

    def pairs(self) -> tuple[Pair, ...]:
        """Return the (signal, entity) pairs in the data, items first."""
        return self.events.present_pairs()

    def actions(self, *windows: Window | None) -> list[dict[Pair, SparseRows]]:
        """Add up each user's interactions in each window; None: at all times.

        Returns
        -------
        list of dict
            For each window, by (signal, entity) pair: added weights, shape (n_users, n_targets).
        """
        n_targets = {ITEM: len(self.items), **{name: len(entity.ids) for name, entity in self.entities.items()}}
        return self.events.collect(len(self.users), n_targets, windows)

    def all_actions(self) -> dict[Pair, SparseRows]:
        """Add up all interactions of each user, by (signal, entity) pair: weights, shape (n_users, n_targets)."""
        return self.actions(None)[0]

    def summary(self) -> dict[str, int | dict[str, int]]:
        """Return counts of users, items, interactions, pairs, entities, groups and friends."""
        per_pair = sorted((pair, int(n)) for pair, n in zip(self.events.pairs, self.events.counts, strict=True) if n)
        return {
            "users": len(self.users),
            "items": len(self.items),
            "interactions": len(self.events),
            "pairs": {f"{signal} x {entity}": n for (signal, entity), n in per_pair},
            "entities": {name: len(entity.ids) for name, entity in sorted(self.entities.items())},
            "groups": {name: len(group.values) for name, group in sorted(self.groups.items())},
            "friends": 0 if self.friends is None else self.friends.n_entries,
        }

    def _repr_facts_(self) -> Mapping[str, object]:
        return {"name": self.name, **{key: count for key, count in self.summary().items() if count}}
