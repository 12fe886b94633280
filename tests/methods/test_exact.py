"""Each baseline against an independent, straightforward computation on a small matrix."""

from __future__ import annotations

import warnings
from dataclasses import replace
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
from firstday.methods import ease as ease_module
from firstday.methods import item_scores
from firstday.methods.ease import REGULARIZATION, Ease, fit_ease, fit_links
from firstday.progress import no_progress
from firstday.recommend.spec import UseData
from firstday.sparse import SparseRows
from tests.obvious import make_data, no_opinion

N_WARM = 40
N_ITEMS = 13
UNUSED = 12


def rows_of(matrix: np.ndarray) -> SparseRows:
    row, column = np.nonzero(matrix)
    return SparseRows.from_pairs(row, column, matrix[row, column], *matrix.shape)


def draw(seed: int, n: int) -> np.ndarray:
    matrix = (np.random.default_rng(seed).random((n, N_ITEMS)) < np.linspace(0.6, 0.1, N_ITEMS)).astype(np.float32)
    matrix[:, UNUSED] = 0
    return matrix


def ease_of(data: UseData, **options: float) -> Ease:
    return fit_ease(data.uses, item_scores.most_used_items(data.uses), **options)


@pytest.fixture(scope="module")
def warm() -> np.ndarray:
    return draw(1, N_WARM)


@pytest.fixture(scope="module")
def asked() -> np.ndarray:
    """Users who ask: the first likes nothing, the second only an item that no warm user uses."""
    matrix = draw(2, 9) * (np.random.default_rng(3).random((9, N_ITEMS)) < 0.5)
    matrix[:2] = 0
    matrix[1, UNUSED] = 1
    return matrix.astype(np.float32)


@pytest.fixture(scope="module")
def training(warm: np.ndarray) -> UseData:
    affinity = warm * np.random.default_rng(4).choice([0.5, 1, 2], size=warm.shape)
    return UseData(rows_of(warm), rows_of(affinity), seed=3, threads=1)


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
    np.testing.assert_allclose(fitted.score(rows_of(asked)), np.where(expected > 0, expected, -np.inf), rtol=1e-5)


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
    found = fitted.score(rows_of(asked))
    np.testing.assert_allclose(found, np.where(expected > 0, expected, -np.inf), rtol=1e-4)
    assert np.isinf(found[:2]).all()


@pytest.mark.parametrize(("regularization", "dropout"), [(1.0, 0.0), (50.0, 0.0), (1.0, 0.5), (5.0, 0.9)])
def test_ease(training: UseData, warm: np.ndarray, asked: np.ndarray, regularization: float, dropout: float) -> None:
    """Each column is the ridge regression of an item on all others, solved one by one.

    An input hidden with chance p, and scaled by 1 / (1 - p) where it is seen, has the mean x and the mean square
    x^2 / (1 - p): the sum of p / (1 - p) x^2 is what the diagonal has in addition.
    """
    weights = np.zeros((N_ITEMS, N_ITEMS))
    for target in range(UNUSED):
        others = [item for item in range(UNUSED) if item != target]
        x = warm[:, others].astype(np.float64)
        ridge = x.T @ x + regularization * np.eye(len(others)) + dropout / (1 - dropout) * np.diag((x**2).sum(axis=0))
        weights[others, target] = np.linalg.solve(ridge, x.T @ warm[:, target])
    expected = asked @ weights
    expected[:, UNUSED] = -np.inf
    expected[:2] = -np.inf
    fitted = ease_of(training, regularization=regularization, dropout=dropout)
    np.testing.assert_allclose(fitted.score(rows_of(asked)), expected, atol=1e-5)


def test_ease_of_a_large_catalogue_ranks_the_most_used_items(
    training: UseData, warm: np.ndarray, asked: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(item_scores, "MAX_MODEL_ITEMS", 5)
    fitted = ease_of(training, regularization=1.0, dropout=0.0)
    kept = sorted(sorted(range(N_ITEMS), key=lambda item: (-warm[:, item].sum(), item))[:5])
    assert fitted.items.tolist() == kept
    ranked = np.isfinite(fitted.score(rows_of(asked)))
    np.testing.assert_array_equal(ranked.any(axis=1), asked[:, kept].any(axis=1))
    assert np.flatnonzero(ranked.any(axis=0)).tolist() == kept


USES = np.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 1], [1, 0, 1, 0, 0], [1, 0, 0, 0, 0]], dtype=np.float32)


@pytest.mark.parametrize("frequency", [0.0, 0.5, 1.0])
def test_als_keeps_vectors_of_what_occurs_often_smaller(frequency: float) -> None:
    """Four users, five items: each vector solved from the normal equations, from the same vectors to start with."""
    confidence = 50.0
    regularization = 0.7
    d = 2
    affinity = USES * np.array([1, 2, 1, 0.5, 1], np.float32)
    data = UseData(rows_of(USES), rows_of(affinity), seed=3, threads=1)
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
    np.testing.assert_allclose(fitted.score(rows_of(newcomers)), expected, rtol=5e-3, atol=5e-4)


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
    found = model.score(rows_of(asked))
    assert np.isinf(found[:2]).all()
    assert np.isinf(found[:, UNUSED]).all()
    likes = asked[:, :UNUSED].any(axis=1)
    np.testing.assert_allclose(found[likes, :UNUSED], score(asked)[likes], atol=1e-5)


def fit_links_of(uses: np.ndarray, day_ones: list[np.ndarray]) -> SparseRows:
    """Fit `edlae` on warm users' items and day ones; it reads nothing else of the data."""
    data = replace(make_data()[0], uses=rows_of(uses), day_one_uses=[rows_of(day) for day in day_ones])
    return fit_links(data, no_opinion, no_progress).weights


def test_links_are_those_of_edlae_with_what_day_ones_hide(
    warm: np.ndarray, training: UseData, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = warm * (np.arange(N_ITEMS) % 3 == 0)
    hidden = 1 - first.sum() / warm.sum()
    expected = ease_of(training, regularization=REGULARIZATION, dropout=hidden)
    found = fit_links_of(warm, [first, first])
    dense = found.dense()
    np.testing.assert_allclose(dense[np.ix_(expected.items, expected.items)], expected.weights, rtol=1e-4, atol=1e-7)
    assert not dense[UNUSED].any()
    monkeypatch.setattr(ease_module, "MAX_LINKS", 3)
    kept = fit_links_of(warm, [first])
    assert kept.lengths()[expected.items].tolist() == [3] * len(expected.items)
    for item in expected.items:
        others = np.delete(np.abs(dense[item]), kept.row(item))
        assert np.abs(kept.row_weights(item)).min() >= others.max() - 1e-7
