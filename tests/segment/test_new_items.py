"""Rates of new items by segment: a pessimistic prior, what was shown there, and a part of what was shown elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from firstday.segment.new_items import ELSEWHERE, N_DRAWS, PRIOR_IGNORED, PRIOR_USED, NewItems
from firstday.segment.shown_counts import ShownCounts
from tests.matrices import to_rows

N_ITEMS = 60
PRIOR_SHOWN = PRIOR_USED + PRIOR_IGNORED


def count(shown: dict[tuple[int, int], int], used: dict[tuple[int, int], int]) -> ShownCounts:
    """Count impressions of two segments, by segment and item."""
    numbers = np.zeros((2, 2, N_ITEMS))
    for number, cells in enumerate((shown, used)):
        for cell, n in cells.items():
            numbers[number][cell] = n
    return ShownCounts(*map(to_rows, numbers))


def test_a_rate_is_the_mean_of_prior_and_impressions() -> None:
    items = NewItems.of(count({(0, 4): 40, (1, 4): 10, (0, 1): 7}, {(0, 4): 20}), np.array([4, 5]))
    assert items.shown_items.tolist() == [4]
    assert items.other_items.tolist() == [5]
    here = (PRIOR_USED + 20) / (PRIOR_SHOWN + 40 + ELSEWHERE * 10)
    there = (PRIOR_USED + ELSEWHERE * 20) / (PRIOR_SHOWN + ELSEWHERE * 40 + 10)
    np.testing.assert_allclose(items.rates_of(4), [here, there])
    np.testing.assert_allclose(items.rates_of(5), PRIOR_USED / PRIOR_SHOWN)


def test_an_item_that_is_always_used_is_drawn_and_one_that_never_is_is_not() -> None:
    """A million impressions leave no doubt: draws differ by less than a hundredth with any chance worth the name."""
    million = 10**6
    counts = count({(0, 4): million, (1, 5): million, (0, 5): million, (1, 4): million}, {(0, 4): million})
    items = NewItems.of(counts, np.array([4, 5]))
    assert items.drawn(0).tolist() == [4] * N_DRAWS
    assert items.drawn(1).tolist() == [4] * N_DRAWS  # of what it was used elsewhere


@pytest.mark.parametrize("n", [1, 3])
def test_draws_are_of_new_items_and_the_same_each_time(n: int) -> None:
    empty = count({}, {})
    items = np.arange(3, 3 + n)
    drawn = NewItems.of(empty, items).drawn(0)
    assert len(drawn) == N_DRAWS
    assert set(drawn.tolist()) <= set(items.tolist())
    np.testing.assert_array_equal(drawn, NewItems.of(empty, items).drawn(0))


def test_the_highest_of_rates_with_the_prior_is_drawn_as_if_each_were() -> None:
    """Its distribution function at x is (1 - (1 - x) ** 99) ** n: the item with no doubt about its rate splits it."""
    n = 50
    million = 10**9
    threshold = 0.04
    counts = count({(0, 0): million}, {(0, 0): round(threshold * million)})
    wins = []
    for segment_seed in range(40):
        items = NewItems.of(counts, np.arange(n + 1))
        wins.append((items._draw(0, np.random.default_rng(segment_seed)) == 0).mean())
    expected = (1 - (1 - threshold) ** PRIOR_IGNORED) ** n
    deviation = np.sqrt(expected * (1 - expected) / (40 * N_DRAWS))
    assert abs(np.mean(wins) - expected) < 6 * deviation
