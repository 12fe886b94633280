"""What five users did in the days after they were assigned, and what holds for any users."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from firstday.experiment.outcomes import OUTCOMES, name_days, outcomes_of, write_days
from tests.experiment.made import SHOWN, USES, VARIANTS, at, make_assigned, make_shown, make_uses


def outcomes(days: tuple[float, ...] = (1, 7), until_hours: float = 24 * 5) -> pl.DataFrame:
    return outcomes_of(
        make_uses(USES), make_shown(SHOWN), make_assigned(VARIANTS), days=days, until=at(until_hours), margin_days=0
    )


def test_five_users() -> None:
    table = outcomes()
    columns = {
        "variant": VARIANTS,
        "known_before": [0, 1, 0, 0, 0],
        "shown_1": [2, 1, 2, 0, 0],
        "used_of_shown_1": [1, 0, 0, 0, 0],
        "liked_of_shown_1": [0, 0, 1, 0, 0],
        "items_used_1": [1, 1, 0, 0, 0],
        "days_active_1": [1, 1, 0, 0, 0],
        "shown_7": [2, 1, 2, 0, 0],
        "used_of_shown_7": [2, 0, 0, 0, 0],
        "liked_of_shown_7": [1, 0, 1, 0, 0],
        "items_used_7": [2, 1, 0, 0, 0],
        "days_active_7": [2, 1, 0, 0, 0],
        "came_back_7": [1, 0, 0, 0, 0],
        "is_whole_1": [True] * 5,
        "is_whole_7": [False] * 5,
    }
    assert {name: table[name].to_list() for name in columns} == columns


def test_a_window_has_ended_when_the_record_reaches_its_end() -> None:
    assert outcomes((5,), 24 * 5)["is_whole_5"].all()
    assert not outcomes((5,), 24 * 5 - 0.001)["is_whole_5"].any()


def test_without_impressions_there_are_no_shares_of_them() -> None:
    table = outcomes_of(make_uses(USES), None, make_assigned(VARIANTS), days=(1,), until=at(100), margin_days=0)
    assert not [name for name in table.columns if "shown" in name]
    assert table["items_used_1"].to_list() == [1, 1, 0, 0, 0]


def test_days_are_written_for_people_and_for_columns() -> None:
    assert [write_days(length) for length in (1, 7, 0.5)] == ["1 day", "7 days", "0.5 days"]
    assert name_days(30.0) == "30"


events = st.tuples(st.integers(0, 4), st.integers(0, 5), st.integers(-40, 200))


@given(
    st.lists(st.tuples(events, st.booleans(), st.booleans()), max_size=30),
    st.lists(events, max_size=30),
    st.randoms(use_true_random=False),
)
def test_what_holds_for_any_log(uses: list, shown: list, random: object) -> None:  # type: ignore[type-arg]
    rows = [(*event, is_use, is_like) for event, is_use, is_like in uses]
    assigned = make_assigned(VARIANTS)
    table = outcomes_of(make_uses(rows), make_shown(shown), assigned, days=(1, 7), until=at(100), margin_days=0)
    assert table["user_ix"].to_list() == [0, 1, 2, 3, 4]
    for days in ("1", "7"):
        assert (table[f"used_of_shown_{days}"] <= table[f"shown_{days}"]).all()
        assert (table[f"used_of_shown_{days}"] <= table[f"items_used_{days}"]).all()
        assert (table[f"liked_of_shown_{days}"] <= table[f"shown_{days}"]).all()
        assert (table[f"days_active_{days}"] <= int(days)).all()
    for outcome in OUTCOMES:  # a longer window has no less of anything
        assert (table[f"{outcome.name}_1"] <= table[f"{outcome.name}_7"]).all()
    random.shuffle(rows)  # type: ignore[attr-defined]
    random.shuffle(shown)  # type: ignore[attr-defined]
    other = outcomes_of(
        make_uses(rows), make_shown(shown), assigned.reverse(), days=(1, 7), until=at(100), margin_days=0
    )
    assert other.equals(table)
