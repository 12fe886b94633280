from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstday.ranking import NO_ITEM, first_allowed, greatest, score_by_vectors, top_k, unit_rows

CLOSED = -np.inf


@st.composite
def score_tables(draw: st.DrawFn) -> np.ndarray:
    """Return scores with many ties and many closed columns."""
    n = draw(st.integers(0, 5))
    n_items = draw(st.integers(0, 9))
    values = st.sampled_from([CLOSED, -1.0, -0.0, 0.0, 0.5, 2.0])
    cells = draw(st.lists(values, min_size=n * n_items, max_size=n * n_items))
    return np.array(cells, dtype=np.float32).reshape(n, n_items)


def sorted_list(row: np.ndarray, k: int) -> list[int]:
    """Sort a row in the plainest way: Python's sort is stable, so ties keep the order of indexes."""
    allowed = [item for item in range(len(row)) if row[item] > CLOSED]
    return sorted(allowed, key=lambda item: -row[item])[:k]


def assert_sorted(scores: np.ndarray, items: np.ndarray, values: np.ndarray) -> None:
    """Check lists and their scores against sorted rows."""
    k = items.shape[1]
    for row, found, value in zip(scores, items, values, strict=True):
        expected = sorted_list(row, k)
        assert found.tolist() == expected + [NO_ITEM] * (k - len(expected))
        assert value.tolist() == [row[item] for item in expected] + [0] * (k - len(expected))


@given(score_tables(), st.integers(1, 12))
def test_top_k_is_a_stable_sort(scores: np.ndarray, k: int) -> None:
    before = scores.copy()
    items, values = top_k(scores, k)
    assert items.shape == values.shape == (len(scores), k)
    assert (items.dtype, values.dtype) == (np.dtype("i4"), np.dtype("f4"))
    assert_sorted(scores, items, values)
    np.testing.assert_array_equal(scores, before)


@given(st.integers(0, 4), st.integers(0, 7), st.integers(1, 9), st.integers(0, 99))
def test_first_allowed_keeps_order_and_drops_the_rest(n: int, m: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    items = np.array([rng.permutation(m) for _ in range(n)], dtype=np.int32).reshape(n, m)
    values = rng.random((n, m)).astype(np.float32)
    allowed = rng.random((n, m)) < 0.6
    kept_items, kept_values = first_allowed(items, values, allowed, k)
    assert kept_items.shape == kept_values.shape == (n, k)
    for row in range(n):
        expected = items[row, allowed[row]][:k].tolist()
        assert kept_items[row].tolist() == expected + [NO_ITEM] * (k - len(expected))
        assert kept_values[row].tolist() == values[row, allowed[row]][:k].tolist() + [0] * (k - len(expected))


def test_unit_rows_have_length_one_and_zeros_stay() -> None:
    scaled = unit_rows(np.array([[3.0, 4.0], [0.0, 0.0], [-2.0, 0.0]]))
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, [[0.6, 0.8], [0.0, 0.0], [-1.0, 0.0]])
    assert unit_rows(np.zeros((0, 4), np.float32)).shape == (0, 4)


@pytest.mark.parametrize("n_items", [95, 96, 97, 143, 144, 1000])
@pytest.mark.parametrize("open_share", [0.01, 0.3, 1.0])
def test_top_k_of_wide_tables_is_a_stable_sort_too(n_items: int, open_share: float) -> None:
    rng = np.random.default_rng(n_items)
    scores = rng.integers(0, 40, size=(30, n_items)).astype(np.float32)
    scores[rng.random(scores.shape) >= open_share] = CLOSED
    scores[0] = CLOSED
    assert_sorted(scores, *top_k(scores, 3))


@pytest.mark.parametrize("n_items", [3, 95, 96, 1000])
def test_greatest_are_the_head_of_a_stable_sort_in_ascending_order(n_items: int) -> None:
    scores = np.random.default_rng(n_items).integers(0, 40, size=(30, n_items)).astype(np.float32)
    expected = [sorted(sorted_list(row, 3)) for row in scores]
    assert greatest(scores, 3).tolist() == expected


def test_items_and_users_without_a_vector_have_no_place() -> None:
    items = np.array([[1, 0], [0, 0], [0, -2]], np.float32)
    scores = score_by_vectors(np.array([[1, 1], [0, 0]], np.float32), items, np.array([1]))
    assert scores.tolist() == [[1, CLOSED, -2], [CLOSED] * 3]


def test_scores_within_a_tie_of_the_best_of_them_are_ordered_by_index() -> None:
    """The best is 2: ties lie within 0.00002 of the highest of them, so that a chain of near ones has an end."""
    scores = np.array([[1.0, 2.0 - 3.1e-5, 2.0 - 1.6e-5, 2.0, 1.0 + 1.9e-5, 0.5]], np.float32)
    items, values = top_k(scores, 6)
    assert items[0].tolist() == [2, 3, 1, 0, 4, 5]
    np.testing.assert_array_equal(values[0], scores[0, [3, 3, 1, 4, 4, 5]])
    for k in range(1, 6):
        assert top_k(scores, k)[0][0].tolist() == items[0, :k].tolist()


def test_rounding_changes_no_order_of_what_is_equal() -> None:
    """Equal scores, each off by a rounding error, in the order of their indexes among 50,000 others."""
    rng = np.random.default_rng(5)
    scores = rng.normal(size=(4, 50_000)).astype(np.float32)
    scores[:, 100:140] = 6
    expected, _ = top_k(scores, 20)
    assert expected[0].tolist() == list(range(100, 120))
    off = scores * (1 + rng.uniform(-2e-7, 2e-7, size=scores.shape).astype(np.float32))
    np.testing.assert_array_equal(top_k(off, 20)[0], expected)
