"""Cut-offs and target windows from counts alone, snapshots without a future, and the cohorts judged at each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from firstday.config import Config, parse_config
from firstday.data.dataset import Dataset
from firstday.data.events import UTC_MICROSECONDS, Events
from firstday.data.load import load
from firstday.data.splits.cut_offs import MIN_COHORT_USERS, choose_cut_offs, choose_target_days
from firstday.data.splits.histories import Histories, LogSpan
from firstday.data.splits.holdout import Holdout, find_cut_offs, hold_out
from firstday.data.splits.snapshot import find_first_seen, take_snapshot
from firstday.data.user_rows import NEVER
from firstday.errors import ConfigError
from firstday.tables.schema import DAY_US
from tests.data.same import assert_equal, assert_same
from tests.data.test_splits_by_hand import LOG as BY_HAND
from tests.data.test_splits_by_hand import REGISTERED, make_dataset, may, write_out
from tests.timed import LOG, make_log

CONFIG = parse_config({"registration": {"target_days": 5, "cut_offs": 3}})


def make_histories(
    registered_days: np.ndarray, returned_after: np.ndarray | None = None, *, n_days: float = 300
) -> Histories:
    """Make users who registered on some days of a log and used something new so many days later; NaN: never."""
    n = len(registered_days)
    registered_us = (registered_days * DAY_US).astype(np.int64)
    returned = np.full(n, NEVER)
    after = np.full(n, 2.0) if returned_after is None else returned_after
    back = ~np.isnan(after)
    returned[back] = registered_us[back] + (after[back] * DAY_US).astype(np.int64)
    return Histories(
        numbers=np.arange(n, dtype=np.uint64),
        n_used=np.full(n, 20),
        has_vector=np.ones(n, dtype=bool),
        registered_us=registered_us,
        day_end_us=registered_us + DAY_US,
        returned_us=returned,
        log=LogSpan(0, int(n_days * DAY_US)),
    )


def days(*moments: int) -> list[float]:
    return [moment / DAY_US for moment in moments]


def test_cohorts_are_of_equal_size_after_a_third_of_the_users() -> None:
    """900 users, three a day, who come back after two days; 810 have a complete window, half of them by day 165."""
    histories = make_histories(np.repeat(np.arange(300), 3) + 0.5)
    cut_offs = choose_cut_offs(histories, Config())
    assert cut_offs.target_days == 30
    assert days(*cut_offs.moments) == [165, 182, 200, 217, 235, 252]
    assert cut_offs.users == (51, 54, 51, 54, 51, 54)


def test_fewer_cut_offs_where_there_are_not_enough_newcomers() -> None:
    histories = make_histories(np.linspace(0, 299, 200))
    cut_offs = choose_cut_offs(histories, Config())
    assert len(cut_offs.moments) == sum(cut_offs.users) // MIN_COHORT_USERS
    few = choose_cut_offs(make_histories(np.linspace(0, 299, 20)), Config())
    assert len(few.moments) == 1
    assert sum(few.users) > 0


def test_the_target_window_is_the_shortest_that_judges_most() -> None:
    """Everybody comes back after 40 days: 30 are too short, 60 are enough, 90 leave out more newcomers at the end."""
    day = np.repeat(np.arange(700), 2)
    histories = make_histories(day, np.full(len(day), 40.0), n_days=700)
    assert choose_cut_offs(histories, Config()).target_days == 60
    short = parse_config({"registration": {"target_days": 41}})
    assert choose_cut_offs(histories, short).target_days == 41


@pytest.mark.parametrize(("n_users", "n_days"), [(600, 3650), (5000, 730)])
def test_long_and_sparse_logs_are_evaluated(n_users: int, n_days: int) -> None:
    rng = np.random.default_rng(0)
    after = np.where(rng.random(n_users) < 0.5, rng.exponential(60, n_users) + 1, np.nan)
    histories = make_histories(np.sort(rng.uniform(0, n_days, n_users)), after, n_days=n_days)
    cut_offs = choose_cut_offs(histories, Config())
    assert len(cut_offs.moments) >= 3
    assert min(cut_offs.users) >= MIN_COHORT_USERS


def test_a_cut_off_that_nobody_follows_is_left_out() -> None:
    histories = make_histories(np.concatenate([np.arange(100.0), np.full(70, 200.5)]))
    chosen = choose_cut_offs(histories, Config())
    assert days(*chosen.moments) == [200]
    assert chosen.users == (70,)


def test_training_asks_for_no_cut_off() -> None:
    histories = make_histories(np.arange(300.0))
    late = parse_config({"registration": {"cut_off": "2024-05-01T00:00:00Z"}})
    chosen = [choose_target_days(histories, config).target_days for config in (late, Config())]
    assert chosen[0] == chosen[1] > 0
    with pytest.raises(ConfigError, match=r"^registration.cut_off: 2024-05-01"):
        choose_cut_offs(histories, late)


def test_the_configured_cut_off_is_the_first() -> None:
    config = CONFIG.override("registration.cut_off", "2024-05-15T03:00:00Z")
    cut_offs = find_cut_offs(make_log(), config)
    assert cut_offs is not None
    assert cut_offs.to_json()[0]["at"] == "2024-05-15T03:00:00Z"


def test_an_item_exists_from_its_first_interaction_or_its_date() -> None:
    dataset = make_dataset(BY_HAND, REGISTERED)
    first = find_first_seen(dataset)
    moments = [
        int(at.timestamp() * 1e6) for at in (may(1), may(2, 20), may(4, 10), may(6, 6), may(8, 5, 59), may(5, 4))
    ]
    assert first.tolist() == moments
    added = np.array([-1, -1, -1, 0, NEVER - 1, -1])
    assert find_first_seen(replace(dataset, added_at=added)).tolist() == [*moments[:3], 0, *moments[4:]]


def test_a_snapshot_by_hand() -> None:
    """On 5 May two users had registered, and three items and one artist were there."""
    dataset = make_dataset(BY_HAND, REGISTERED)
    at = int(may(5).timestamp() * 1e6)
    assert dataset.registered_at is not None
    snapshot = take_snapshot(dataset, dataset.registered_at, at)
    assert snapshot.users.values.to_list() == ["u0", "u1"]
    assert snapshot.items.values.to_list() == ["i0", "i1", "i2"]
    assert snapshot.entities["artist"].ids.values.to_list() == ["a0"]
    actions = snapshot.actions()
    assert write_out(actions, 0) == "favorite i1, stream i0, stream i2"
    assert write_out(actions, 1) == "stream i0, stream i1"
    dated = take_snapshot(replace(dataset, added_at=np.zeros(6, dtype=np.int64)), np.zeros(5, dtype=np.int64), at)
    assert len(dated.items) == 6
    assert dated.entities["artist"].ids.values.to_list() == ["a0", "a1"]


def test_impressions_in_a_snapshot_were_shown_and_used_before_it() -> None:
    rows = [
        ("u0", "i0", "shown", may(2), "l1"),
        ("u0", "i0", "stream", may(3), "l1"),
        ("u0", "i1", "shown", may(2), "l1"),
        ("u0", "i1", "stream", may(10), "l1"),
        ("u0", "i0", "shown", may(11), "l2"),
    ]
    columns = ["user_id", "item_id", "signal", "timestamp", "list_id"]
    users = pl.DataFrame({"user_id": ["u0"], "registered_at": [may(1)]})
    items = pl.DataFrame(
        {"item_id": ["-", "i0", "i1"], "added_at": [may(9), may(1), may(1)], "recommendable": [True, True, False]}
    )
    dataset = load({"interactions": pl.DataFrame(rows, columns, orient="row"), "users": users, "items": items})
    assert dataset.registered_at is not None
    whole = dataset
    then = take_snapshot(dataset, dataset.registered_at, int(may(5).timestamp() * 1e6))
    assert whole.impressions is not None
    assert then.impressions is not None
    assert sorted(whole.impressions.whole()["is_used"]) == [False, True, True]
    assert then.impressions.whole().sort("item_ix")["is_used"].to_list() == [True, False]
    assert then.find_unlisted().tolist() == [1]


def change_future(dataset: Dataset, moment: int) -> Dataset:
    """Give everything that happens from a moment on to other users and items, some of them new."""
    rows = dataset.events.whole()
    late = pl.col("timestamp") >= pl.lit(moment).cast(UTC_MICROSECONDS)
    n_items = len(dataset.items)
    turned = rows.with_columns(
        target_ix=pl.when(late).then((pl.col("target_ix") * 7 + 5) % n_items).otherwise("target_ix").cast(pl.Int32),
        weight=pl.when(late).then(3.0).otherwise("weight").cast(pl.Float32),
    )
    return replace(dataset, events=Events.of(turned))


def holdouts_of(dataset: Dataset, config: Config = CONFIG) -> list[Holdout]:
    return list(hold_out(dataset, config, 0, find_cut_offs(dataset, config)))


def test_what_comes_after_a_cut_off_is_not_in_its_snapshot() -> None:
    log = make_log()
    first = holdouts_of(log)[0]
    assert first.cut_off is not None
    changed = holdouts_of(change_future(log, first.cut_off))[0]
    assert changed.cut_off == first.cut_off
    assert_equal(changed.dataset, first.dataset)
    assert_same(changed.split, first.split)


def test_each_newcomer_is_judged_once_by_the_cut_off_before_their_registration() -> None:
    log = make_log()
    cut_offs = find_cut_offs(log, CONFIG)
    assert cut_offs is not None
    assert log.registered_at is not None
    holdouts = holdouts_of(log)
    assert [holdout.cut_off for holdout in holdouts] == list(cut_offs.moments)
    users = np.concatenate([holdout.cold.users for holdout in holdouts])
    assert len(np.unique(users)) == len(users) == sum(cut_offs.users)
    for holdout, end in zip(holdouts, (*cut_offs.moments[1:], NEVER), strict=True):
        at = log.registered_at[holdout.cold.users]
        assert ((at >= holdout.cut_off) & (at < end)).all()
        assert cut_offs.histories.can_be_evaluated[holdout.cold.users].all()
        known = holdout.dataset.users.values.to_list()
        assert not set(log.users.take(holdout.cold.users).to_list()) & set(known)


def test_what_a_newcomer_has_to_find_existed_at_the_cut_off() -> None:
    """One item is used for the first time after the first cut-off: it is in no truth there, unless it is dated."""
    log = make_log()
    plain = holdouts_of(log)[0]
    assert plain.cut_off is not None
    counts = plain.cold.truth.column_sums()
    item = plain.dataset.items[int(counts.argmax())]
    item_ix = log.items.index_of(item)
    rows = log.events.whole()
    late = rows.filter((pl.col("target_ix") != item_ix) | (LOG.at() >= plain.cut_off))
    changed = replace(log, events=Events.of(late))
    config = CONFIG.override("registration.cut_off", find_cut_offs(log, CONFIG).to_json()[0]["at"])  # type: ignore[union-attr]
    without = holdouts_of(changed, config)[0]
    assert item not in without.dataset.items.values.to_list()
    assert without.cold.truth.n_columns == len(plain.dataset.items) - 1
    dated = holdouts_of(replace(changed, added_at=np.full(len(log.items), 0, dtype=np.int64)), config)[0]
    assert dated.cold.truth.column_sums()[dated.dataset.items.index_of(item)] > 0
