"""Users solved together have the vectors that each has alone, and that the formula gives."""

from __future__ import annotations

import numpy as np
import pytest

from firstday.embed.embeddings import FoldIn
from tests.matrices import to_rows

N_ITEMS = 60
D = 16


@pytest.mark.parametrize("n_users", [1, 7, 200])
@pytest.mark.parametrize("longest", [1, D, D + 3, N_ITEMS])
@pytest.mark.parametrize("alpha", [0.5, 15.0])
def test_least_squares_of_many_users_is_the_formula_for_each(n_users: int, longest: int, alpha: float) -> None:
    rng = np.random.default_rng(n_users + longest)
    items = rng.normal(size=(N_ITEMS, D)).astype(np.float32)
    lengths = rng.integers(0, longest + 1, n_users)
    lengths[-1] = longest
    order = rng.random((n_users, N_ITEMS)).argsort(axis=1)
    weights = np.where(order < lengths[:, None], rng.uniform(0.2, 4, order.shape), 0).astype(np.float32)
    affinity = to_rows(weights)
    fold_in = FoldIn(items, "least-squares", confidence=alpha, regularization=1.0)
    found = fold_in.solve(affinity)
    y = items.astype(np.float64)
    for user, c in enumerate(alpha * weights.astype(np.float64)):
        system = y.T @ y + np.eye(D) + y.T @ (np.where(c, c - 1, 0)[:, None] * y)
        expected = np.linalg.solve(system, y.T @ c)
        np.testing.assert_allclose(found[user], expected, rtol=2e-4, atol=2e-5)
        np.testing.assert_array_equal(found[user], fold_in.solve(affinity.take(np.array([user])))[0])
