"""The `registration` protocol on a log whose every number can be counted by hand, and on odd logs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from firstday.config import Config, parse_config
from firstday.data.dataset import Dataset, Group
from firstday.data.splits.registration import split_registration
from firstday.data.splits.split import Split
from firstday.errors import ConfigError, DataError
from tests.timed import BEGIN, DAY, HOUR, LOG, make_log


def settings(**registration: object) -> Config:
    rules = {"cold_days": 10, "target_days": 5, "min_items": 3, "validation": 0.5, **registration}
    return parse_config({"registration": rules})


def divide(dataset: Dataset, config: Config | None = None, *, seed: int = 0, with_cold: bool = True) -> Split:
    config = config or settings()
    return split_registration(
        dataset, config.signals, config.registration, config.sampled, seed=seed, with_cold=with_cold
    )


def cut_off(dataset: Dataset, config: Config) -> int:
    """The last midnight that leaves cold and target days before the log's end."""
    assert dataset.events.last is not None
    days = config.registration.cold_days + config.registration.target_days
    return int(dataset.events.last + 1 - days * DAY) // DAY * DAY


def test_who_is_what() -> None:
    log, config = make_log(), settings()
    split, until = divide(log, config), cut_off(make_log(), config)
    assert log.registered_at is not None
    at = log.registered_at
    assert (at[split.warm] < until).all()
    for cohort in (split.validation, split.cold):
        assert ((at[cohort.users] >= until) & (at[cohort.users] < until + 10 * DAY)).all()
        assert (at[cohort.users] + 5 * DAY <= log.events.last + 1).all()  # type: ignore[operator]
    groups = [split.warm, split.validation.users, split.cold.users]
    assert len(np.unique(np.concatenate(groups))) == sum(map(len, groups))
    assert abs(len(split.validation) - len(split.cold)) <= 1
    assert split.protocol == "registration"


def test_warm_actions_end_at_the_cut_off() -> None:
    log, config = make_log(), settings()
    split, until = divide(log, config), cut_off(make_log(), config)
    rows = log.events.whole().filter(LOG.before(until))
    for pair, matrix in split.warm_actions.items():
        mine = rows.filter(LOG.pair(*pair))
        for row, user in enumerate(split.warm):
            did = mine.filter(LOG.user(user)).group_by("target_ix").agg(LOG.weight).sort("target_ix")
            assert matrix.row(row).tolist() == did["target_ix"].to_list()
            assert matrix.row_weights(row).tolist() == did["weight"].to_list()


def test_day_one_is_24_hours_and_truth_the_rest_of_the_window() -> None:
    log = make_log()
    split = divide(log)
    assert log.registered_at is not None
    rows = log.events.whole()
    for cohort in (split.validation, split.cold):
        for row, user in enumerate(cohort.users):
            at = int(log.registered_at[user])
            mine = rows.filter(LOG.user(user))
            day = mine.filter(LOG.between(at - HOUR, at + DAY))
            for (signal, entity), matrix in cohort.day_one.items():
                assert matrix.row(row).tolist() == LOG.targets(day.filter(LOG.pair(signal, entity)))
            used = LOG.targets(day.filter(LOG.is_use()))
            later = LOG.targets(mine.filter(LOG.between(at + DAY, at + 5 * DAY) & LOG.is_use()))
            assert cohort.truth.row(row).tolist() == sorted(set(later) - set(used))
            assert cohort.day_one_size[row] == len(used)
            assert len(cohort.truth.row(row))
            assert cohort.day_end_us is not None
            assert cohort.day_end_us[row] == at + DAY


def test_a_warm_day_one_is_the_one_in_the_log_or_a_drawn_one() -> None:
    log = make_log()
    split = divide(log)
    assert log.registered_at is not None
    assert len(split.warm_day_one) == 1
    known = log.registered_at[split.warm] >= log.events.first
    assert 0 < known.sum() < len(known)
    rows = log.events.whole()
    stream, day = ("stream", "item"), split.warm_day_one[0]
    for row, user in enumerate(split.warm):
        at = int(log.registered_at[user])
        if known[row]:
            end = min(at + DAY, cut_off(log, settings()))
            mine = rows.filter(LOG.user(user) & LOG.between(at - HOUR, end) & LOG.pair(*stream))
            assert day[stream].row(row).tolist() == LOG.targets(mine)
        else:
            assert set(day[stream].row(row)) <= set(split.warm_actions[stream].row(row))
    (note,) = [note for note in split.notes if "is not in the log" in note]
    assert note.startswith(f"day one of {int((~known).sum()):,} of {len(known):,} warm users is not in the log")


def test_calendar_days_end_at_midnight_in_the_users_zone() -> None:
    log = make_log()
    zones = ("America/New_York", "Asia/Tokyo")
    codes = np.arange(len(log.users), dtype=np.int32) % 3 - 1  # -1: the default zone
    log = replace(log, groups={"zone": Group(zones, codes)})
    config = settings(day_one="calendar-day", time_zone="Europe/Paris", time_zone_column="zone")
    cohort = divide(log, config).cold
    assert log.registered_at is not None
    rows = log.events.whole()
    hours = {-1: 2, 0: -4, 1: 9}  # May: daylight saving time in two of the three
    lengths = set()
    for row, user in enumerate(cohort.users):
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(log.registered_at[user]))
        local = at + timedelta(hours=hours[int(codes[user])])
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        end = int(log.registered_at[user]) + int((midnight - local).total_seconds() * 1e6)
        start = int(log.registered_at[user]) - HOUR
        day = rows.filter(LOG.user(user) & LOG.between(start, end) & LOG.pair("stream", "item"))
        assert cohort.day_one["stream", "item"].row(row).tolist() == LOG.targets(day)
        lengths.add(end - start)
    assert len(lengths) > 3


