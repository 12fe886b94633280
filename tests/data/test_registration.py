"""The `registration` protocol on a log whose every number can be counted by hand, and on odd logs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

from firstday.config import Config, parse_config
from firstday.data.dataset import Dataset, Group
from firstday.data.events import Events
from firstday.data.load import load
from firstday.data.splits.cut_offs import choose_target_days
from firstday.data.splits.histories import read_histories
from firstday.data.splits.holdout import find_cut_offs, log_of, split_for_training
from firstday.data.splits.registration import split_registration
from firstday.data.splits.roles import Roles
from firstday.data.splits.split import Split
from firstday.errors import ConfigError, DataError
from tests.data.same import assert_same
from tests.timed import DAY, LOG, N_ITEMS, make_log


def settings(**registration: object) -> Config:
    return parse_config({"protocol": "registration", "registration": {"target_days": 5, **registration}})


def divide(dataset: Dataset, config: Config | None = None, *, seed: int = 0) -> Split:
    return split_for_training(dataset, config or settings(), seed)


def test_few_validation_users_are_in_folds_and_warm_too() -> None:
    split = divide(make_log())
    assert sorted(np.concatenate(split.folds).tolist()) == list(range(len(split.validation)))
    assert len(split.folds) == 5
    assert any("are used for cross-fitting in 5 folds" in note for note in split.notes)
    assert set(split.validation.users) & set(split.warm)
    for rows in split.folds:
        fold = split.fold(rows)
        assert fold.validation.users.tolist() == split.validation.users[rows].tolist()
        assert not set(fold.validation.users) & set(fold.warm)
        assert not fold.folds


def test_items_that_did_not_exist_or_had_expired_in_a_users_time_are_unavailable() -> None:
    """Item 59 is used for the first time five days before the end of the log; item 2 expires ten days before it."""
    log = make_log()
    assert log.registered_at is not None
    first = (log.events.last or 0) - 5 * DAY
    rows = log.events.whole()
    log = replace(log, events=Events.of(rows.filter((pl.col("target_ix") != 59) | (LOG.at() >= first))))
    expires_at = np.where(np.arange(N_ITEMS) == 2, first - 5 * DAY, -1)
    log = replace(LOG.add(log, [(0, first, 59)]), expires_at=expires_at)
    assert log.registered_at is not None
    cohort = divide(log).validation
    assert cohort.unavailable is not None
    assert cohort.day_end_us is not None
    ends = log.registered_at[cohort.users] + 5 * DAY
    for item, expected in ((59, ends <= first), (2, cohort.day_end_us >= expires_at[2])):
        is_unavailable = [item in cohort.unavailable.row(row).tolist() for row in range(len(cohort))]
        assert is_unavailable == expected.tolist()
        assert 0 < sum(is_unavailable) < len(cohort)


def test_calendar_days_end_at_midnight_in_the_users_zone() -> None:
    log = make_log()
    zones = ("America/New_York", "Asia/Tokyo", "Europe/Paris")
    codes = np.arange(len(log.users), dtype=np.int32) % 3 - 1  # -1: the default zone
    log = replace(log, groups={"zone": Group(zones[:2], codes)})
    cohort = divide(log, settings(day_one="calendar-day", time_zone=zones[2], time_zone_column="zone")).validation
    assert log.registered_at is not None
    ends = []
    for user in cohort.users:
        local = datetime.fromtimestamp(log.registered_at[user] / 1e6, ZoneInfo(zones[codes[user]]))
        ends.append(datetime.combine(local.date() + timedelta(days=1), time(), local.tzinfo).timestamp() * 1e6)
    assert cohort.day_end_us is not None
    assert cohort.day_end_us.tolist() == ends


@pytest.mark.parametrize(
    ("settings_", "sentence"),
    [
        ({"time_zone_column": "tz"}, "registration.time_zone_column: 'tz' is not a group column of users"),
        ({"cut_off": "2030-01-01T00:00:00Z"}, "registration.cut_off: 2030-01-01T00:00:00Z is not in the log (2024-"),
        ({"time_zone": "Mars/Olympus"}, "registration.time_zone: 'Mars/Olympus' is not a time zone"),
    ],
)
def test_settings_that_do_not_fit(settings_: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        find_cut_offs(make_log(), settings(day_one="calendar-day", **settings_))
    assert str(caught.value).startswith(sentence)


def test_without_registration_the_first_interaction_is_it() -> None:
    log = make_log()
    assert log.registered_at is not None
    unknown = np.arange(len(log.users)) % 4 == 3  # among them users who did nothing
    first = log.events.first_moments("user_ix", len(log.users), -1)
    expected = divide(replace(log, registered_at=np.where(unknown, first, log.registered_at)))
    split = divide(replace(log, registered_at=np.where(unknown, -1, log.registered_at)))
    assert split.warm.tolist() == expected.warm.tolist()
    assert split.validation.users.tolist() == expected.validation.users.tolist()
    n_left_out = (unknown & (first < 0)).sum()
    assert n_left_out
    assert any(note.startswith(f"users.registered_at: {n_left_out} of {len(unknown)} users ") for note in split.notes)


def test_rows_without_a_time_are_left_out_and_counted() -> None:
    log = make_log()
    moved = LOG.add(log, [(0, None, 58), (1, None, 59)])
    split = divide(moved)
    assert any(note.startswith(f"interactions: 2 of {len(moved.events):,} rows have no time") for note in split.notes)
    assert split.warm_actions["stream", "item"].column_sums()[[58, 59]].sum() == 0


def test_seeds() -> None:
    log = make_log()
    one = divide(log, seed=1)
    other = divide(log, seed=2)
    assert_same(one, divide(log, seed=1))
    assert [rows.tolist() for rows in one.folds] != [rows.tolist() for rows in other.folds]
    assert one.warm.tolist() == other.warm.tolist()


def test_logs_that_are_too_short() -> None:
    log = make_log()
    with pytest.raises(DataError, match=r"^users: .* and 0 validated on"):
        divide(log, settings(target_days=60))
    once = replace(log, events=Events.of(log.events.whole().unique("user_ix", keep="first")))
    with pytest.raises(DataError, match=r"^users: 0 can be trained on"):
        divide(once)


def test_sizes_of_drawn_day_ones_are_not_those_of_validation_users() -> None:
    """Who registered before the log gets a day one of two items, as others have; validation users have six."""
    kinds = {"old": (60, -9, 6), "other": (120, 1, 2), "user": (30, 1, 6)}
    rows = [
        (f"{kind}{n:03}", registered, item)
        for kind, (count, registered, size) in kinds.items()
        for n in range(count)
        for item in range(size)
    ]
    start = datetime(2024, 5, 1, tzinfo=UTC)
    day = pl.duration(days=pl.col("day"))
    frame = pl.DataFrame(rows, ["user_id", "day", "item_id"], orient="row").with_columns(registered_at=start + day)
    timestamp = pl.max_horizontal("registered_at", pl.lit(start)).dt.offset_by("1h")
    dataset = load(
        {
            "interactions": frame.select("user_id", "item_id", timestamp=timestamp),
            "users": frame.select("user_id", "registered_at").unique(),
        }
    )
    judged = np.arange(180, 210)  # ids are in the order of the alphabet
    roles = Roles(np.arange(210), judged, judged[:0], (np.arange(30),))
    histories = choose_target_days(read_histories(dataset, settings(), log_of(dataset, settings())), settings())
    (day_one,) = split_registration(dataset, settings(), histories, roles).warm_day_one
    assert set(day_one["stream", "item"].lengths()[:60]) == {2}
