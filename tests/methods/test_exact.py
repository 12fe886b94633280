"""EASE and its links against an independent, straightforward computation on a small matrix."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from firstday.methods import ease as ease_module
from firstday.methods import item_scores
from firstday.methods.ease import REGULARIZATION, Ease, fit_ease, fit_links
from firstday.progress import no_progress
from firstday.recommend.spec import UseData
from firstday.sparse import SparseRows
from tests.matrices import N_ITEMS, UNUSED, to_rows
from tests.obvious import make_data, no_opinion


def ease_of(data: UseData, **options: float) -> Ease:
    return fit_ease(data.uses, item_scores.most_used_items(data.uses), **options)


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
    np.testing.assert_allclose(fitted.score(to_rows(asked)), expected, atol=1e-5)


def test_ease_of_a_large_catalogue_ranks_the_most_used_items(
    training: UseData, warm: np.ndarray, asked: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(item_scores, "MAX_MODEL_ITEMS", 5)
    fitted = ease_of(training, regularization=1.0, dropout=0.0)
    kept = sorted(sorted(range(N_ITEMS), key=lambda item: (-warm[:, item].sum(), item))[:5])
    assert fitted.items.tolist() == kept
    ranked = np.isfinite(fitted.score(to_rows(asked)))
    np.testing.assert_array_equal(ranked.any(axis=1), asked[:, kept].any(axis=1))
    assert np.flatnonzero(ranked.any(axis=0)).tolist() == kept


def fit_links_of(uses: np.ndarray, day_ones: list[np.ndarray]) -> SparseRows:
    """Fit `edlae` on warm users' items and day ones; it reads nothing else of the data."""
    data = replace(make_data()[0], uses=to_rows(uses), day_one_uses=[to_rows(day) for day in day_ones])
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
