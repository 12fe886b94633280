"""Turn simulated music into series: artists become shows with new episodes, which users follow, some first as guests.

References
----------
A. Anderson, R. Kumar, A. Tomkins, S. Vassilvitskii: The Dynamics of Repeat Consumption. WWW 2014. People mostly repeat
what they used lately.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from firstday.lab.simulate.behavior import ARTIST_CODE, BAN, ITEM_CODE, SHOW_CODE, SKIP, STREAM
from firstday.lab.simulate.music import WORDS, MusicCatalogue, rank_within
from firstday.lab.simulate.simulation_settings import BEGIN, DAY_S
from firstday.lab.simulate.world import World

DAILY_ITEMS = 80
"""Minimum number of episodes of a daily show; other shows are weekly."""
RUNNING = 5.0
"""One in so many shows ends during the log."""
KEPT_SHARE = 0.6
"""Share of events of music that remain, since people hear fewer episodes than songs."""
FOLLOW_SHARE, RECENCY = 0.9, 2.0
"""Share of streams of the show of an earlier event, and preference for recent ones, 1 if none; others may be of any."""
LAG_TAIL = 2.0
"""Exponent of the long tail of the rank by age of the episode heard; most are the newest."""
GUEST_SHARE, GUEST_HOURS = 0.2, 72
"""Share of newcomers who begin as guests, and maximum number of hours until they register."""
FIRST_GUEST = 1_000_000_000
"""Difference between the id of a guest and of the user."""
SHOW_S = 10**10
"""More seconds than the age of any episode."""


def make_series(
    music: Mapping[str, pl.DataFrame], catalogue: MusicCatalogue, world: World, days: int, rng: np.random.Generator
) -> dict[str, pl.DataFrame]:
    """Return users with guests, items published by shows, and the names of shows; genres are families of scenes."""
    names = music["names"].filter(entity="artist").with_columns(entity=pl.lit("show"))
    n_shows = names.height
    show = catalogue.artist
    gap = np.where(np.bincount(show) < DAILY_ITEMS, 7, 1)
    end = days * rng.uniform(0, RUNNING, n_shows).clip(max=1) + gap * rng.random(n_shows)
    irregularity = rng.random(n_shows)  # maximum deviation from the weekly or daily rhythm
    n_gaps = rank_within(show, rng) + irregularity[show] * rng.random(show.size)
    published_s = DAY_S * (end[show] - gap[show] * n_gaps)
    genre = pl.Series(WORDS["topics"]).gather(world.family[catalogue.scene])
    items = music["items"].select(
        "item_id",
        "title",
        show_id="artist_id",
        genre=genre,
        description=pl.format("An episode of {}: {}.", names["name"].gather(show), genre),
        added_at=BEGIN + pl.duration(seconds=published_s.astype(int)),
    )
    n_users = music["users"].height
    is_guest = pl.Series(rng.random(n_users) < GUEST_SHARE)
    users = music["users"].with_columns(
        registered_at=pl.col("registered_at")
        + pl.duration(hours=1) * (is_guest * rng.integers(1, GUEST_HOURS, n_users)),
        guest_ids=pl.when(is_guest).then(pl.concat_list(pl.col("user_id") + FIRST_GUEST + 1)),
    )
    return {"users": users, "items": items, "names": names}


def follow_shows(
    events: pl.DataFrame, users: pl.DataFrame, items: pl.DataFrame, rng: np.random.Generator
) -> pl.DataFrame:
    """Turn events of music into events of series: most streams are of the show of an earlier event of the user.

    The episode is mostly the newest one at the time, and occurs once per user and signal.
    """
    events = events.filter(rng.random(events.height) < KEPT_SHARE, pl.col("entity") <= ARTIST_CODE)
    user, time_s, signal, entity, target = events.select("user", "time_s", "signal", "entity", "target").to_numpy().T
    n = user.size
    row = np.arange(n)
    first_row = np.searchsorted(user, user)
    earlier = first_row + ((row - first_row) * rng.power(RECENCY, n)).astype(int)
    follows = (signal == STREAM) & ~np.isin(signal[earlier], (SKIP, BAN)) & (rng.random(n) < FOLLOW_SHARE)
    source = np.where(follows, earlier, row)
    while (source[source] != source).any():
        source = source[source]

    is_item = entity == ITEM_CODE
    show_of_item = items["show_id"].to_numpy()
    show = np.where(is_item, show_of_item[target], target)[source]
    published = show_of_item * SHOW_S + (items["added_at"] - BEGIN).dt.total_seconds().to_numpy()
    order = np.argsort(published)
    first = np.searchsorted(show_of_item, show, sorter=order)
    end = np.searchsorted(published, show * SHOW_S + time_s, side="right", sorter=order)
    episode = order[np.maximum(end - rng.zipf(LAG_TAIL, n), first)]
    registered_s = (users["registered_at"] - BEGIN).dt.total_seconds().to_numpy()
    series = events.with_columns(
        user=user + FIRST_GUEST * (time_s < registered_s[user]),
        entity=pl.col("entity").replace(ARTIST_CODE, SHOW_CODE),
        target=np.where(is_item, episode, target),
    ).filter(first < end)
    once = series.unique(("user", "signal", "entity", "target"), keep="first", maintain_order=True)
    return once.sort("user", "time_s", maintain_order=True)
