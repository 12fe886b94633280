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

from firstday.lab.simulate.music import WORDS, MusicCatalogue, rank_within
from firstday.lab.simulate.simulation_settings import BEGIN, DAY_S
from firstday.lab.simulate.world import World

DAILY_ITEMS = 80
"""Minimum number of episodes of a daily show; other shows are weekly."""
REGULARITY = 3.0
"""Exponent from a random number to the irregularity of a show, the maximum delay relative to daily or weekly."""
RUNNING = 5.0
"""One in so many shows ends during the log."""
KEPT_SHARE = 0.4
"""Share of streams that remain."""
FOLLOW_SHARE, RECENCY = 0.8, 2.0
"""Share of streams of the show of an earlier event, and preference for recent ones, 1 if none; others may be of any."""
LAG_TAIL = 2.0
"""Exponent of the long tail of the number of newer episodes, which is mostly 0."""
GUEST_SHARE, GUEST_HOURS = 0.2, 72
"""Share of newcomers who begin as guests, and maximum number of hours until they register."""


def make_series(
    music: Mapping[str, pl.DataFrame], catalogue: MusicCatalogue, world: World, days: int, rng: np.random.Generator
) -> dict[str, pl.DataFrame]:
    """Return users with guests, items published by shows, and the names of shows; genres are families of scenes."""
    names = music["names"].filter(entity="artist").with_columns(entity=pl.lit("show"))
    n_shows = names.height
    show = catalogue.artist
    gap = np.where(np.bincount(show) < DAILY_ITEMS, 7, 1)
    last = days * rng.uniform(0, RUNNING, n_shows).clip(max=1) - gap * rng.random(n_shows)
    irregularity = rng.random(n_shows) ** REGULARITY
    n_later = rank_within(show, rng) - 1 + irregularity[show] * rng.random(len(show))
    published_s = (DAY_S * (last[show] - gap[show] * n_later)).astype(int)
    genre = pl.Series(WORDS["topics"]).gather(world.family[catalogue.artist_scene[show]])
    items = music["items"].select(
        "item_id",
        "title",
        show_id="artist_id",
        genre=genre,
        description=pl.format("An episode of {}: {}.", names["name"].gather(show), genre),
        added_at=BEGIN + pl.duration(seconds=pl.Series(published_s)),
    )
    users = music["users"]
    n = users.height
    is_guest = (users["registered_at"] >= BEGIN) & pl.Series(rng.random(n) < GUEST_SHARE)
    guest_hours = pl.when(is_guest).then(rng.integers(GUEST_HOURS, size=n)).otherwise(0)
    users = users.with_columns(
        registered_at=pl.col("registered_at") + pl.duration(hours=guest_hours),
        guest_ids=pl.when(is_guest).then(pl.concat_list(pl.col("user_id") + n + 1)),
    )
    return {"users": users, "items": items, "names": names}


def follow_shows(events: pl.DataFrame, series: Mapping[str, pl.DataFrame], rng: np.random.Generator) -> pl.DataFrame:
    """Turn events of music into events of series: most streams are of the show of one of the user's last events.

    The episode is mostly the newest one at the time, and occurs once per user and signal.
    """
    is_kept = (pl.col("signal") != "stream") | pl.Series(rng.random(events.height) < KEPT_SHARE)
    music = events.filter(is_kept, pl.col("entity").fill_null("artist") == "artist")
    n = music.height
    user = music["user_id"].to_numpy()
    signal = music["signal"].to_numpy()
    row = np.arange(n)
    first = np.searchsorted(user, user)
    earlier = first + ((row - first) * rng.power(RECENCY, n)).astype(int)
    follows = (signal == "stream") & (signal[earlier] != "skip") & (rng.random(n) < FOLLOW_SHARE)
    source = np.where(follows, earlier, row)
    while (source[source] != source).any():
        source = source[source]

    users = series["users"]
    show = pl.coalesce(pl.lit(series["items"]["show_id"]).gather("item_id"), "entity_id")
    registered_at = pl.lit(users["registered_at"]).gather("user_id")
    episodes = series["items"].sort("added_at").select(
        "show_id", "added_at", number=pl.int_range(pl.len()).over("show_id"), episode="item_id"
    )
    newest = (
        music.with_columns(
            show_id=show.gather(source),
            n_newer=rng.zipf(LAG_TAIL, n) - 1,
            user_id=pl.col("user_id") + users.height * (pl.col("timestamp") < registered_at),
        )
        .sort("timestamp", maintain_order=True)
        .join_asof(episodes.drop("episode"), left_on="timestamp", right_on="added_at", by="show_id", check_sortedness=False)
    )
    heard = newest.with_columns(number=(pl.col("number") - pl.col("n_newer")).clip(0))
    heard = heard.join(episodes, on=["show_id", "number"], maintain_order="left")
    events = heard.with_columns(
        item_id=pl.when(pl.col("entity").is_null()).then("episode"), entity=pl.col("entity").replace("artist", "show")
    ).select(music.columns)
    return events.unique(pl.exclude("timestamp"), keep="first", maintain_order=True).sort("user_id", "timestamp", maintain_order=True)
