"""A small service with a clock: 300 users who register through 20 days and before, 60 items, two tastes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import polars as pl

from firstday.data.dataset import Dataset, Group
from firstday.data.events import ITEM, UTC_MICROSECONDS, Events
from firstday.data.ids import Ids
from tests.synthetic import SEED

BEGIN = datetime(2024, 5, 1, tzinfo=UTC)
HOUR = 3_600_000_000
DAY = 24 * HOUR
N_USERS = 300
N_ITEMS = 60
N_DAYS = 30


class LOG:
    """Words for asking a log by hand."""

    @staticmethod
    def at() -> pl.Expr:
        return pl.col("timestamp").dt.epoch("us")

    @staticmethod
    def between(start: int, end: int) -> pl.Expr:
        return (LOG.at() >= start) & (LOG.at() < end)

    @staticmethod
    def is_use() -> pl.Expr:
        return pl.col("signal").is_in(["stream", "favorite"]) & (pl.col("entity") == ITEM)

    @staticmethod
    def add(log: Dataset, rows: list[tuple[int, int | None, int]]) -> Dataset:
        """Add streams: user, moment, item."""
        before = log.events.whole()
        added = pl.DataFrame(
            {
                "user_ix": [user for user, _, _ in rows],
                "signal": "stream",
                "entity": ITEM,
                "target_ix": [item for _, _, item in rows],
                "timestamp": pl.Series([at for _, at, _ in rows], dtype=pl.Int64).cast(UTC_MICROSECONDS),
                "weight": 1.0,
            }
        )
        return replace(log, events=Events.of(pl.concat([before, added.cast(dict(before.schema))])))  # type: ignore[arg-type]


def make_log(seed: int = SEED) -> Dataset:
    """Make the log: everyone uses one or two items a day from registration on, mostly of the own taste."""
    rng = np.random.default_rng(seed)
    start = int(BEGIN.timestamp() * 1e6)
    registered = start + rng.integers(-10 * DAY, 25 * DAY, size=N_USERS)
    user = np.repeat(np.arange(N_USERS), 45)
    number = np.tile(np.arange(45), N_USERS)
    begin = np.maximum(start, registered)[user]
    end = start + N_DAYS * DAY
    is_new = registered[user] >= start
    moment = np.where(number < 40, rng.integers(begin, end), begin + rng.integers(0, DAY, size=len(user)))
    on_day_one = is_new & (user % 5 > 0) & (number - 40 < rng.integers(1, 6, size=N_USERS)[user])
    does = (user % 50 != 7) & ((number < 40) | on_day_one)  # some do nothing at all
    taste = np.where(rng.random(len(user)) < 0.9, user % 2, 1 - user % 2)
    item = 2 * np.minimum(rng.geometric(0.1, size=len(user)), 28) + taste
    events = pl.DataFrame(
        {
            "user_ix": user.astype(np.int32),
            "signal": rng.choice(["stream", "favorite", "skip"], size=len(user), p=[0.8, 0.1, 0.1]),
            "entity": ITEM,
            "target_ix": item.astype(np.int32),
            "timestamp": pl.Series(moment).cast(UTC_MICROSECONDS),
            "weight": np.ones(len(user), np.float32),
        }
    ).filter(does)
    return Dataset(
        name="timed",
        users=Ids.of([f"u{ix:03}" for ix in range(N_USERS)]),
        items=Ids.of([f"i{ix:02}" for ix in range(N_ITEMS)]),
        events=Events.of(events),
        groups={"country": Group(("BR", "FR"), np.arange(N_USERS, dtype=np.int32) % 2)},
        registered_at=registered,
    )
