"""What five users did in the days after they were assigned, and what holds for any users."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from firstday.experiment.outcomes import measure
from tests.experiment.made import five_users, make_shown, make_uses

COLUMNS = ("shown", "used_of_shown", "liked_of_shown", "items_used", "days_active", "came_back")


def test_five_users() -> None:
    day, week = (measure(five_users(), days).select(*COLUMNS).rows() for days in (1, 7))
    assert day == [
        (2, 1, 0, 1, 1, 0),
        (1, 0, 0, 1, 1, 0),
        (2, 0, 1, 0, 0, 0),
        (0, 0, 0, 0, 0, 0),
        (0, 0, 0, 0, 0, 0),
    ]
    assert week == [(2, 2, 1, 2, 2, 1), *day[1:]]


events = st.tuples(st.integers(0, 4), st.integers(0, 5), st.integers(-40, 200))


@given(
    st.lists(st.tuples(events, st.booleans(), st.booleans()), max_size=30),
    st.lists(events, max_size=30),
    st.randoms(use_true_random=False),
)
def test_what_holds_for_any_log(uses: list, shown: list, random: object) -> None:  # type: ignore[type-arg]
    rows = [(*event, is_use, is_like) for event, is_use, is_like in uses]
    tables = replace(five_users(), uses=make_uses(rows), shown=make_shown(shown))
    day, week = (measure(tables, days) for days in (1, 7))
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
    assert measure(replace(tables, uses=make_uses(rows), shown=make_shown(shown)), 7).equals(week)
