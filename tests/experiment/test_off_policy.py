"""How lists that were not shown would have done, by hand."""

from __future__ import annotations

import math
from itertools import permutations
from statistics import NormalDist

import numpy as np
import polars as pl
import pytest

from firstday.config import ExperimentConfig
from firstday.experiment.off_policy import ListsEstimate, estimate_lists
from tests.experiment.made import make_frame, width

ShownRow = tuple[int, int, int | None, float | None, bool]


def make_shown(rows: list[ShownRow], lists: list[str | None] | None = None) -> pl.DataFrame:
    """Rows of user, item, position, propensity, whether it is used; without lists, all rows of a user are of one."""
    frame = make_frame(rows, "user_ix item_ix position propensity is_used")
    names = [f"l{row[0]}" for row in rows] if lists is None else lists
    return frame.with_columns(list_id=pl.Series(names, dtype=pl.String), policy=pl.lit(None, dtype=pl.String))


def make_lists(rows: list[tuple[int, int, int]]) -> pl.DataFrame:
    return make_frame(rows, "user_ix item_ix position")


def judge(
    shown: pl.DataFrame, lists: list[tuple[int, int, int]], least_users: float = 100, level: float = 0.95
) -> ListsEstimate:
    return estimate_lists("top", shown, make_lists(lists), ExperimentConfig(effective_users=least_users, level=level))


def test_weights_by_hand() -> None:
    """Two users match, with weights 2 and 4, and the first used the item: 2 of 6."""
    shown = make_shown(
        [
            (0, 7, 1, 0.5, True),
            (1, 7, 1, 0.25, False),
            (2, 8, 1, 0.5, True),
            (3, 8, 1, 0.5, False),
            (0, 7, 0, 0.5, True),  # without a position
            (4, 7, 1, None, True),  # without a propensity
            (4, 7, 2, 0.5, True),  # below such a place
            (5, 7, 1, 0.5, True),  # of a user without a list
            (0, 9, 2, 0.5, True),  # deeper than the list
        ]
    )
    estimate = judge(shown, [(user, 7, 1) for user in range(5)], least_users=1)
    assert (estimate.users, estimate.matches) == (4, 2)
    assert estimate.used_of_lists == pytest.approx(2 / 6)
    assert estimate.effective_users == pytest.approx(6**2 / (2**2 + 4**2))
    assert estimate.mean_weight == pytest.approx(6 / 4)
    assert estimate.used_of_shown == pytest.approx(2 / 4)
    assert estimate.sentence().startswith(
        "lists top: 33.33% of the items in the first 1 of 1 ranks would have been used ("
    )


@pytest.mark.parametrize("preferences", [(3, 17), (1, 1, 2)])
def test_an_estimate_is_exact_where_each_slate_is_shown_as_often_as_its_propensities_say(
    preferences: tuple[int, ...],
) -> None:
    """How often an item is used depends on its place and on what is above it."""
    k = len(preferences)
    n = 12_000  # so that each slate has a whole number of tenths

    def count_used_of_ten(slate: tuple[int, ...], place: int) -> int:
        return (3 * slate[place] + 2 * place + (slate[place - 1] if place else 4)) % 7 + 1

    rows: list[ShownRow] = []
    sizes: dict[tuple[int, ...], int] = {}
    for slate in permutations(range(k)):
        left = [preferences[item] for item in slate]
        propensities = [left[place] / sum(left[place:]) for place in range(k)]
        first = sum(sizes.values())
        size = round(n * math.prod(propensities))
        for place, item in enumerate(slate):
            n_used = size * count_used_of_ten(slate, place) // 10
            rows += [(first + user, item, place + 1, propensities[place], user < n_used) for user in range(size)]
        sizes[slate] = size
    assert sum(sizes.values()) == n
    for slate, size in sizes.items():
        truth = np.mean([count_used_of_ten(slate, place) / 10 for place in range(k)])
        judged = [(user, item, place + 1) for user in range(n) for place, item in enumerate(slate)]
        estimate = judge(make_shown(rows), judged, least_users=1)
        assert (estimate.places, estimate.refusal) == (k, None)
        assert estimate.used_of_lists == pytest.approx(truth, rel=1e-5)  # propensities are float32
        assert estimate.mean_weight == pytest.approx(1, rel=1e-5)
        assert estimate.effective_users == pytest.approx(size, rel=1e-5)


