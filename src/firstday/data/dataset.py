"""Dataset: validated tables in dense indexes, the start of every later stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from firstday.data.ids import Ids
from firstday.data.rows import SparseRows

ITEM = "item"
"""The entity that is recommended; every other entity (artist, genre, ...) is a set of items."""

Pair = tuple[str, str]
"""A (signal, entity) pair, such as ``("favorite", "artist")``: one block of day-one features."""


@dataclass(frozen=True, eq=False)
class Entity:
    """A kind of thing that groups items, such as artists, genres or playlists.

    Parameters
    ----------
    ids
        The caller's ids of the entity's members.
    items
        The items of each, shape (n_members, n_items).
    """

    ids: Ids
    items: SparseRows


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


@dataclass(frozen=True, eq=False)
class BroughtVectors:
    """Embeddings that the caller brings instead of step 1 (tables `embeddings/users`, `embeddings/items`).

    Parameters
    ----------
    user_vectors, item_vectors
        float32, shapes (n_users, d) and (n_items, d); rows of NaN for users without a vector.
    """

    user_vectors: np.ndarray
    item_vectors: np.ndarray


@dataclass(frozen=True, eq=False)
class Dataset:
    """What a service knows, checked, with dense `user_ix` and `item_ix` instead of the caller's ids.

    Parameters
    ----------
    name
        The built-in name or the folder's name.
    users, items
        The caller's ids by index.
    events
        One row an interaction: `user_ix` Int32, `signal` String, `entity` String, `target_ix` Int32 (index into
        `items`, or into the ids of the entity), `timestamp` Datetime("us", "UTC") or null, `weight` Float32.
    entities
        Entities other than items, by name.
    groups
        Categorical user columns, by name.
    ages
        int16, shape (n_users,), years, -1 where missing; None where no ages are known at all.
    registered_at
        int64, shape (n_users,), microseconds since 1970 UTC, -1 where missing; None without the column.
    friends
        Who is whose friend, shape (n_users, n_users); None without the table.
    titles
        One string for each item, "" where missing; None without titles.
    brought
        Embeddings that the caller brings; None where step 1 is to be run.
    notes
        Sentences for the user about what was ignored or decided while loading.
    """

    name: str
    users: Ids
    items: Ids
    events: pl.DataFrame
    entities: Mapping[str, Entity] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    ages: np.ndarray | None = None
    registered_at: np.ndarray | None = None
    friends: SparseRows | None = None
    titles: tuple[str, ...] | None = None
    brought: BroughtVectors | None = None
    notes: tuple[str, ...] = ()

    def pairs(self) -> tuple[Pair, ...]:
        """Return the (signal, entity) pairs in the data, sorted, items first."""
        found = self.events.select("signal", "entity").unique().rows()
        return tuple(sorted(found, key=lambda pair: (pair[1] != ITEM, pair[1], pair[0])))

    def n_targets(self, entity: str) -> int:
        """Return how many members the entity has."""
        return len(self.items) if entity == ITEM else len(self.entities[entity].ids)

    def actions(self, pair: Pair, events: pl.DataFrame | None = None) -> SparseRows:
        """Return what each user did with one signal to one entity, shape (n_users, n_targets), weights added up.

        Parameters
        ----------
        events
            A part of `events` to use instead of all.
        """
        signal, entity = pair
        source = self.events if events is None else events
        part = source.filter((pl.col("signal") == signal) & (pl.col("entity") == entity))
        return SparseRows.from_pairs(
            part["user_ix"].to_numpy(),
            part["target_ix"].to_numpy(),
            part["weight"].to_numpy(),
            len(self.users),
            self.n_targets(entity),
        )

    def summary(self) -> dict[str, int | dict[str, int]]:
        """Return counts of users, items, interactions, pairs, entities, groups and friends."""
        per_pair = self.events.group_by("signal", "entity").len().sort("signal", "entity")
        return {
            "users": len(self.users),
            "items": len(self.items),
            "interactions": self.events.height,
            "pairs": {f"{s} x {e}": n for s, e, n in per_pair.rows()},
            "entities": {name: len(entity.ids) for name, entity in sorted(self.entities.items())},
            "groups": {name: len(group.values) for name, group in sorted(self.groups.items())},
            "friends": 0 if self.friends is None else self.friends.n_entries,
        }
