"""Clients' clocks and the server's: what was done after the assignment is known to be after it."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest

from firstday.data.dataset import Dataset
from firstday.data.load import load
from firstday.errors import DataError
from firstday.experiment.analyse import analyse
from firstday.experiment.experiment_tables import ExperimentTables, place_uses, take_experiment
from tests.experiment.made import N_USERS, START, USED_AFTER, at, make_shown, make_slow, make_uses


def take(dataset: Dataset) -> ExperimentTables:
    return take_experiment(dataset, "onboarding", use=("stream", "favorite"), like=("favorite",))


@pytest.mark.parametrize("lag", [timedelta(0), timedelta(seconds=10), timedelta(hours=3)])
def test_a_slow_clock_neither_removes_uses_nor_makes_a_difference(lag: timedelta) -> None:
    dataset = load(make_slow(lag))
    tables = take(dataset)
    results = analyse(tables)
    assert results.n_whole[7] == {"control": 300, "treatment": 300}
    expected = {"used_of_shown": 1 / 4, "liked_of_shown": 1 / 4, "items_used": 1}
    rows = [row for row in results.to_json()["results"] if row["metric"] in expected]
    means = [expected[row["metric"]] for row in rows]
    assert len(rows) == 2 * len(expected)
    assert [row["control"] for row in rows] == pytest.approx(means)
    assert [row["treatment"] for row in rows] == pytest.approx(means)
    notes = [note for note in results.notes if "clocks are slow" in note]
    assert [note.split(" uses")[0] for note in notes] == (["interactions.timestamp: 600"] if lag > USED_AFTER else [])


def test_a_use_is_as_late_as_the_list_whose_id_it_carries() -> None:
    shown = make_shown([(0, 1, 5), (0, 1, 50), (1, 1, 5)])
    used_at = pl.Series([at(4), None, None], dtype=shown.schema["used_at"])
    shown = shown.with_columns(is_used=pl.Series([True, False, False]), used_at=used_at)
    uses = make_uses(
        [
            (0, 1, 3, True, False),  # before it
            (0, 1, 4, True, False),  # carries the list's id
            (0, 1, 4.5, True, True),  # after it, by the same clock
            (0, 2, 4.5, True, False),  # another item
            (0, 1, 6, True, False),
            (1, 1, 4, True, False),  # another user
        ]
    )
    placed, n_placed = place_uses(uses, shown)
    assert n_placed == 2
    rows = sorted(placed.select("user_ix", "item_ix", "timestamp").rows())
    assert rows == [
        (0, 1, at(3)),
        (0, 1, at(5)),
        (0, 1, at(5)),
        (0, 1, at(6)),
        (0, 2, at(4.5)),
        (1, 1, at(4)),
    ]


def test_a_window_ends_with_the_last_interaction_whenever_others_were_assigned() -> None:
    """The table of assignments is newer than the interactions: 12 days of these, and users assigned on day 40."""
    tables = make_slow(timedelta(0))
    late = pl.int_range(N_USERS, eager=True) >= N_USERS - 100
    days = pl.Series([40 * int(value) for value in late]) * pl.Series([timedelta(days=1)])
    tables["assignments"] = tables["assignments"].with_columns(assigned_at=pl.col("assigned_at") + days)
    taken = take(load(tables))
    assert taken.until == START + timedelta(days=12)
    assert analyse(taken).n_whole == {
        1.0: {"control": 250, "treatment": 250},
        7.0: {"control": 250, "treatment": 250},
        30.0: {"control": 0, "treatment": 0},
    }


def test_assignments_without_any_time_are_one_sentence() -> None:
    tables = make_slow(timedelta(0))
    tables["assignments"] = tables["assignments"].drop("assigned_at")
    with_times = take(load(tables))
    assert with_times.assigned["assigned_at"].to_list() == [START] * N_USERS
    assert any("missing for 600 users; their registration time replaces it" in note for note in with_times.notes)
    tables["users"] = tables["users"].drop("registered_at")
    with pytest.raises(DataError, match=r"assignments\.assigned_at: missing for all 600 users of onboarding"):
        take(load(tables))


def test_what_was_shown_at_an_unknown_time_is_counted_and_left_out() -> None:
    tables = make_slow(timedelta(0))
    is_shown = pl.col("signal") == "shown"
    is_of_one = pl.col("user_id") == "u0"
    interactions = tables["interactions"]
    for unknown, n in ((is_shown & is_of_one, 4), (is_shown, 4 * N_USERS)):
        tables["interactions"] = interactions.with_columns(timestamp=pl.when(~unknown).then("timestamp"))
        taken = take(load(tables))
        assert f"interactions.timestamp: {n:,} impressions without a time are excluded." in taken.notes
        assert taken.shown.is_empty() == (n == 4 * N_USERS)


def test_users_who_are_not_new_are_counted() -> None:
    tables = make_slow(timedelta(0))
    tables["users"] = tables["users"].with_columns(pl.col("registered_at") - timedelta(days=3))
    taken = take(load(tables))
    assert set(taken.assigned["cohort"]) == {"2026-W01"}  # the week of registration
    (note,) = taken.notes
    assert f"{N_USERS} users were assigned more than a day after registration" in note


def test_a_missing_experiment_is_one_sentence() -> None:
    tables = make_slow(timedelta(0))
    with pytest.raises(DataError, match=r"^assignments: there is no experiment 'other'; choose one of onboarding\."):
        take_experiment(load(tables), "other", use=(), like=())
    del tables["assignments"]
    with pytest.raises(DataError, match="assignments: the table is missing; add user_id"):
        take(load(tables))
