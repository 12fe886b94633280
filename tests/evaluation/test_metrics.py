from __future__ import annotations

import math

import numpy as np
import pytest

from firstday.metrics import gini_index, measure
from firstday.sparse import SparseRows


def discounts(*places: int) -> float:
    """Add up 1 / log2(place + 1) over places counted from 1."""
    return sum(1 / math.log2(place + 1) for place in places)


def test_users_by_hand() -> None:
    """Some positions are empty, and the last user has no relevant item: there, -1 is not item 5 of the user before."""
    lists = np.array([[0, 1, 2], [3, 4, 0], [5, 1, 3], [2, -1, -1]])
    truth = SparseRows.from_lists([[0, 2], [0, 1, 2, 4, 5], [0, 5], []], 6)
    found = measure(lists, truth)
    np.testing.assert_allclose(found.precision, [2 / 2, 2 / 3, 1 / 2, 0])
    by_k = measure(lists, truth, divide_by="k")
    np.testing.assert_allclose(by_k.precision, [2 / 3, 2 / 3, 1 / 3, 0])
    np.testing.assert_allclose(found.recall, [2 / 2, 2 / 5, 1 / 2, 0])
    ndcg = [discounts(1, 3) / discounts(1, 2), discounts(2, 3) / discounts(1, 2, 3), 1 / discounts(1, 2), 0]
    np.testing.assert_allclose(found.ndcg, ndcg)
    np.testing.assert_allclose(found.hit_rate, [1, 1, 1, 0])
    np.testing.assert_allclose(found.mrr, [1, 1 / 2, 1, 0])
    average_precision = [(1 + 2 / 3) / 2, (1 / 2 + 2 / 3) / 3, 1 / 2, 0]
    np.testing.assert_allclose(found.map, average_precision)
    np.testing.assert_allclose(by_k.map, average_precision)
    assert measure(lists[:0], truth.take(np.array([], dtype=int))).precision.shape == (0,)


def test_the_gini_index_is_0_for_equal_exposure_and_1_for_one_item() -> None:
    assert gini_index(np.array([3, 3, 3, 3])) == 0
    assert gini_index(np.array([0, 0, 7, 0])) == 1
    assert gini_index(np.array([5])) == gini_index(np.zeros(4)) == 0
    counts = np.array([1, 4, 0, 2])
    differences = np.abs(counts[:, None] - counts).sum()  # half the mean difference of two items, over the mean
    assert gini_index(counts) == pytest.approx(differences / (4 * 3) / (2 * counts.mean()))
