"""Near years of age share their users: two people of 18 and three of 25, and a newcomer of 24."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from firstday.config import FeatureConfig
from firstday.features.ages import MAX_WIDTH, choose_widths, weigh_years
from firstday.features.encoder import N_AGES, average_years, shrink_means
from firstday.features.signals import Signals
from firstday.recommend.query import Query
from firstday.recommend.recommender import Recommender
from firstday.segment.segments import ItemCounts
from tests.tiny import N_ITEMS, count_users, make_model

SIZES = np.zeros(N_AGES, np.int64)
SIZES[[18, 25]] = 2, 3


def by_year() -> ItemCounts:
    """Both people of 18 use i1, one of them i2; all three of 25 use i4, one of them i5."""
    lists = [{18: {0: 2, 1: 1}, 25: {3: 3, 4: 1}}.get(year, {}) for year in range(N_AGES)]
    return count_users(lists, SIZES.tolist())


def test_a_kernel_is_a_triangle() -> None:
    weights = weigh_years(np.array([1, 2, 4]))
    np.testing.assert_array_equal(weights, [[1, 0, 0], [0.5, 1, 0.5], [0.5, 0.75, 1]])


@pytest.mark.parametrize(
    ("n_users", "year", "width"),
    [
        (0, 24, 1),
        (0, 99, 1),
        (2, 18, 1),  # has enough of its own
        (3, 25, 1),
        (1, 24, 2),  # 3 x 1/2
        (1, 20, 4),  # 2 x 2/4; a width of 3 gathers 2 x 1/3
        (3, 24, 8),  # 3 x 7/8 + 2 x 2/8; a width of 7 gathers 3 x 6/7 + 2 x 1/7 = 20/7
        (4, 24, 15),  # 3 x 14/15 + 2 x 9/15 = 4
        (50, 24, MAX_WIDTH),
        (50, 25, MAX_WIDTH),
        (1, 99, MAX_WIDTH),  # nobody is near
    ],
)
def test_a_year_is_as_wide_as_it_must_be(n_users: float, year: int, width: int) -> None:
    assert choose_widths(SIZES, n_users)[year] == width
    assert choose_widths(SIZES.astype(np.float32), n_users)[year] == width


def test_mean_vectors_are_gathered_by_weight_and_then_shrink() -> None:
    sums = np.zeros((N_AGES, 2))
    sums[18], sums[25] = (2, 0), (0, 3)
    overall = np.array([0.4, 0.6])
    means, widths = average_years(sums, SIZES, overall, FeatureConfig(age_users=4, group_shrinkage=1))
    assert widths[24] == 15
    np.testing.assert_allclose(means[24], [(2 * 9 / 15 + 0.4) / 5, (3 * 14 / 15 + 0.6) / 5], rtol=1e-6)
    np.testing.assert_allclose(means[[0, 99, -1]][1:], [overall, overall], rtol=1e-6)


@pytest.mark.parametrize(("of_sums", "of_sizes"), [("f4", "f4"), ("f8", "i8")])
def test_years_that_stand_alone_are_the_plain_means_to_the_bit(of_sums: str, of_sizes: str) -> None:
    rng = np.random.default_rng(1)
    sizes = rng.integers(1, 9, size=N_AGES).astype(of_sizes)
    sums = rng.normal(size=(N_AGES, 5)).astype(of_sums)
    overall = rng.normal(size=5).astype(of_sums)
    plain = shrink_means(sums, sizes, overall, 10.0).tobytes()
    for age_users in (0, 1):  # all years have a user of their own
        means, widths = average_years(sums, sizes, overall, FeatureConfig(age_users=age_users))
        assert (means.tobytes(), set(widths.tolist())) == (plain, {1})


def recommender_of(n_users: float) -> Recommender:
    """Return the service of two people of 18 and three of 25."""
    model = make_model()
    widths = choose_widths(SIZES, n_users) if n_users else None
    return Recommender(
        replace(
            model,
            profile_groups={**model.profile_groups, "age": by_year()},
            signal_encoder=replace(model.encoder, age_widths=widths),
        )
    )


@pytest.mark.parametrize(("n_users", "width"), [(3, 8), (50, MAX_WIDTH)])
def test_a_newcomer_of_24_gets_the_list_of_those_of_25_before_that_of_those_of_18(n_users: float, width: int) -> None:
    answer = recommender_of(n_users).recommend(Signals(age=24), N_ITEMS, "group")
    assert answer.route == "group"
    assert answer.ignored == ()
    scores = {item.item_id: item.score for item in answer.items}
    everyone = {"i1": 0.6, "i2": 0.4, "i3": 0.6, "i4": 0.4, "i5": 0.2, "i6": 0.0}
    at_18 = 1 - 6 / width
    at_25 = 1 - 1 / width
    users = {"i1": 2 * at_18, "i2": at_18, "i4": 3 * at_25, "i5": at_25}
    size = 2 * at_18 + 3 * at_25
    expected = {item: (users.get(item, 0) + 2 * share) / (size + 2) for item, share in everyone.items()}
    assert scores == pytest.approx(expected, rel=1e-5)
    assert scores["i4"] > max(scores["i1"], scores["i2"])


def test_a_near_age_is_known_and_a_far_one_is_not() -> None:
    model = recommender_of(3).model
    batch, _ = model.catalogue.read([Signals(age=age) for age in (24, 5, 44, 46, 120)] + [Signals()])
    query = Query(model, batch, N_ITEMS)
    assert query.has_features.tolist() == [True, True, True, False, False, False]
    assert query.profile["age"].tolist() == [24, 5, 44, -1, -1, -1]


def test_years_alone_are_told_nothing_by_near_ones() -> None:
    plain = recommender_of(0)
    assert plain.model.shared_groups is plain.model.profile_groups
    answer = plain.recommend(Signals(age=24), N_ITEMS, "group")
    assert answer.route == "popular"
    assert answer.notes[1:] == ("age: no warm user has this value",)
