"""What is particular to one method of step 1."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from firstday.config import EmbeddingConfig
from firstday.embed.als import fit_als
from firstday.embed.embeddings import FoldIn
from firstday.embed.methods import WarmLogs, fit_embeddings, take_precomputed
from firstday.embed.svd import fit_svd
from firstday.errors import ConfigError
from firstday.sparse import SparseRows
from tests.matrices import to_rows


def test_users_of_als_solve_the_same_equations_as_the_fold_in() -> None:
    """After the last sweep items have moved a little; with many sweeps they stand still."""
    rng = np.random.default_rng(0)
    affinity = to_rows(np.kron(np.eye(3), np.ones((15, 8))) * (rng.random((45, 24)) < 0.8))
    embeddings = fit_als(affinity, EmbeddingConfig(dimensions=3, als_iterations=200), seed=0, threads=1)
    np.testing.assert_allclose(embeddings.fold_in.solve(affinity), embeddings.user_vectors, atol=2e-3)


def test_als_takes_more_dimensions_than_items_and_no_regularization() -> None:
    affinity = SparseRows.from_lists([[0, 1], [1, 2], [0, 2]], 3)
    config = EmbeddingConfig(dimensions=10, als_regularization=0.0)
    embeddings = fit_als(affinity, config, seed=0, threads=1)
    assert np.isfinite(embeddings.user_vectors).all()
    assert np.isfinite(embeddings.fold_in.solve(affinity)).all()


def test_the_mean_fold_in_weighs_by_affinity() -> None:
    items = np.array([[1, 0], [0, 1], [5, 5]], dtype=np.float32)
    affinity = to_rows([[3, 1, 0], [0, 0, 0], [0, 0, 9]])
    np.testing.assert_allclose(FoldIn(items, "mean").solve(affinity), [[0.75, 0.25], [0.0, 0.0], [5.0, 5.0]])


def test_svd_is_the_factorisation_of_the_positive_pmi() -> None:
    """Brute force on a few sets: with all dimensions but one, vectors' products are the PMI matrix's own."""
    sets = [[0, 1, 2], [0, 1], [2, 3, 4], [3, 4], [0, 4], [1, 2]]
    together = SparseRows.from_lists(sets, 6)
    smoothing = 0.75
    counts = np.zeros((6, 6))
    for items in sets:
        for pair in permutations(items, 2):
            counts[pair] += 1
    share = counts.sum(axis=1) / counts.sum()
    context = share**smoothing / (share**smoothing).sum()
    expected = np.outer(share, context)
    with np.errstate(divide="ignore", invalid="ignore"):
        pmi = np.log(counts / counts.sum() / np.sqrt(expected * expected.T))
    pmi = np.maximum(np.nan_to_num(pmi, nan=0, neginf=0), 0)
    config = EmbeddingConfig(method="svd", dimensions=5, svd_smoothing=smoothing)
    vectors = fit_svd(together, together, config, seed=0).item_vectors
    np.testing.assert_array_equal(vectors[5], 0)
    left, singular, _ = np.linalg.svd(pmi)
    np.testing.assert_allclose(vectors @ vectors.T, left * singular @ left.T, atol=1e-4)


def test_svd_counts_collections_beside_users() -> None:
    users = SparseRows.from_lists([[0, 1, 2], [3, 4, 5], [6, 7, 8]], 9)
    playlists = SparseRows.from_lists([[0, 1, 2], [3, 4, 5], [6, 7, 8], [1, 4], [1, 4]], 9)
    config = EmbeddingConfig(method="svd", dimensions=3)
    apart = fit_embeddings(WarmLogs(users, users), config, seed=0).item_vectors
    joined = fit_embeddings(WarmLogs(users, playlists), config, seed=0).item_vectors
    assert abs(apart[1] @ apart[4]) < 1e-5
    assert joined[1] @ joined[4] > 0.1
    assert abs(joined[1] @ joined[7]) < 1e-5


def test_svd_samples_long_sets() -> None:
    sets = SparseRows.from_lists([list(range(30)), [0, 1, 2], [3, 4, 5], list(range(10, 40))], 40)
    config = EmbeddingConfig(method="svd", dimensions=4, svd_items_per_user=5)
    vectors = fit_svd(sets, sets, config, seed=7).item_vectors
    assert np.count_nonzero(np.abs(vectors).max(axis=1)) <= 5 + 3 + 3 + 5


def test_svd_refuses_as_many_dimensions_as_items() -> None:
    rows = SparseRows.from_lists([[0, 1], [1, 2]], 3)
    with pytest.raises(ConfigError, match=r"^embedding\.dimensions: is 3, with 3 items; set it to less than that\.$"):
        fit_svd(rows, rows, EmbeddingConfig(method="svd", dimensions=3), seed=0)


def test_brought_vectors_are_taken_as_they_are_whatever_the_method() -> None:
    rows = SparseRows.from_lists([[0], [1]], 2)
    brought = take_precomputed(np.array([[1, 2], [3, 4]], np.float32), np.array([[5, 6], [7, 8]], np.float32))
    embeddings = fit_embeddings(WarmLogs(rows, rows, brought), EmbeddingConfig(), seed=0)
    np.testing.assert_array_equal(embeddings.user_vectors, [[1, 2], [3, 4]])
    np.testing.assert_array_equal(embeddings.item_vectors, [[5, 6], [7, 8]])
    np.testing.assert_array_equal(embeddings.fold_in.solve(SparseRows.from_lists([[0, 1]], 2)), [[6, 7]])


def test_brought_without_vectors_is_refused() -> None:
    rows = SparseRows.from_lists([[0], [1]], 2)
    with pytest.raises(
        ConfigError, match=r"^embedding\.method: is 'precomputed', but the tables have no `embeddings` folder"
    ):
        fit_embeddings(WarmLogs(rows, rows), EmbeddingConfig(method="precomputed"), seed=0)
