"""Popularity of lists against counts made by hand."""

from __future__ import annotations

import numpy as np

from firstday.evaluation.slices import count_by_part, divide_by_use, to_shares
from firstday.recommend.recommender import Recommender
from tests.evaluation.tiny import TENTH_OF_ITEM


def test_a_models_items_are_divided_by_what_its_warm_users_used(tiny: Recommender) -> None:
    """Of 11 uses, in the order i1, i3, i2, i4, i5: their middles lie at 1.5, 4.5, 7, 9 and 10.5. Nobody uses i6."""
    assert divide_by_use(tiny.model.everyone).tolist() == [1, 6, 4, 8, 9, 9]


def test_places_are_counted_by_part_and_empty_ones_left_out() -> None:
    counts = count_by_part(np.array([[0, 4, 1], [5, 1, -1]]), TENTH_OF_ITEM)
    assert counts.tolist() == [1, 0, 0, 2, 0, 0, 0, 0, 0, 2]
    assert to_shares(counts) == (20, 0, 0, 40, 0, 0, 0, 0, 0, 40)
    assert to_shares(np.zeros(10)) == (0,) * 10