@pytest.mark.parametrize(
    ("settings_", "sentence"),
    [
        ({"time_zone_column": "tz"}, "registration.time_zone_column: 'tz' is no column of users that makes groups"),
        ({"time_zone": "Mars/Olympus"}, "registration.time_zone: 'Mars/Olympus' is no time zone"),
        ({"cut_off": "2030-01-01T00:00:00Z"}, "registration.cut_off: is 2030-01-01T00:00:00Z, where the log spans"),
    ],
)
def test_settings_that_do_not_fit(settings_: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        divide(make_log(), settings(day_one="calendar-day", **settings_))
    assert str(caught.value).startswith(sentence)


def test_without_registration_the_first_interaction_is_it() -> None:
    log = make_log()
    assert log.registered_at is not None
    unknown = np.arange(len(log.users)) % 4 == 0
    first = np.full(len(log.users), -1, dtype=np.int64)
    for user, at in log.events.whole().sort("timestamp", descending=True).select("user_ix", "timestamp").rows():
        first[user] = int(at.timestamp() * 1e6)
    at = np.where(unknown, -1, log.registered_at)
    expected = divide(replace(log, registered_at=np.where(unknown, first, log.registered_at)))
    split = divide(replace(log, registered_at=at))
    assert split.warm.tolist() == expected.warm.tolist()
    assert split.cold.users.tolist() == expected.cold.users.tolist()
    n_nothing = int((unknown & (first < 0)).sum())
    assert any(
        note.startswith(f"users.registered_at: {unknown.sum():,} of {len(unknown):,} users have none")
        and f"{n_nothing:,} have neither" in note
        for note in split.notes
    )


def test_before_registration_an_hour_counts_and_more_does_not() -> None:
    log = make_log()
    assert log.registered_at is not None
    split = divide(log)
    user = int(split.cold.users[0])
    at = int(log.registered_at[user])
    moved = LOG.add(log, [(user, at - HOUR // 2, 58), (user, at - 2 * HOUR, 59)])
    cold = divide(moved).cold
    row = cold.users.tolist().index(user)
    day = cold.day_one["stream", "item"].row(row).tolist()
    assert 58 in day
    assert 59 not in day
    total = len(moved.events)
    assert f"interactions: 1 of {total:,} rows lie before their user's registration" in " ".join(divide(moved).notes)
    assert "another 1 lie up to 1 h before it" in " ".join(divide(moved).notes)


def test_rows_without_a_time_are_left_out_and_counted() -> None:
    log = make_log()
    moved = LOG.add(log, [(0, None, 58), (1, None, 59)])
    split = divide(moved)
    assert f"interactions.timestamp: 2 of {len(moved.events):,} rows have no time and were left out." in split.notes
    assert split.warm_actions["stream", "item"].column_sums()[[58, 59]].sum() == 0


def test_training_holds_out_users_and_uses_the_whole_log() -> None:
    log = make_log()
    split = divide(log, with_cold=False)
    assert log.events.last is not None
    assert log.events.first is not None
    assert log.registered_at is not None
    assert not len(split.cold)
    at = log.registered_at[split.validation.users]
    assert ((at >= log.events.first) & (at + 5 * DAY <= log.events.last + 1)).all()
    assert not set(split.warm) & set(split.validation.users)
    late = log.registered_at[split.warm] > cut_off(log, settings())
    assert late.any()


def test_seeds() -> None:
    log = make_log()
    one, same, other = divide(log, seed=1), divide(log, seed=1), divide(log, seed=2)
    assert one.cold.users.tolist() == same.cold.users.tolist() != other.cold.users.tolist()
    assert one.warm.tolist() == other.warm.tolist()
    pair = ("stream", "item")
    assert np.array_equal(one.warm_day_one[0][pair].columns, same.warm_day_one[0][pair].columns)


def test_logs_that_are_too_short_or_without_times() -> None:
    log = make_log()
    with pytest.raises(DataError, match=r"^interactions.timestamp: the log spans \d+\.\d days, not more than the 65"):
        divide(log, settings(cold_days=60))
    with pytest.raises(DataError, match=r"^users: 0 registered before .* and used 500 items until then, in a log of"):
        divide(log, settings(min_items=500))
    timeless = LOG.without_times(log)
    with pytest.raises(DataError, match=r"^interactions.timestamp: no interaction has a time"):
        divide(timeless)


def test_the_configured_cut_off_is_the_cut_off() -> None:
    log = make_log()
    moment = BEGIN + timedelta(days=15, hours=3)
    split = divide(log, settings(cut_off=moment.isoformat()))
    assert log.registered_at is not None
    at = int(moment.timestamp() * 1e6)
    assert log.registered_at[split.warm].max() < at <= log.registered_at[split.cold.users].min()
    assert f"before {moment:%Y-%m-%dT%H:%M:%SZ} are warm" in split.notes[0]
