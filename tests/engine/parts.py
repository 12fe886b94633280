"""Users divided into small datasets, as an engine divides them among machines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from firstday.data.dataset import Dataset, Group, PrecomputedVectors
from firstday.data.events import Events
from firstday.data.ids import Ids, stable_numbers


def take_users(dataset: Dataset, users: np.ndarray) -> Dataset:
    """Make the dataset of some users; items, entities and values of profile columns stay those of the whole."""
    place = np.full(len(dataset.users), -1)
    place[users] = np.arange(len(users))
    events = dataset.events.whole()
    rows = events.with_columns(pl.Series("user_ix", place[events["user_ix"].to_numpy()], dtype=pl.Int32))
    vectors = dataset.precomputed
    return replace(
        dataset,
        users=Ids(dataset.users.take(users)),
        events=Events.of(rows.filter(pl.col("user_ix") >= 0)),
        groups={name: Group(group.values, group.codes[users]) for name, group in dataset.groups.items()},
        ages=None if dataset.ages is None else dataset.ages[users],
        registered_at=None if dataset.registered_at is None else dataset.registered_at[users],
        friends=None,
        impressions=None if dataset.impressions is None else dataset.impressions.keep_users(place.astype(np.int32)),
        precomputed=None if vectors is None else PrecomputedVectors(vectors.user_vectors[users], vectors.item_vectors),
    )


def divide(dataset: Dataset, n_parts: int) -> list[tuple[Dataset, np.ndarray]]:
    """Divide users by a hash of their ids; return each part with its users' `user_ix` in the whole, shape (n,)."""
    part_of_user = stable_numbers(dataset.users, 0) % np.uint64(n_parts)
    rows = [np.flatnonzero(part_of_user == np.uint64(number)) for number in range(n_parts)]
    return [(take_users(dataset, users), users) for users in rows]
