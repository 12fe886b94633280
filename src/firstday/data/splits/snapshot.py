"""Snapshot: a dataset as of a point in time, without leakage from the future."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from firstday.data.dataset import Dataset, Entity, Group
from firstday.data.events import ITEM, UTC_MICROSECONDS, Events
from firstday.data.ids import Ids
from firstday.data.parts import keep_users
from firstday.data.user_rows import NEVER, UserRows, renumber, take_rows


def take_snapshot(dataset: Dataset, registered_us: np.ndarray, moment: int) -> Dataset:
    """Return the dataset as it was just before a moment, in microseconds since 1970 UTC.

    Contains users who had registered (`registered_us`: -1 if unknown), with their interactions and impressions before
    that moment; items that existed (`find_first_seen`); and entity members, friends and group values of these.
    """
    items = np.flatnonzero(find_first_seen(dataset) < moment)
    now = pl.lit(moment).cast(UTC_MICROSECONDS)
    is_registered = (registered_us >= 0) & (registered_us < moment)
    dataset = keep_users(dataset, np.flatnonzero(is_registered))
    events = dataset.events
    (rows,) = events.frames()
    rows = rows.filter(pl.col("timestamp") < now)
    pair = rows["pair"].to_numpy()
    target_ix = rows["target_ix"].to_numpy().copy()
    members = {ITEM: items}
    entities = {}
    for name, entity in dataset.entities.items():
        links = entity.items.keep_columns(items)
        used = target_ix[np.isin(pair, events.codes_of(name))]
        present = np.union1d(np.flatnonzero(links.lengths()), used)
        ids = Ids(entity.ids.take(present))
        entities[name] = Entity(ids, links.take(present), take_rows(entity.names, present))
        members[name] = present
    for code, (_, kind) in enumerate(events.pairs):
        is_pair = pair == code
        target_ix[is_pair] = np.searchsorted(members[kind], target_ix[is_pair])
    n_items = len(dataset.items)
    friends = dataset.friends
    precomputed = dataset.precomputed
    impressions = dataset.impressions
    if friends is not None and dataset.friend_ids is not None:
        friends = friends.keep_columns(dataset.friend_ids.lookup(dataset.users.values))
    rows = rows.with_columns(pl.Series("target_ix", target_ix))
    return replace(
        dataset,
        items=Ids(dataset.items.take(items)),
        events=Events.of_rows(events.pairs, UserRows((rows,))),
        entities=entities,
        groups={name: _drop_unused_values(group) for name, group in dataset.groups.items()},
        friends=friends,
        friend_ids=None,
        titles=take_rows(dataset.titles, items),
        descriptions=take_rows(dataset.descriptions, items),
        content_vectors=None if dataset.content_vectors is None else dataset.content_vectors[items],
        added_at=take_rows(dataset.added_at, items),
        precomputed=precomputed and replace(precomputed, item_vectors=precomputed.item_vectors[items]),
        impressions=impressions and _impressions_before(impressions, now, renumber(items, n_items)),
        columns={name: column.gather(items) for name, column in dataset.columns.items()},
    )


def _impressions_before(impressions: UserRows, now: pl.Expr, new_ix: np.ndarray) -> UserRows | None:
    """Return the impressions before a moment, with uses before it and renumbered items."""
    rows = impressions.whole()
    used_before = pl.col("used_at") < now
    item_ix = pl.Series("item_ix", new_ix[rows["item_ix"].to_numpy()])
    is_used = pl.col("is_used") & used_before.fill_null(False)
    rows = rows.with_columns(item_ix, is_used=is_used, used_at=pl.when(used_before).then("used_at"))
    rows = rows.filter((pl.col("timestamp") < now) & (pl.col("item_ix") >= 0))
    return UserRows((rows,)) if rows.height else None


def _drop_unused_values(group: Group) -> Group:
    """Drop the values of a group that no user has."""
    codes = np.unique(group.codes[group.codes >= 0])
    new_ix = np.append(renumber(codes, len(group.values)), np.int32(-1))
    return Group(tuple(group.values[code] for code in codes.tolist()), new_ix[group.codes])


def find_first_seen(dataset: Dataset) -> np.ndarray:
    """Return when each item first existed: the earlier of `items.added_at` and the first interaction.

    int64, shape (n_items,), in microseconds since 1970 UTC; `NEVER` if neither time is known.
    """
    events = dataset.events
    first = events.first_moments("target_ix", len(dataset.items), NEVER, events.codes_of(ITEM))
    if dataset.added_at is not None:
        first = np.minimum(first, np.where(dataset.added_at >= 0, dataset.added_at, NEVER))
    return first
