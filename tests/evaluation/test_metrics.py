from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import ndcg_score, precision_score, recall_score

from firstday.metrics import measure
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
    np.testing.assert_allclose(found.recall, [2 / 2, 2 / 5, 1 / 2, 0])
    ndcg = [discounts(1, 3) / discounts(1, 2), discounts(2, 3) / discounts(1, 2, 3), 1 / discounts(1, 2), 0]
    np.testing.assert_allclose(found.ndcg, ndcg)
    assert measure(lists[:0], truth.take(np.array([], dtype=int))).precision.shape == (0,)


@pytest.mark.parametrize("k", [1, 5, 20])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_agrees_with_scikit_learn(k: int, share: float) -> None:
    rng = np.random.default_rng(k)
    n_users = 40
    n_items = 30
    relevant = rng.random((n_users, n_items)) < share
    relevant[np.arange(n_users), rng.integers(n_items, size=n_users)] = True
    scores = rng.permuted(np.tile(np.arange(n_items), (n_users, 1)), axis=1)
    lists = np.argsort(-scores, axis=1)[:, :k].astype(np.int32)
    rows, columns = np.nonzero(relevant)
    truth = SparseRows.from_pairs(rows, columns, None, n_users, n_items)
    chosen = np.zeros((n_users, n_items), dtype=bool)
    np.put_along_axis(chosen, lists, values=True, axis=1)

    by_k = measure(lists, truth, divide_by="k")
    by_least = measure(lists, truth)
    precision = precision_score(relevant.T, chosen.T, average=None)  # of each column, which is a user
    recall = recall_score(relevant.T, chosen.T, average=None)
    ndcg = [ndcg_score(relevant[[user]], scores[[user]], k=k) for user in range(n_users)]
    np.testing.assert_allclose(by_k.precision, precision)
    np.testing.assert_allclose(by_least.precision, precision * k / np.minimum(k, relevant.sum(axis=1)))
    for found in (by_k, by_least):
        np.testing.assert_allclose(found.recall, recall)
        np.testing.assert_allclose(found.ndcg, ndcg)
