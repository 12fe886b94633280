"""Series are a world in motion: most plays are of new episodes of shows that the user knows."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest

from firstday.lab.simulate.simulation_settings import BEGIN, SimulationSettings
from firstday.lab.simulate.tables import simulate

DAY = timedelta(days=1)
MONTH = timedelta(days=30)
DAYS = 100
CUT_OFF = BEGIN + MONTH
K = 10
Tables = dict[str, pl.DataFrame]


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """Read the tables; `plays` has the streams with their shows, and each user's first use."""
    out = tmp_path_factory.mktemp("series") / "tables"
    simulate(SimulationSettings(4_000, 8_000, days=DAYS, series=True), out)
    tables = {name: pl.read_parquet(out / f"{name}.parquet") for name in ("users", "items", "names")}
    interactions = pl.read_parquet(out / "interactions" / "*.parquet")
    guests = tables["users"].select(own_id="user_id", user_id=pl.col("guest_ids").list.first()).drop_nulls()
    persons = interactions.join(guests, on="user_id", how="left", maintain_order="left")
    persons = persons.with_columns(user_id=pl.coalesce("own_id", "user_id"), is_guest=pl.col("own_id").is_not_null())
    begin = pl.min_horizontal("registered_at", pl.col("timestamp").min().over("user_id"))
    events = persons.join(tables["users"], on="user_id", maintain_order="left").with_columns(begin=begin)
    plays = events.filter(signal="stream").join(tables["items"], on="item_id").sort("timestamp")
    return {**tables, "events": events, "plays": plays.with_columns(after=pl.col("timestamp") - pl.col("begin"))}


@pytest.fixture(scope="module")
def newcomers(series: Tables) -> pl.DataFrame:
    """Return plays of those who begin in the month after the cut-off, until 30 days after their day one."""
    plays = series["plays"].filter(pl.col("begin").is_between(CUT_OFF, CUT_OFF + MONTH, closed="left"))
    return plays.filter(pl.col("after") < DAY + MONTH)


def find_later(newcomers: pl.DataFrame, target: str) -> pl.DataFrame:
    """Find what each newcomer first played after day one."""
    return newcomers.unique(("user_id", target), keep="first").filter(pl.col("after") >= DAY)


def measure_precision(lists: pl.DataFrame, truth: pl.DataFrame, target: str) -> float:
    """Measure P@10 of a list per user, or of one list for everyone."""
    on = [column for column in ("user_id", target) if column in lists.columns]
    hits = truth.join(lists, on=on, how="semi").group_by("user_id").len("hits")
    users = truth.group_by("user_id").len("n").join(hits, on="user_id", how="left")
    precision = users.select((pl.col("hits").fill_null(0) / pl.col("n").clip(upper_bound=K)).mean())
    return float(precision.item())


def find_popular(series: Tables, target: str) -> pl.DataFrame:
    """Find what most users played before the cut-off."""
    used = series["plays"].filter(pl.col("timestamp") < CUT_OFF).unique(("user_id", target))
    return used.group_by(target).len().top_k(K, by="len").select(target)


def test_most_plays_are_of_recent_episodes(series: Tables) -> None:
    age = series["plays"]["timestamp"] - series["plays"]["added_at"]
    assert age.min() >= timedelta(0)  # type: ignore[operator]
    assert 0.6 < (age <= 14 * DAY).mean() < 0.9  # type: ignore[operator]


def test_most_of_what_newcomers_use_did_not_exist_a_month_before(newcomers: pl.DataFrame) -> None:
    existed = find_later(newcomers, "item_id")["added_at"] < CUT_OFF
    assert 0.2 < existed.mean() < 0.5  # type: ignore[operator]


def test_most_plays_are_of_known_shows_and_others_discover_one(newcomers: pl.DataFrame) -> None:
    known = newcomers.with_columns(known=pl.int_range(pl.len()).over("user_id", "show_id") > 0)
    share = known.filter(pl.col("after") >= DAY)["known"].mean()
    assert 0.55 < share < 0.9  # type: ignore[operator]


def test_the_newest_of_known_shows_beats_popularity_and_shows_are_easier_than_episodes(
    series: Tables, newcomers: pl.DataFrame
) -> None:
    later = find_later(newcomers, "item_id")
    day_one = newcomers.filter(pl.col("after") < DAY)
    known = day_one.select("user_id", "show_id", "begin").unique()
    offered = known.join(series["items"], on="show_id").filter(pl.col("added_at") < pl.col("begin") + DAY)
    unheard = offered.join(day_one, on=("user_id", "item_id"), how="anti").sort("added_at", descending=True)
    newest = measure_precision(unheard.group_by("user_id").head(K), later, "item_id")
    popular = measure_precision(find_popular(series, "item_id"), later, "item_id")
    assert newest > 2 * popular
    shows = measure_precision(find_popular(series, "show_id"), find_later(newcomers, "show_id"), "show_id")
    assert shows > 2 * popular


def test_guests_register_within_days_and_have_other_ids_until_then(series: Tables) -> None:
    users, events = series["users"], series["events"]
    assert 0.15 < users["guest_ids"].is_not_null().mean() < 0.25  # type: ignore[operator]
    assert (events["is_guest"] == (events["timestamp"] < events["registered_at"])).all()
    wait = events["registered_at"] - events["begin"]
    assert timedelta(0) <= wait.min() < DAY < wait.max() <= 3 * DAY  # type: ignore[operator]


def test_shows_begin_and_end_in_a_weekly_or_daily_rhythm(series: Tables) -> None:
    items = series["items"].sort("added_at")
    added_at = pl.col("added_at")
    gap = added_at.diff().mean() / DAY
    shows = items.group_by("show_id").agg(first=added_at.first(), last=added_at.last(), gap=gap, n=pl.len())
    assert shows["last"].max() < BEGIN + DAYS * DAY  # type: ignore[operator]
    assert (shows["first"] > BEGIN).any()
    assert 0.05 < (shows["last"] < BEGIN + (DAYS - 14) * DAY).mean() < 0.35  # type: ignore[operator]
    gaps = shows.filter(pl.col("n") >= 15)["gap"]  # the mean deviates by up to a gap per show
    is_daily = gaps.is_between(0.9, 1.1)
    assert is_daily.any()
    assert gaps.filter(~is_daily).is_between(6.4, 7.6).all()
    assert set(shows["show_id"]) == set(series["names"].filter(entity="show")["entity_id"])
