"""Snapshot: a dataset as of a point in time, to prevent leakage from the future."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from firstday.data.dataset import Dataset, Entity, Group
from firstday.data.events import ITEM, UTC_MICROSECONDS, Events
from firstday.data.ids import Ids
from firstday.data.parts import keep_users
from firstday.data.user_rows import NEVER, UserRows, renumber


def take_snapshot(dataset: Dataset, registered_us: np.ndarray, moment: int) -> Dataset:
    """Return the dataset as of a moment, exclusive, in microseconds since 1970 UTC.

    Contains the users registered by then (`registered_us`: -1 if unknown), with their interactions and impressions
    until then; items that existed (`find_first_seen`); entity members, friends and group values that still occur.
    """
    items = np.flatnonzero(find_first_seen(dataset) < moment)
    now = pl.lit(moment).cast(UTC_MICROSECONDS)
    dataset = keep_users(dataset, np.flatnonzero((registered_us >= 0) & (registered_us < moment)))
    (rows,) = dataset.events.frames()
    rows = rows.filter(pl.col("timestamp") < now)
    pairs, pair, target_ix = dataset.events.pairs, rows["pair"].to_numpy(), rows["target_ix"].to_numpy().copy()

    places = {ITEM: renumber(items, len(dataset.items))}
    entities = {}
    for name, entity in dataset.entities.items():
        of_members = entity.items.keep_columns(items)
        used = target_ix[np.isin(pair, dataset.events.codes_of(name))]
        members = np.union1d(np.flatnonzero(of_members.lengths()), used)
        places[name] = renumber(members, len(entity.ids))
        names = entity.names and tuple(entity.names[member] for member in members.tolist())
        entities[name] = Entity(Ids(entity.ids.take(members)), of_members.take(members), names)
    for code, (_, kind) in enumerate(pairs):
        target_ix[pair == code] = places[kind][target_ix[pair == code]]

    friends, precomputed, impressions = dataset.friends, dataset.precomputed, dataset.impressions
    if friends is not None and dataset.friend_ids is not None:
        friends = friends.keep_columns(dataset.friend_ids.lookup(dataset.users.values))
    return replace(
        dataset,
        items=Ids(dataset.items.take(items)),
        events=Events.of_rows(pairs, UserRows((rows.with_columns(pl.Series("target_ix", target_ix)),))),
        entities=entities,
        groups={name: _present(group) for name, group in dataset.groups.items()},
        friends=friends,
        friend_ids=None,
        titles=dataset.titles and tuple(dataset.titles[item] for item in items.tolist()),
        added_at=None if dataset.added_at is None else dataset.added_at[items],
        precomputed=precomputed and replace(precomputed, item_vectors=precomputed.item_vectors[items]),
        impressions=impressions and _shown_before(impressions, now, places[ITEM]),
    )


def _shown_before(impressions: UserRows, now: pl.Expr, place: np.ndarray) -> UserRows | None:
    """Return impressions before a moment and whether they led to use by then, with items renumbered."""
    rows = impressions.whole()
    used_before = pl.col("used_at") < now
    rows = rows.with_columns(
        pl.Series("item_ix", place[rows["item_ix"].to_numpy()]),
        is_used=pl.col("is_used") & used_before.fill_null(value=False),
        used_at=pl.when(used_before).then("used_at"),
    ).filter((pl.col("timestamp") < now) & (pl.col("item_ix") >= 0))
    return UserRows((rows,)) if rows.height else None


def _present(group: Group) -> Group:
    """Drop the values of a group that no user has."""
    codes = np.unique(group.codes[group.codes >= 0])
    place = np.append(renumber(codes, len(group.values)), np.int32(-1))
    return Group(tuple(group.values[code] for code in codes.tolist()), place[group.codes])


def find_first_seen(dataset: Dataset) -> np.ndarray:
    """Return the earliest evidence of each item: `items.added_at` or its first interaction; int64, shape (n_items,).

    Microseconds since 1970 UTC; `NEVER` if neither has a time.
    """
    events = dataset.events
    first = events.first_moments("target_ix", len(dataset.items), NEVER, events.codes_of(ITEM))
    if dataset.added_at is not None:
        first = np.minimum(first, np.where(dataset.added_at >= 0, dataset.added_at, NEVER))
    return first
