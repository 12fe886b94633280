"""Snapshot: a dataset as of a point in time, without leakage from the future."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from firstday.data.dataset import Dataset
from firstday.data.events import ITEM
from firstday.data.user_rows import NEVER, renumber


def take_snapshot(dataset: Dataset, registered_us: np.ndarray, moment: int) -> Dataset:
    """Return the dataset as it was just before a moment, in microseconds since 1970 UTC.

    Contains users who had registered (`registered_us`: -1 if unknown), with their interactions and impressions before
    that moment; items that existed (`find_first_seen`); and entity members, friends and group values of these.
    """
    items = np.flatnonzero(find_first_seen(dataset) < moment)
    is_registered = (registered_us >= 0) & (registered_us < moment)
    past = dataset.keep_users(np.flatnonzero(is_registered)).before(moment).keep_items(items)
    groups = {name: group.without_unused() for name, group in past.groups.items()}
    past = _drop_unused_members(replace(past, groups=groups))
    if past.friends is None or past.friend_ids is None:
        return past
    columns = past.friend_ids.lookup(past.users.values)
    return replace(past, friends=past.friends.keep_columns(columns), friend_ids=None)


def _drop_unused_members(dataset: Dataset) -> Dataset:
    """Drop entity members that have no item and that nobody used."""
    used: dict[str, list[np.ndarray]] = {name: [] for name in dataset.entities}
    for rows in dataset.events.frames():
        for name, targets in used.items():
            is_of_entity = pl.col("pair").is_in(dataset.events.codes_of(name))
            targets.append(rows.filter(is_of_entity)["target_ix"].to_numpy())
    entities = {}
    new_ix = {}
    for name, entity in dataset.entities.items():
        members = np.unique(np.concatenate([np.flatnonzero(entity.items.lengths()), *used[name]]))
        entities[name] = entity.take(members)
        new_ix[name] = renumber(members, len(entity.ids))
    return replace(dataset, entities=entities, events=dataset.events.keep_targets(new_ix))


def find_first_seen(dataset: Dataset) -> np.ndarray:
    """Return when each item first existed: the earlier of `items.added_at` and the first interaction.

    int64, shape (n_items,), in microseconds since 1970 UTC; `NEVER` if neither time is known.
    """
    events = dataset.events
    first = events.first_moments("target_ix", len(dataset.items), NEVER, events.codes_of(ITEM))
    if dataset.added_at is not None:
        first = np.minimum(first, np.where(dataset.added_at >= 0, dataset.added_at, NEVER))
    return first
