"""Each baseline against an independent, straightforward computation on a small matrix."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from implicit.cpu.als import AlternatingLeastSquares
from scipy import sparse

from firstday.cold.cold_model import Epoch
from firstday.lab.baselines.als_fold_in import N_ITERATIONS, Penalty, divide_rows, prepare_als_fold_in
from firstday.lab.baselines.item_item import prepare_item_item
from firstday.lab.baselines.mult_dae import prepare_mult_dae
from firstday.lab.baselines.user_user import prepare_user_user
from firstday.recommend.spec import UseData
from tests.matrices import N_ITEMS, UNUSED, to_rows


@pytest.mark.parametrize(("shrinkage", "asymmetry", "neighbors"), [(0.0, 0.5, 100), (3.0, 0.5, 4), (10.0, 0.3, 2)])
def test_item_item(
    training: UseData, warm: np.ndarray, asked: np.ndarray, shrinkage: float, asymmetry: float, neighbors: int
) -> None:
    near = np.zeros((N_ITEMS, N_ITEMS))
    for source in range(N_ITEMS):
        found = []
        for target in range(N_ITEMS):
            together = (warm[:, source] * warm[:, target]).sum()
            if source != target and together:
                norm = warm[:, source].sum() ** (1 - asymmetry) * warm[:, target].sum() ** asymmetry
                found.append((-together / (norm + shrinkage), target))
        for value, target in sorted(found)[:neighbors]:
            near[source, target] = -value
    expected = asked @ near
    fitted = prepare_item_item(training)(shrinkage=shrinkage, asymmetry=asymmetry, neighbors=neighbors)
    np.testing.assert_allclose(fitted.score(to_rows(asked)), np.where(expected > 0, expected, -np.inf), rtol=1e-5)


@pytest.mark.parametrize(("rarity", "neighbors", "shrinkage", "power"), [(0.0, 40, 0.0, 1.0), (0.5, 7, 3.0, 2.0)])
def test_user_user(
    training: UseData,
    warm: np.ndarray,
    asked: np.ndarray,
    rarity: float,
    neighbors: int,
    shrinkage: float,
    power: float,
) -> None:
    popularity = warm.sum(axis=0)
    weights = np.maximum(popularity, 1) ** -rarity
    weights /= (weights * popularity).sum() / popularity.sum()
    expected = np.zeros(asked.shape)
    for user, mine in enumerate(asked):
        nearness = []
        for neighbor, theirs in enumerate(warm):
            norm = np.sqrt((weights * mine).sum() * (weights * theirs).sum())
            common = (weights * mine * theirs).sum()
            nearness.append((-common / (norm + shrinkage) if common else 0.0, neighbor))
        for value, neighbor in sorted(nearness)[:neighbors]:
            expected[user] += abs(value) ** power * warm[neighbor]
    fitted = prepare_user_user(training)(rarity=rarity, neighbors=neighbors, shrinkage=shrinkage, power=power)
    found = fitted.score(to_rows(asked))
    np.testing.assert_allclose(found, np.where(expected > 0, expected, -np.inf), rtol=1e-4)
    assert np.isinf(found[:2]).all()


USES = np.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 1], [1, 0, 1, 0, 0], [1, 0, 0, 0, 0]], dtype=np.float32)


@pytest.mark.parametrize("frequency", [0.0, 0.5, 1.0])
def test_als_keeps_vectors_of_what_occurs_often_smaller(frequency: float) -> None:
    """Four users, five items: each vector solved from the normal equations, from the same vectors to start with."""
    confidence = 50.0
    regularization = 0.7
    d = 2
    affinity = USES * np.array([1, 2, 1, 0.5, 1], np.float32)
    data = UseData(to_rows(USES), to_rows(affinity), seed=3, threads=1)
    fitted = prepare_als_fold_in(data)(
        dimensions=d, confidence=confidence, regularization=regularization, frequency=frequency
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of BLAS threads
        model = AlternatingLeastSquares(factors=d, iterations=0, random_state=3)
        model.fit(sparse.csr_matrix(USES), show_progress=False)
    users = model.user_factors.astype(np.float64)
    items = model.item_factors.astype(np.float64)

    # A user has 11 / 4 items on average, an item 11 / 5 users; absent ones count 5 / 50 and 4 / 50.
    of_users = (2.75 + 0.1, 0.1)
    of_items = (2.2 + 0.08, 0.08)

    def solve(uses: np.ndarray, others: np.ndarray, mean: float, floor: float) -> np.ndarray:
        found = []
        for row in uses:
            used = row > 0
            penalty = regularization * ((used.sum() + floor) / mean) ** frequency
            weights = np.where(used, confidence * row, 1.0)  # of squared errors: used items, and all others
            left = (others.T * weights) @ others + penalty * np.eye(d)
            found.append(np.linalg.solve(left, others.T @ (weights * used)))
        return np.array(found)

    for _ in range(N_ITERATIONS):
        users = solve(affinity, items, *of_users)
        items = solve(affinity.T, users, *of_items)
    # Two dimensions: three conjugate gradient steps of implicit are the solution.
    gram = fitted.item_vectors @ fitted.item_vectors.T  # of turned vectors: their products stay
    np.testing.assert_allclose(gram, items @ items.T, rtol=4e-3, atol=4e-4)
    newcomers = np.array([[0, 1, 0, 0, 0], [0, 1, 0, 1, 1]], dtype=np.float32)
    expected = solve(newcomers, items, *of_users) @ items.T
    np.testing.assert_allclose(fitted.score(to_rows(newcomers)), expected, rtol=5e-3, atol=5e-4)


def test_penalties_that_are_nearly_equal_are_one_in_training() -> None:
    """Rows of 10, 11, 12, 13 and 20 entries, nothing counted for absent ones: 10 to 12 are within a fifth."""
    counts = np.array([20, 13, 10, 12, 11])
    rows = np.arange(20) < counts[:, None]
    parts = divide_rows(sparse.csr_matrix(rows.astype(np.float32)), Penalty(1.0, 1.0, 0.0, 1.0))
    assert [rows.tolist() for rows, _, _ in parts] == [[2, 3, 4], [1], [0]]
    assert [weight for _, _, weight in parts] == pytest.approx([120**0.5, 13, 20])
    assert [entries.nnz for _, entries, _ in parts] == [33, 13, 20]


@pytest.mark.parametrize("hidden", [0.0, 1.0])
def test_mult_dae_is_trained_by_the_scores_that_it_gives(
    training: UseData, warm: np.ndarray, asked: np.ndarray, hidden: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loss of untrained weights: of all items of a user, given all of them or, with everything hidden, none."""
    losses = []

    def note_loss(_network: Any, n_rows: int, _n_users: int, batch_loss: Any, *_: Any, **__: Any) -> tuple[Epoch, ...]:
        losses.append(batch_loss(np.arange(n_rows)).item())
        return ()

    monkeypatch.setattr("firstday.cold.training_loop.run_epochs", note_loss)
    model = prepare_mult_dae(training)(steps=1, width=6, dropout=hidden, weight_decay=0.0)
    assert model.items.tolist() == list(range(UNUSED))

    def score(uses: np.ndarray) -> np.ndarray:
        given = uses[:, :UNUSED]
        read = given / np.maximum(np.linalg.norm(given, axis=1, keepdims=True), 1e-9) @ model.reading
        logits: np.ndarray = np.tanh(read + model.reading_bias) @ model.writing.T + model.writing_bias
        return logits

    used = warm[warm.any(axis=1), :UNUSED]
    logits = score(warm[warm.any(axis=1)] * (1 - hidden))
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    assert losses == pytest.approx([-((logs * used).sum(axis=1) / used.sum(axis=1)).mean()], rel=1e-5)
    found = model.score(to_rows(asked))
    assert np.isinf(found[:2]).all()
    assert np.isinf(found[:, UNUSED]).all()
    likes = asked[:, :UNUSED].any(axis=1)
    np.testing.assert_allclose(found[likes, :UNUSED], score(asked)[likes], atol=1e-5)
