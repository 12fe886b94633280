"""What five users did in the days after they were assigned, and what holds for any users."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from firstday.experiment.outcomes import count_known_before, list_outcomes, outcomes_of
from tests.experiment.made import SHOWN, USES, VARIANTS, make_assigned, make_shown, make_uses

COLUMNS = ("shown", "used_of_shown", "liked_of_shown", "items_used", "days_active", "came_back")


def test_five_users() -> None:
    uses = make_uses(USES)
    assigned = make_assigned(VARIANTS)
    known = [count_known_before(uses, assigned, days).to_list() for days in (0, 1)]
    assert known == [[0, 1, 0, 0, 0], [0] * 5]  # what was used in the last day may be an outcome
    day, week = (outcomes_of(uses, make_shown(SHOWN), assigned, days) for days in (1, 7))
    assert day.select(*COLUMNS).rows() == [
        (2, 1, 0, 1, 1, 0),
        (1, 0, 0, 1, 1, 0),
        (2, 0, 1, 0, 0, 0),
        (0, 0, 0, 0, 0, 0),
        (0, 0, 0, 0, 0, 0),
    ]
    assert week.select(*COLUMNS).rows() == [(2, 2, 1, 2, 2, 1), *day.select(*COLUMNS).rows()[1:]]


def test_outcomes_of_a_window() -> None:
    assert [outcome.name for outcome in list_outcomes([7])] == [*COLUMNS[1:]]
    assert [outcome.title for outcome in list_outcomes([1])][2:] == ["items used, 1 day", "days active, 1 day"]


events = st.tuples(st.integers(0, 4), st.integers(0, 5), st.integers(-40, 200))


@given(
    st.lists(st.tuples(events, st.booleans(), st.booleans()), max_size=30),
    st.lists(events, max_size=30),
    st.randoms(use_true_random=False),
)
def test_what_holds_for_any_log(uses: list, shown: list, random: object) -> None:  # type: ignore[type-arg]
    rows = [(*event, is_use, is_like) for event, is_use, is_like in uses]
    assigned = make_assigned(VARIANTS)
    day, week = (outcomes_of(make_uses(rows), make_shown(shown), assigned, days) for days in (1, 7))
    for table, days in ((day, 1), (week, 7)):
        assert table["user_ix"].to_list() == [0, 1, 2, 3, 4]
        assert (table["used_of_shown"] <= table["shown"]).all()
        assert (table["used_of_shown"] <= table["items_used"]).all()
        assert (table["liked_of_shown"] <= table["shown"]).all()
        assert (table["days_active"] <= days).all()
    for name in COLUMNS:  # a longer window has no less of anything
        assert (day[name] <= week[name]).all()
    random.shuffle(rows)  # type: ignore[attr-defined]
    random.shuffle(shown)  # type: ignore[attr-defined]
    assert outcomes_of(make_uses(rows), make_shown(shown), assigned, 7).equals(week)
