"""Statistics of simulated tables, some of which are in docs/simulator.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

DAY = pl.duration(days=1)
TARGET = pl.duration(days=30)
K = 50
COLD_DAYS = 14
AGE_YEARS = 8
"""Width of an age group, in years."""
LEAST_GROUP = 50
"""Minimum users for a profile group to have its own list."""


def measure_tables(folder: Path) -> dict[str, Any]:
    """Return the statistics of a folder of tables."""
    users = pl.read_parquet(folder / "users.parquet")
    events = pl.read_parquet(folder / "interactions" / "*.parquet")
    items = pl.read_parquet(folder / "items.parquet", columns=["item_id"])
    begin = events["timestamp"].min()
    end = events["timestamp"].max()
    since = events.join(users.select("user_id", "registered_at"), on="user_id").with_columns(
        after=pl.col("timestamp") - pl.col("registered_at")
    )
    newcomers = users.filter((pl.col("registered_at") >= begin) & (pl.col("registered_at") < pl.lit(end) - DAY))
    streams = events.filter((pl.col("signal") == "stream") & pl.col("item_id").is_not_null())
    heard = streams["item_id"].value_counts(sort=True)["count"]
    per_user = events.group_by("user_id").len()["len"]
    blocks = events.select(pl.col("signal"), pl.col("entity").fill_null("item")).unique().height
    of_signal = dict(events["signal"].value_counts().rows())
    return {
        "users": users.height,
        "items": items.height,
        "interactions": events.height,
        "blocks": blocks,
        "interactions_per_user": round(events.height / users.height, 1),
        "interactions_most_active_tenth": _round(100 * per_user.top_k(users.height // 10).sum() / events.height),
        "registered_before_log": _percent(users["registered_at"] < begin),
        "age_missing": _percent(users["age"].is_null()),
        "streams_top_1_percent": _round(100 * heard.head(items.height // 100).sum() / streams.height),
        "streams_top_10_percent": _round(100 * heard.head(items.height // 10).sum() / streams.height),
        "skips_per_100_plays": _round(100 * of_signal["skip"] / (of_signal["skip"] + of_signal["stream"])),
        **_day_one(newcomers, since),
        **_month(newcomers.filter(pl.col("registered_at") < pl.lit(end) - DAY - TARGET), users, since),
        **_friends(pl.read_parquet(folder / "friends.parquet"), users, streams),
    }


def _round(value: Any) -> float:
    return round(float(value), 1)


def _percent(told: pl.Series) -> float:
    """Return the share of true values in %."""
    share: Any = told.mean()
    return _round(100 * share)


def _day_one(newcomers: pl.DataFrame, since: pl.DataFrame) -> dict[str, Any]:
    """Measure day one of users who registered during the log, at least a day before its end."""
    day_one = since.filter(pl.col("after") < DAY)
    ids = newcomers["user_id"]

    def did(rows: pl.DataFrame) -> float:
        return _percent(ids.is_in(rows["user_id"].unique().to_list()))

    return {
        "newcomers": newcomers.height,
        "day_one_streams": did(day_one.filter(pl.col("signal") == "stream")),
        "day_one_nothing": _round(100 - did(day_one)),
        "day_one_questionnaire": did(day_one.filter(pl.col("signal") == "onboarding")),
    }


def _month(month: pl.DataFrame, users: pl.DataFrame, since: pl.DataFrame) -> dict[str, Any]:
    """Measure the 30 days after day one, and lists for the latest to register."""
    streams = since.filter((pl.col("signal") == "stream") & pl.col("item_id").is_not_null())
    later = streams.filter((pl.col("after") >= DAY) & (pl.col("after") < DAY + TARGET))
    per_user = (
        later.join(month.select("user_id"), on="user_id", how="semi")
        .group_by("user_id")
        .agg(pl.len().alias("streams"), pl.col("item_id").n_unique().alias("items"))
    )
    first_cold = month["registered_at"].max() - pl.duration(days=COLD_DAYS)
    cold = month.filter(pl.col("registered_at") >= first_cold).join(per_user, on="user_id")
    known = streams.join(users.filter(pl.col("registered_at") < first_cold).select("user_id"), on="user_id", how="semi")
    profile = users.select("user_id", group=pl.col("country") + (pl.col("age").fill_null(25) // AGE_YEARS).cast(str))
    used = known.select("user_id", "item_id").unique().join(profile, on="user_id")
    truth = later.select("user_id", "item_id").unique().join(cold.select("user_id"), on="user_id", how="semi")
    popular = _top(used.with_columns(group=pl.lit("")))
    sizes = used.group_by("group").agg(pl.col("user_id").n_unique().alias("n"))
    large = sizes.filter(pl.col("n") >= LEAST_GROUP)
    by_group = _top(used.join(large, on="group", how="semi"))
    of_cold = cold.join(profile, on="user_id").join(large, on="group", how="semi")
    return {
        "active_in_month": _round(100 * per_user.height / month.height),
        "streams_in_month": _round(per_user["streams"].mean()),
        "items_in_month": _round(per_user["items"].mean()),
        "precision_popular": _precision(of_cold.with_columns(group=pl.lit("")), truth, popular),
        "precision_profile": _precision(of_cold, truth, by_group),
    }


def _top(used: pl.DataFrame) -> pl.DataFrame:
    """Return each group's top K items by number of users."""
    counted = used.group_by("group", "item_id").len().sort("len", "item_id", descending=[True, False])
    return counted.group_by("group", maintain_order=True).head(K).select("group", "item_id")


def _precision(cold: pl.DataFrame, truth: pl.DataFrame, lists: pl.DataFrame) -> float:
    """Return precision at K of group lists, hits / min(K, relevant), in %."""
    offered = cold.select("user_id", "group").join(lists, on="group").select("user_id", "item_id")
    hits = offered.join(truth, on=["user_id", "item_id"]).group_by("user_id").len("hits")
    scored = cold.join(hits, on="user_id", how="left")
    share = scored["hits"].fill_null(0) / scored["items"].clip(upper_bound=K)
    return round(100 * float(share.mean()), 2)  # type: ignore[arg-type]


def _friends(friends: pl.DataFrame, users: pl.DataFrame, streams: pl.DataFrame) -> dict[str, Any]:
    """Compare friends with strangers: same country, and items in common."""
    rng = np.random.default_rng(0)
    pairs = friends.filter(pl.col("user_id") < pl.col("friend_id"))
    strangers = pl.DataFrame(
        {
            "user_id": pairs["user_id"],
            "friend_id": users["user_id"].gather(rng.integers(users.height, size=pairs.height)),
        }
    )
    used = streams.select("user_id", "item_id").unique()
    found: dict[str, Any] = {"friends_per_user": _round(friends.height / users.height)}
    for name, rows in (("friends", pairs), ("strangers", strangers)):
        country = rows.join(users, on="user_id").join(users, left_on="friend_id", right_on="user_id")
        common = rows.join(used, on="user_id").join(
            used, left_on=["friend_id", "item_id"], right_on=["user_id", "item_id"]
        )
        found[f"same_country_{name}"] = _percent(country["country"] == country["country_right"])
        found[f"common_items_{name}"] = _round(common.height / rows.height)
    return found
