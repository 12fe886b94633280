"""Popularity of lists against counts made by hand."""

from __future__ import annotations

import numpy as np

from firstday.evaluation.slices import count_by_part, divide_by_use, divide_into_tenths, to_shares
from firstday.recommend.recommender import Recommender
from tests.evaluation.tiny import TENTH_OF_ITEM


def test_each_part_holds_a_tenth_of_all_use() -> None:
    """Of 20 uses each tenth is two: the first item has five, two have two, ten have one, and one has none."""
    uses = np.array([1, 5, 2, 0, 2, *([1] * 10)])
    order = np.argsort(-uses, kind="stable")
    assert order.tolist() == [1, 2, 4, 0, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 3]
    part = divide_into_tenths(uses, order)
    # The middle of item 1 lies at 2.5 of 20, that of item 2 at 6, of item 4 at 8, then 9.5, 10.5 and so on.
    assert part[order].tolist() == [1, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 9]
    assert divide_into_tenths(np.zeros(3), np.arange(3)).tolist() == [9, 9, 9]


def test_a_models_items_are_divided_by_what_its_warm_users_used(tiny: Recommender) -> None:
    """Of 11 uses, in the order i1, i3, i2, i4, i5: their middles lie at 1.5, 4.5, 7, 9 and 10.5."""
    assert divide_by_use(tiny.model).tolist() == [1, 6, 4, 8, 9, 9]


def test_places_are_counted_by_part_and_empty_ones_left_out() -> None:
    counts = count_by_part(np.array([[0, 4, 1], [5, 1, -1]]), TENTH_OF_ITEM)
    assert counts.tolist() == [1, 0, 0, 2, 0, 0, 0, 0, 0, 2]
    assert to_shares(counts) == (20, 0, 0, 40, 0, 0, 0, 0, 0, 40)
    assert to_shares(np.zeros(10)) == (0,) * 10
