"""The candidates that `blend` looks at, of all ranked items."""

from __future__ import annotations

import numpy as np
import pytest

from firstday.ranking import multiply_rows
from firstday.recommend.blend import SAMPLED, _choose_candidates


def check(promise: np.ndarray, n: int) -> np.ndarray:
    """Check what holds of candidates whatever they are chosen from, and return how many each row has."""
    chosen, closed = _choose_candidates(promise, n)
    assert chosen.shape == closed.shape
    for row, places, is_closed in zip(promise, chosen, closed, strict=True):
        kept = places[~is_closed]
        assert (np.diff(kept) > 0).all()
        assert (row[kept] > -np.inf).all()
        others = np.setdiff1d(np.arange(len(row)), places)
        assert row[places].min() >= row[others].max(initial=-np.inf)
    return np.array([len(np.unique(places)) for places in chosen])


@pytest.mark.parametrize("n_rows", [1, 5])
def test_the_most_promising_are_chosen(n_rows: int) -> None:
    promise = np.random.default_rng(n_rows).permuted(np.tile(np.arange(4000.0), (n_rows, 1)), axis=1)
    promise[:, 7] = -np.inf
    counts = check(promise, 800)
    assert (counts >= 400).all()
    assert (counts <= 1600).all()


def test_a_sample_that_misleads_and_many_equals_cost_nobody_a_candidate() -> None:
    """The best are all in the sample, none is in it, or nearly all are equal: the whole row is partitioned."""
    promise = np.zeros((3, 4000))
    promise[0, ::SAMPLED] = np.arange(1, 501)
    promise[1] = np.where(np.arange(4000) % SAMPLED == 0, 0, 1 + np.arange(4000))
    promise[2, :5] = 1
    for row in promise:
        assert check(row[None], 800).tolist() == [800]
    assert check(promise, 800).tolist() == [800] * 3


def test_few_items_are_all_candidates_and_closed_ones_are_told() -> None:
    promise = np.array([[3.0, -np.inf, 1.0], [-np.inf, -np.inf, -np.inf]])
    chosen, closed = _choose_candidates(promise, 10)
    assert chosen.tolist() == [[0, 1, 2]] * 2
    assert closed.tolist() == [[False, True, False], [True, True, True]]


def test_rows_of_a_table_are_multiplied() -> None:
    table = np.arange(12, dtype=np.float32).reshape(4, 3)
    vectors = np.array([[1, 0, 0], [0, 1, 1]], np.float32)
    assert multiply_rows(table, np.array([[0, 3], [1, 1]]), vectors).tolist() == [[0, 9], [9, 9]]
