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

    weight = pl.col("weight").sum()

    @staticmethod
    def at() -> pl.Expr:
        return pl.col("timestamp").dt.epoch("us")

    @staticmethod
    def before(moment: int) -> pl.Expr:
        return LOG.at() < moment

    @staticmethod
    def between(start: int, end: int) -> pl.Expr:
        return (LOG.at() >= start) & (LOG.at() < end)

    @staticmethod
    def user(user_ix: int) -> pl.Expr:
        return pl.col("user_ix") == user_ix

    @staticmethod
    def pair(signal: str, entity: str) -> pl.Expr:
        return (pl.col("signal") == signal) & (pl.col("entity") == entity)

    @staticmethod
    def is_use() -> pl.Expr:
        return pl.col("signal").is_in(["stream", "favorite"]) & (pl.col("entity") == ITEM)

    @staticmethod
    def targets(rows: pl.DataFrame) -> list[int]:
        return rows["target_ix"].unique().sort().to_list()

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
    taste = np.arange(N_USERS) % 2
    rows: list[tuple[int, str, int, int]] = []
    for user in range(N_USERS):
        if user % 50 == 7:  # nothing at all
            continue
        at = max(start, int(registered[user]))
        moments = at + rng.integers(0, start + N_DAYS * DAY - at, size=40)
        if registered[user] >= start and user % 5:
            moments = np.concatenate([moments, at + rng.integers(0, DAY, size=int(rng.integers(1, 6)))])
        own = rng.random(len(moments)) < 0.9
        items = 2 * np.minimum(rng.geometric(0.1, size=len(moments)), 28) + np.where(own, taste[user], 1 - taste[user])
        signals = rng.choice(["stream", "favorite", "skip"], size=len(moments), p=[0.8, 0.1, 0.1])
        rows += list(zip([user] * len(moments), signals.tolist(), items.tolist(), moments.tolist(), strict=True))
    events = pl.DataFrame(
        rows,
        schema={"user_ix": pl.Int32, "signal": pl.String, "target_ix": pl.Int32, "at": pl.Int64},
        orient="row",
    ).select(
        "user_ix",
        "signal",
        pl.lit(ITEM).alias("entity"),
        "target_ix",
        pl.col("at").cast(UTC_MICROSECONDS).alias("timestamp"),
        pl.lit(1.0, pl.Float32).alias("weight"),
    )
    return Dataset(
        name="timed",
        users=Ids.of([f"u{ix:03}" for ix in range(N_USERS)]),
        items=Ids.of([f"i{ix:02}" for ix in range(N_ITEMS)]),
        events=Events.of(events),
        groups={"country": Group(("BR", "FR"), taste.astype(np.int32))},
        registered_at=registered,
    )
