from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstday.sparse import SparseRows, stack_rows, union_rows


@st.composite
def triples(draw: st.DrawFn) -> tuple[SparseRows, np.ndarray]:
    """Return a matrix as SparseRows and, computed apart from it, as a dense array with NaN where nothing is stored."""
    n_rows = draw(st.integers(0, 8))
    n_columns = draw(st.integers(1, 6))
    size = draw(st.integers(0, 30)) if n_rows else 0
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    rows = rng.integers(n_rows or 1, size=size)
    columns = rng.integers(n_columns, size=size)
    weights = rng.integers(6, size=size).astype(np.float32)
    dense = np.full((n_rows, n_columns), np.nan, dtype=np.float32)
    for row, column, weight in zip(rows, columns, weights, strict=True):
        dense[row, column] = np.nansum([dense[row, column], weight])
    return SparseRows.from_pairs(rows, columns, weights, n_rows, n_columns), dense


def to_dense(matrix: SparseRows) -> np.ndarray:
    """Unroll row by row, checking the invariants on the way."""
    dense = np.full((matrix.n_rows, matrix.n_columns), np.nan, dtype=np.float32)
    for row in range(matrix.n_rows):
        columns = matrix.row(row)
        assert (np.diff(columns) > 0).all()
        dense[row, columns] = matrix.row_weights(row)
    return dense


@given(triples())
def test_rows_hold_what_was_put_in(case: tuple[SparseRows, np.ndarray]) -> None:
    matrix, dense = case
    np.testing.assert_array_equal(to_dense(matrix), dense)
    assert [matrix.starts.dtype, matrix.columns.dtype, matrix.weights.dtype] == ["i8", "i4", "f4"]
    stored = ~np.isnan(dense)
    assert matrix.n_entries == stored.sum()
    np.testing.assert_array_equal(matrix.lengths(), stored.sum(axis=1))
    np.testing.assert_array_equal(matrix.row_of_entry(), np.nonzero(stored)[0])
    np.testing.assert_array_equal(matrix.column_sums(), np.nansum(dense, axis=0))
    np.testing.assert_array_equal(to_dense(matrix.ones()), np.where(stored, 1, np.nan))


@given(triples(), st.integers(0, 999))
def test_parts_are_those_of_the_dense_matrix(case: tuple[SparseRows, np.ndarray], seed: int) -> None:
    (matrix, dense), rng = case, np.random.default_rng(seed)
    columns = np.flatnonzero(rng.random(matrix.n_columns) < 0.5)
    np.testing.assert_array_equal(to_dense(matrix.keep_columns(columns)), dense[:, columns])
    rows = rng.integers(matrix.n_rows or 1, size=12 if matrix.n_rows else 0)
    np.testing.assert_array_equal(to_dense(matrix.take(rows)), dense[rows])
    mask = rng.random(matrix.n_entries) < 0.5
    expected = dense.copy()
    expected[tuple(place[~mask] for place in np.nonzero(~np.isnan(dense)))] = np.nan
    np.testing.assert_array_equal(to_dense(matrix.keep(mask)), expected)


@given(triples(), st.booleans(), st.sampled_from([1, 3, 9, 10**6]))
def test_mean_vectors_are_the_dense_means(case: tuple[SparseRows, np.ndarray], weighted: bool, at_once: int) -> None:
    matrix, dense = case
    vectors = np.arange(matrix.n_columns * 3, dtype=np.float32).reshape(-1, 3) - 5
    weights = np.nan_to_num(dense) if weighted else (~np.isnan(dense)).astype(np.float32)
    total = weights.sum(axis=1, keepdims=True)
    expected = np.divide(weights @ vectors, total, out=np.zeros((matrix.n_rows, 3), np.float32), where=total > 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("firstday.sparse.MAX_GATHERED_NUMBERS", at_once)  # so that rows span and share chunks
        means = matrix.mean_vectors(vectors, weighted=weighted)
    assert means.dtype == np.float32
    np.testing.assert_allclose(means, expected, rtol=1e-5, atol=1e-6)


def test_a_matrix_may_have_no_rows_and_no_columns() -> None:
    assert SparseRows.from_lists([], 0).n_rows == 0
    assert SparseRows.from_lists([[], []], 0).n_rows == 2


@given(triples())
def test_a_union_adds_weights(case: tuple[SparseRows, np.ndarray]) -> None:
    matrix, dense = case
    other = matrix.keep(np.arange(matrix.n_entries) % 2 == 0)
    half = to_dense(other)
    expected = np.where(np.isnan(half), dense, 2 * dense)
    np.testing.assert_array_equal(to_dense(union_rows([matrix, other])), expected)
    assert union_rows([matrix]) is matrix


@given(triples(), st.integers(0, 2**32 - 1))
def test_links_and_turning_are_matrix_products(case: tuple[SparseRows, np.ndarray], seed: int) -> None:
    matrix, dense = case
    rng = np.random.default_rng(seed)
    links = np.where(rng.random((matrix.n_columns, 4)) < 0.5, rng.normal(size=(matrix.n_columns, 4)), 0)
    row, column = np.nonzero(links)
    linked = SparseRows.from_pairs(row, column, links[row, column], *links.shape)
    product = np.nan_to_num(dense) @ links
    np.testing.assert_allclose(np.nan_to_num(to_dense(matrix.through(linked))), product, atol=1e-4)
    np.testing.assert_allclose(matrix.times(linked), product, atol=1e-4)
    np.testing.assert_array_equal(to_dense(matrix.transpose()), dense.T)


def test_what_a_matrix_has_at_some_columns_of_each_row() -> None:
    columns = np.array([[3, 0, 5], [2, -1, -1], [1, 4, 0]], np.int32)
    rows = SparseRows.from_lists([[0, 1, 3], [5], [0, 0]], 6)
    assert rows.has(columns).tolist() == [[True, True, False], [False] * 3, [False, False, True]]
    assert rows.at(np.maximum(columns, 0)).tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 2]]
    assert not SparseRows.empty(3, 6).has(columns).any()


def test_rows_under_each_other() -> None:
    above = SparseRows.from_lists([[1], []], 3)
    below = SparseRows.from_lists([[0, 2]], 3)
    stacked = stack_rows([above, below])
    assert [stacked.row(row).tolist() for row in range(3)] == [[1], [], [0, 2]]
