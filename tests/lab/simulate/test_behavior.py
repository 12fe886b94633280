"""The simulated people behave as the paper's do, and in a way from which a method can learn."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from firstday.lab.simulate.choices import Choices
from firstday.lab.simulate.simulation_settings import BEGIN
from tests.lab.simulate.conftest import SETTINGS

DAY = timedelta(days=1)
END = BEGIN + timedelta(days=SETTINGS.days)


def share(told: pl.Series) -> float:
    """Return the share of true values."""
    return float(told.mean())  # type: ignore[arg-type]


def test_newcomers_do_on_day_one_what_the_papers_do(users: pl.DataFrame, events: pl.DataFrame) -> None:
    newcomers = users.filter((pl.col("registered_at") >= BEGIN) & (pl.col("registered_at") < END - DAY))["user_id"]
    day_one = events.filter(pl.col("after") < DAY)

    def did(*signals: str) -> float:
        rows = day_one.filter(pl.col("signal").is_in(signals)) if signals else day_one
        return share(newcomers.is_in(rows["user_id"].implode()))

    assert 0.745 < did("stream") < 0.795
    assert 0.52 < did("onboarding") < 0.62
    assert 0.033 < 1 - did() < 0.067


def test_use_is_skewed_and_few_plays_are_skipped(users: pl.DataFrame, events: pl.DataFrame) -> None:
    assert 85 < events.height / users.height < 135
    assert 0.47 < share(users["registered_at"] < BEGIN) < 0.53
    of_signal = dict(events["signal"].value_counts().rows())
    assert 0.08 < of_signal["skip"] / (of_signal["skip"] + of_signal["stream"]) < 0.16
    heard = events.filter(pl.col("item_id").is_not_null(), signal="stream")["item_id"].value_counts(sort=True)["count"]
    assert 0.3 < int(heard.head(SETTINGS.n_items // 10).sum()) / int(heard.sum()) < 0.6


def test_friends_are_mutual_and_mostly_of_one_country(service: Path, users: pl.DataFrame) -> None:
    friends = pl.read_parquet(service / "friends.parquet")
    pairs = set(friends.rows())
    assert len(pairs) == friends.height > 0
    assert all((b, a) in pairs and a != b for a, b in pairs)
    of_country = users.select("user_id", "country")
    both = friends.join(of_country, on="user_id").join(of_country, left_on="friend_id", right_on="user_id")
    strangers = share(both["country"] == both["country_right"].shuffle(0))
    assert share(both["country"] == both["country_right"]) > 3 * strangers


def test_nobody_does_anything_before_registration_or_after_the_end(events: pl.DataFrame) -> None:
    assert events["after"].min() >= timedelta(0)  # type: ignore[operator]
    assert events["timestamp"].min() >= BEGIN  # type: ignore[operator]
    assert events["timestamp"].max() < END  # type: ignore[operator]


def test_users_are_in_order_of_registration_and_early_ones_lack_their_day_one(
    users: pl.DataFrame, events: pl.DataFrame
) -> None:
    registered = users["registered_at"]
    assert registered.is_sorted()
    assert registered.max() < END  # type: ignore[operator]
    early = users.filter(pl.col("registered_at") < BEGIN)
    assert early["registered_at"].max() < BEGIN - DAY  # type: ignore[operator]
    of_early = events.join(early, on="user_id", how="semi")
    assert of_early["after"].min() > DAY  # type: ignore[operator]
    assert "onboarding" not in of_early["signal"]
    new = users.filter(pl.col("registered_at") >= BEGIN)
    assert new["registered_at"].dt.date().n_unique() == SETTINGS.days


def test_the_questionnaire_is_answered_on_registration(events: pl.DataFrame) -> None:
    named = events.filter(signal="onboarding")
    assert named["after"].max() < timedelta(minutes=5)  # type: ignore[operator]
    counts = named.group_by("user_id").len()["len"]
    assert counts.max() <= 8  # type: ignore[operator]
    assert counts.mean() > 3  # type: ignore[operator]


def test_streams_come_at_busy_hours_of_the_users_time_zone(users: pl.DataFrame, events: pl.DataFrame) -> None:
    zones = users["time_zone"].unique().to_list()
    assert all(ZoneInfo(zone) for zone in zones)
    for zone in ("America/Sao_Paulo", "Europe/Paris"):
        of_zone = events.join(users.filter(time_zone=zone), on="user_id", how="semi")
        hour = of_zone["timestamp"].dt.convert_time_zone(zone).dt.hour()
        assert hour.is_between(17, 21).sum() > 4 * hour.is_between(1, 5).sum()


def test_skips_follow_dislike(events: pl.DataFrame, service: Path) -> None:
    """Artists whom a user named in the questionnaire are skipped far less than others."""
    artist = pl.read_parquet(service / "items.parquet").select("item_id", entity_id="artist_id")
    named = events.filter(signal="onboarding").select("user_id", "entity_id", liked=pl.lit(True))
    plays = events.filter(pl.col("signal").is_in(["stream", "skip"])).join(named, on="user_id", how="semi")
    judged = plays.drop("entity_id").join(artist, on="item_id").join(named, on=["user_id", "entity_id"], how="left")
    skipped = {
        known: (group["signal"] == "skip").mean() for (known,), group in judged.group_by(pl.col("liked").is_not_null())
    }
    assert skipped[True] < 0.5 * skipped[False]  # type: ignore[operator]


def test_searches_come_before_what_they_look_for(events: pl.DataFrame) -> None:
    searches = events.filter((pl.col("signal") == "search") & pl.col("item_id").is_not_null())
    streams = events.filter(signal="stream").select("user_id", "item_id", streamed=pl.col("timestamp"))
    wait = pl.col("streamed") - pl.col("timestamp")
    soon = searches.join(streams, on=["user_id", "item_id"]).filter(
        (wait > timedelta(0)) & (wait < timedelta(minutes=3))
    )
    assert soon.select("user_id", "timestamp").unique().height > 0.8 * searches.height


def test_choices_follow_weights_and_keep_to_their_row() -> None:
    choices = Choices.of_entries(np.array([1, 0, 1, 0]), np.array([7, 3, 8, 4]), np.array([1.0, 9.0, 3.0, 1.0]))
    drawn = choices.draw(np.repeat([0, 1], 20_000), np.random.default_rng(0)).reshape(2, -1)
    shares = [[(row == target).mean() for target in (3, 4, 7, 8)] for row in drawn]
    np.testing.assert_allclose(shares, [[0.9, 0.1, 0, 0], [0, 0, 0.25, 0.75]], atol=0.01)
