"""Rates of new items by segment: the prior, what was shown there, and a part of what was shown elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from firstday.ranking import NO_ITEM
from firstday.recommend.new_items.offers import ELSEWHERE, N_DRAWS, Offers

ITEMS = np.array([4, 5])
MILLION = 10**6


def make(shown: list[list[int]], used: list[list[int]], rate: float = 0.01, least_rate: float = 0.0) -> Offers:
    """Make two items in two segments, whose rates have a prior that counts as one use."""
    return Offers.of(ITEMS, np.array(shown), np.array(used), np.full((2, 2), rate), least_rate)


def test_a_rate_is_the_mean_of_prior_and_impressions() -> None:
    items = make([[40, 0], [10, 0]], [[20, 0], [0, 0]])
    here = (1 + 20) / (100 + 40 + ELSEWHERE * 10)
    there = (1 + ELSEWHERE * 20) / (100 + ELSEWHERE * 40 + 10)
    np.testing.assert_allclose(items.rates_of(4), [here, there])
    np.testing.assert_allclose(items.rates_of(5), 0.01)


def test_an_item_that_is_always_used_is_drawn_and_one_that_never_is_is_not() -> None:
    """A million impressions leave no doubt: draws differ by less than a hundredth with any chance worth the name."""
    items = make([[MILLION, MILLION], [MILLION, MILLION]], [[MILLION, 0], [0, 0]])
    assert items.drawn(0).tolist() == [4] * N_DRAWS
    assert items.drawn(1).tolist() == [4] * N_DRAWS  # of what it was used elsewhere


def test_draws_are_of_new_items_and_the_same_each_time() -> None:
    drawn = make([[0, 0]] * 2, [[0, 0]] * 2).drawn(0)
    assert len(drawn) == N_DRAWS
    assert set(drawn.tolist()) == set(ITEMS.tolist())
    np.testing.assert_array_equal(drawn, make([[0, 0]] * 2, [[0, 0]] * 2).drawn(0))


@pytest.mark.parametrize(("least_rate", "expected"), [(0.4, 4), (0.6, NO_ITEM)])
def test_a_sample_below_the_least_rate_has_no_item(least_rate: float, expected: int) -> None:
    half = MILLION // 2
    items = make([[MILLION, MILLION]] * 2, [[half, 0], [half, 0]], least_rate=least_rate)
    assert items.drawn(0).tolist() == [expected] * N_DRAWS


def test_the_highest_of_rates_with_the_prior_is_drawn() -> None:
    """The highest of n rates exceeds x with the probability 1 - (1 - (1 - x) ** 99) ** n."""
    n = 50
    threshold = 0.04
    shares = []
    for _ in range(2):
        items = Offers.of(np.arange(n), np.zeros((40, n)), np.zeros((40, n)), np.full((40, n), 0.01), threshold)
        shares.append(np.mean([(items.drawn(segment) >= 0).mean() for segment in range(40)]))
    assert shares[0] == shares[1]
    expected = 1 - (1 - (1 - threshold) ** 99) ** n
    deviation = np.sqrt(expected * (1 - expected) / (40 * N_DRAWS))
    assert abs(shares[0] - expected) < 6 * deviation
