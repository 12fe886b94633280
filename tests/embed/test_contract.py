"""What every method of step 1 must do, on a matrix whose answer is obvious: four blocks of taste."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from firstday.config import EmbeddingConfig
from firstday.embed.embeddings import Embeddings
from firstday.embed.methods import WarmLogs, fit_embeddings, take_precomputed
from firstday.ranking import unit_rows
from firstday.sparse import SparseRows
from tests.synthetic import SEED

Method = Literal["als", "svd", "precomputed"]

N_BLOCKS = 4
USERS_PER_BLOCK = 30
ITEMS_PER_BLOCK = 12
D = 4
BLOCK_OF_USER = np.repeat(np.arange(N_BLOCKS), USERS_PER_BLOCK)
BLOCK_OF_ITEM = np.concatenate([[-1], np.repeat(np.arange(N_BLOCKS), ITEMS_PER_BLOCK), [-1, -1]])
"""Items that nobody has, block -1, come first and last."""
N_USERS = len(BLOCK_OF_USER)
N_ITEMS = len(BLOCK_OF_ITEM)


def warm_logs(method: Method) -> WarmLogs:
    """Give each user 7 to 9 of the 12 items of their block, with one to three interactions each."""
    rng = np.random.default_rng(11)
    lists = [
        rng.choice(np.flatnonzero(block == BLOCK_OF_ITEM), rng.integers(7, 10), replace=False).tolist()
        for block in BLOCK_OF_USER
    ]
    uses = SparseRows.from_lists(lists, N_ITEMS)
    affinity = SparseRows(uses.starts, uses.columns, rng.integers(1, 4, uses.n_entries).astype(np.float32), N_ITEMS)
    brought = None
    if method == "precomputed":
        corners = np.eye(N_BLOCKS + 1, D)[BLOCK_OF_ITEM]
        items = (corners + rng.normal(0, 0.05, corners.shape)).astype(np.float32)
        brought = take_precomputed(affinity.mean_vectors(items), items)
    return WarmLogs(affinity, uses, brought)


def fit(method: Method, seed: int = SEED) -> Embeddings:
    config = EmbeddingConfig(method=method, dimensions=D)
    return fit_embeddings(warm_logs(method), config, seed=seed, threads=1)


@pytest.fixture(scope="module", params=("als", "svd", "precomputed"))
def method(request: pytest.FixtureRequest) -> Method:
    chosen: Method = request.param
    return chosen


@pytest.fixture(scope="module")
def embeddings(method: Method) -> Embeddings:
    return fit(method)


def test_nearest_items_of_an_item_are_of_its_block(embeddings: Embeddings) -> None:
    real = np.flatnonzero(BLOCK_OF_ITEM >= 0)
    vectors = unit_rows(embeddings.item_vectors)
    cosine = vectors[real] @ vectors.T
    cosine[np.arange(len(real)), real] = -np.inf
    nearest = np.argsort(-cosine, axis=1)[:, : ITEMS_PER_BLOCK - 1]
    assert (BLOCK_OF_ITEM[nearest] == BLOCK_OF_ITEM[real, None]).all()


def test_a_users_best_unseen_items_are_of_their_block(embeddings: Embeddings, method: Method) -> None:
    seen = warm_logs(method).affinity
    scores = embeddings.user_vectors @ embeddings.scoring_vectors.T
    scores[seen.row_of_entry(), seen.columns] = -np.inf
    best = np.argsort(-scores, axis=1)[:, :3]  # 3 to 5 items of the block are unseen
    assert (BLOCK_OF_ITEM[best] == BLOCK_OF_USER[:, None]).all()


def test_folding_in_a_whole_row_finds_the_users_own_vector(embeddings: Embeddings, method: Method) -> None:
    affinity = warm_logs(method).affinity
    folded = embeddings.fold_in.solve(affinity)
    assert folded.dtype == np.float32
    assert folded.shape == (N_USERS, D)
    cosine = (unit_rows(folded) * unit_rows(embeddings.user_vectors)).sum(axis=1)
    assert cosine.min() > 0.95


def test_folding_in_a_few_items_finds_the_block(embeddings: Embeddings) -> None:
    few = SparseRows.from_lists([[1, 2], [14], [25, 26, 27], [40]], N_ITEMS)
    scores = embeddings.fold_in.solve(few) @ embeddings.scoring_vectors.T
    best = np.argsort(-scores, axis=1)[:, :6]
    assert (BLOCK_OF_ITEM[best] == np.arange(4)[:, None]).all()


def test_a_row_without_items_folds_to_zeros(embeddings: Embeddings) -> None:
    folded = embeddings.fold_in.solve(SparseRows.from_lists([[], [3], []], N_ITEMS))
    np.testing.assert_array_equal(folded[[0, 2]], 0)
    assert np.abs(folded[1]).max() > 0
    assert embeddings.fold_in.solve(SparseRows.empty(0, N_ITEMS)).shape == (0, D)


def test_the_same_seed_gives_the_same_bytes(embeddings: Embeddings, method: Method) -> None:
    again = fit(method)
    assert again.user_vectors.tobytes() == embeddings.user_vectors.tobytes()
    assert again.item_vectors.tobytes() == embeddings.item_vectors.tobytes()


def test_items_that_nobody_has_are_zeros_but_where_vectors_were_brought(embeddings: Embeddings, method: Method) -> None:
    assert embeddings.item_vectors[BLOCK_OF_ITEM < 0].any() == (method == "precomputed")
    assert np.abs(embeddings.item_vectors[BLOCK_OF_ITEM >= 0]).max(axis=1).min() > 0


def test_the_similarity_of_each_method(embeddings: Embeddings, method: Method) -> None:
    assert embeddings.similarity == ("cosine" if method == "svd" else "dot")


def test_a_configured_similarity_wins() -> None:
    config = EmbeddingConfig(dimensions=D, similarity="cosine")
    embeddings = fit_embeddings(warm_logs("als"), config, seed=0, threads=1)
    assert embeddings.similarity == "cosine"
    lengths = np.linalg.norm(embeddings.scoring_vectors[BLOCK_OF_ITEM >= 0], axis=1)
    np.testing.assert_allclose(lengths, 1, rtol=1e-5)
