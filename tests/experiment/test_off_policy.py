"""How lists that were not shown would have done, by hand."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from statistics import NormalDist
from typing import cast

import numpy as np
import polars as pl
import pytest

from firstday.config import ExperimentConfig
from firstday.experiment.off_policy import ListsEstimate, estimate_lists
from firstday.recommend.strategies.explore import draw_slate
from tests.experiment.made import make_frame
from tests.tiny import make_quota

Slate = tuple[int, ...]
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


def width(estimate: ListsEstimate) -> float:
    assert estimate.used_of_lists_ci is not None
    low, high = estimate.used_of_lists_ci
    return high - low


def test_weights_by_hand() -> None:
    """Two users match, with weights 2 and 4, and the first used the item: 2 of 6."""
    shown = make_shown(
        [
            (0, 7, 1, 0.5, True),
            (1, 7, 1, 0.25, False),
            (2, 8, 1, 0.5, True),
            (3, 8, 1, 0.5, False),
            (4, 7, None, 0.5, True),  # without a position
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


class Given:
    """A generator of given numbers between 0 and 1."""

    def __init__(self, numbers: Sequence[float]) -> None:
        self._numbers = iter(numbers)

    def random(self) -> float:
        return next(self._numbers)


def draw_all(lists: Sequence[Sequence[int]], belief: Sequence[float], k: int) -> dict[Slate, tuple[float, list[float]]]:
    """Return each slate that `explore` can draw, how likely it is, and the propensities that it writes down.

    All sequences of groups are drawn; the lists have the same items, so that no group is ever left out.
    """
    middles = np.cumsum(belief) - np.array(belief) / 2
    slates: dict[Slate, tuple[float, list[float]]] = {}
    for groups in product(range(len(belief)), repeat=k):
        rng = cast("np.random.Generator", Given([float(middles[group]) for group in groups]))
        draw = list(draw_slate([np.array(items) for items in lists], np.array(belief), k, rng, make_quota()))
        assert [group for group, _, _ in draw] == list(groups)
        slate = tuple(lists[group][number] for group, number, _ in draw)
        before, propensities = slates.get(slate, (0.0, [propensity for _, _, propensity in draw]))
        assert propensities == pytest.approx([propensity for _, _, propensity in draw])
        slates[slate] = (before + float(np.prod([belief[group] for group in groups])), propensities)
    return slates


@pytest.mark.parametrize(
    ("lists", "belief"),
    [
        ([[0, 1], [1, 0]], [0.15, 0.85]),
        ([[0, 1, 2], [1, 2, 0], [2, 0, 1]], [0.2, 0.3, 0.5]),
    ],
)
def test_lists_are_judged_exactly_where_every_slate_is_shown_as_often_as_explore_draws_it(
    lists: list[list[int]], belief: list[float]
) -> None:
    """How often an item is used depends on its place and on what is above it."""
    k = len(lists[0])
    slates = draw_all(lists, belief, k)

    def count_used_of_ten(slate: Slate, place: int) -> int:
        return (3 * slate[place] + 2 * place + (slate[place - 1] if place else 4)) % 7 + 1

    n = 10_000  # so that each slate has a whole number of tenths
    rows: list[ShownRow] = []
    first = 0
    for slate, (likely, propensities) in slates.items():
        size = round(n * likely)
        for place, (item, propensity) in enumerate(zip(slate, propensities, strict=True)):
            n_used = size * count_used_of_ten(slate, place) // 10
            rows += [(first + user, item, place + 1, propensity, user < n_used) for user in range(size)]
        first += size
    assert first == n
    shown = make_shown(rows)
    for slate, (likely, _) in slates.items():
        truth = np.mean([count_used_of_ten(slate, place) / 10 for place in range(k)])
        judged = [(user, item, place + 1) for user in range(n) for place, item in enumerate(slate)]
        estimate = judge(shown, judged, least_users=1)
        assert estimate.places == k
        assert estimate.used_of_lists == pytest.approx(truth, rel=1e-5)  # propensities are float32
        assert estimate.mean_weight == pytest.approx(1, rel=1e-5)
        assert estimate.effective_users == pytest.approx(n * likely, rel=1e-5)


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
    assert estimate.matches == 400 + 100
    sentence = estimate.sentence()
    assert sentence.startswith("lists top: 50.00% of the items in the first 2 of 3 ranks would have been used (")
    assert sentence.endswith(
        "there, 31.25% were. Deeper ranks are not covered: 25 effective users; at least 60 are needed."
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
    assert width(wide) == pytest.approx(2 * 1.96 * (0.25 * 0.75 / 200) ** 0.5, rel=1e-4)
    assert width(narrow) / width(wide) == pytest.approx(NormalDist().inv_cdf(0.9) / NormalDist().inv_cdf(0.975))


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([(0, 7, 1, None, True)], "no impressions at rank 1 with known positions and propensities"),
        ([(user, 7, 1, 1.0, True) for user in range(20)], "20 effective users; at least 100 are needed"),
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