def test_the_estimate_is_of_as_many_places_as_enough_users_tell_of() -> None:
    """Of 400 users all match in the first place, 100 in the second, of whom 25 in the third."""
    rows: list[ShownRow] = []
    for user in range(400):
        rows.append((user, 1, 1, 1.0, user % 2 == 0))
        rows.append((user, 2 if user < 100 else 7, 2, 0.25 if user < 100 else 0.75, user < 50))
        rows.append((user, 3 if user % 4 == 0 else 8, 3, 0.25 if user % 4 == 0 else 0.75, False))
    lists = [(user, place, place) for user in range(400) for place in (1, 2, 3)]
    estimates = {least: judge(make_shown(rows), lists, least) for least in (20, 60, 200, 500)}
    assert {least: estimate.places for least, estimate in estimates.items()} == {20: 3, 60: 2, 200: 1, 500: 0}
    estimate = estimates[60]
    assert estimate.used_of_lists == pytest.approx((0.5 + 0.5) / 2)
    assert estimate.used_of_shown == pytest.approx((200 + 50) / 800)
    assert estimate.sentence().endswith(
        "there, 31.25% were. Deeper ranks are not covered: 25 effective users, whose impressions have propensities and "
        "match the lists down to rank 3; at least 60 are needed."
    )


def test_a_place_counts_where_all_above_it_is_known() -> None:
    """Only the first two rows: the others miss a place, repeat one, or have no list."""
    rows: list[ShownRow] = [
        (0, 1, 1, 0.5, True),
        (0, 2, 2, 0.5, True),
        (1, 2, 2, 0.5, True),
        (2, 1, 1, 0.5, True),
        (2, 9, 1, 0.5, True),
        (2, 2, 2, 0.5, True),
        (3, 2, 2, 0.5, True),
    ]
    shown = make_shown(rows, ["a", "a", "a", "a", "a", "a", None])
    estimate = judge(shown, [(user, place, place) for user in range(4) for place in (1, 2)], least_users=1)
    assert (estimate.users, estimate.places, estimate.matches) == (1, 2, 2)
    assert estimate.mean_weight == pytest.approx(4)


def test_users_of_a_policy_that_never_draws_are_left_out() -> None:
    """One variant is shown the same to all, the other one of two items, each as often."""
    fixed = make_shown([(user, 9, 1, 1.0, True) for user in range(400)])
    drawn = make_shown([(user, user % 2, 1, 0.5, user % 8 == 1) for user in range(400, 800)])
    shown = pl.concat([fixed.with_columns(policy=pl.lit("segment")), drawn.with_columns(policy=pl.lit("explore"))])
    estimate = judge(shown, [(user, 1, 1) for user in range(800)])
    assert estimate.users == 400
    assert estimate.effective_users == pytest.approx(200)
    assert estimate.mean_weight == pytest.approx(1)
    assert estimate.used_of_lists == pytest.approx(1 / 4)
    assert estimate.used_of_shown == pytest.approx(1 / 8)


def test_lists_that_were_shown_do_as_they_did_at_any_level() -> None:
    shown = make_shown([(user, 7, 1, 1.0, user % 4 == 0) for user in range(200)])
    wide, narrow = (judge(shown, [(user, 7, 1) for user in range(200)], level=level) for level in (0.95, 0.8))
    assert wide.used_of_lists == narrow.used_of_lists == pytest.approx(0.25)
    assert width(wide.used_of_lists_ci) == pytest.approx(2 * 1.96 * (0.25 * 0.75 / 200) ** 0.5, rel=1e-4)
    assert width(narrow.used_of_lists_ci) / width(wide.used_of_lists_ci) == pytest.approx(
        NormalDist().inv_cdf(0.9) / NormalDist().inv_cdf(0.975)
    )


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (
            [(0, 7, 1, None, True)],
            "0 effective users, whose impressions have propensities and match the lists down to rank 1; at",
        ),
        ([(user, 7, 1, 1.0, True) for user in range(20)], "20 effective users, whose impressions have"),
        (
            [(user, user % 2, 1, 1.0, True) for user in range(400)],
            "their mean weight is 0.50 instead of 1, so the logged policies could rarely show these lists; let a",
        ),
    ],
)
def test_what_cannot_be_told_is_refused(rows: list[ShownRow], reason: str) -> None:
    estimate = judge(make_shown(rows), [(row[0], 1 if row[1] < 2 else 7, 1) for row in rows])
    assert estimate.used_of_lists is None
    assert estimate.sentence().startswith(f"lists top: no estimate: {reason}")
    assert estimate.sentence().count(". ") == 0
