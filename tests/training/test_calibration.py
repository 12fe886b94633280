"""Probabilities that are fitted to lists are those of the lists."""

from __future__ import annotations

import numpy as np
import pytest

from firstday.features.signals import Signals
from firstday.methods.calibrate import (
    MIN_CALIBRATION_USERS,
    MIN_NEWEST,
    calibrate,
    fit_calibration,
    take_newest,
)
from firstday.model.calibration import log_known
from firstday.recommend.fold import Fold
from firstday.recommend.query import Query
from firstday.recommend.recommender import Recommender
from firstday.recommend.registry import find_strategy
from firstday.recommend.spec import PROBABILITY
from firstday.recommend.support import searched_names
from firstday.sparse import SparseRows
from tests.tiny import N_ITEMS


def inputs_of(scores: np.ndarray, levels: np.ndarray, n_known: np.ndarray) -> np.ndarray:
    """Return the inputs of the fit for lists, shape (n_users, k)."""
    of_users = (np.repeat(column, scores.shape[1]) for column in (levels, log_known(n_known)))
    return np.stack([scores.ravel(), *of_users], axis=1)


def test_fitted_probabilities_are_near_to_those_that_hits_were_drawn_by() -> None:
    """40,000 items with known odds: the mean of any half of them is right to a hundredth but once in 10^5 draws."""
    rng = np.random.default_rng(0)
    levels = rng.normal(size=2_000).astype(np.float32)
    n_known = rng.integers(0, 30, 2_000)
    scores = (levels[:, None] - rng.exponential(2, size=(2_000, 20))).astype(np.float32)
    log_odds = 0.5 + 0.8 * scores - 0.6 * levels[:, None] + 0.2 * np.log1p(np.minimum(n_known, 20))[:, None]
    likely = 1 / (1 + np.exp(-log_odds))
    inputs = inputs_of(scores, levels, n_known)
    fitted = fit_calibration(inputs, (rng.random(likely.shape) < likely).ravel(), len(scores))
    assert fitted is not None
    error = fitted.probabilities(scores, levels, n_known) - likely
    assert np.abs(error).mean() < 0.02
    assert np.abs([error[:1_000].mean(), error[1_000:].mean()]).max() < 0.02


def test_lists_that_hit_always_or_never_or_get_better_along_their_positions() -> None:
    """Nothing is learned of them."""
    scores = -np.arange(150, dtype=np.float32).reshape(30, 5)
    inputs = inputs_of(scores, np.zeros(30), np.ones(30, np.int64))
    is_used = np.arange(150) % 5 == 0
    is_used[100:] = False
    fitted, drifted = fit_calibration(inputs, is_used, 30), fit_calibration(inputs, is_used, 30, -1.0)
    assert fitted is not None
    assert drifted is not None
    assert drifted.intercept == pytest.approx(fitted.intercept - 1)
    for nothing in ((inputs, is_used & False), (inputs, is_used | True), (-inputs, is_used)):
        assert fit_calibration(*nothing, 30) is None


def test_every_strategy_that_answers_enough_users_is_calibrated(tiny: Recommender) -> None:
    users = np.arange(MIN_CALIBRATION_USERS)
    batch, _ = tiny.model.catalogue.read([Signals(interactions=[("stream", "item", f"i{n % 5 + 1}")]) for n in users])
    truth = SparseRows.from_lists([[0, 1] if n % 2 else [3, 4] for n in users.tolist()], N_ITEMS)
    fold = Fold(Query(tiny.model, batch, 4), truth)
    assert calibrate([fold.take(users[1:])], None) == {}
    found = calibrate([fold.take(rows) for rows in np.array_split(users, 2)], None)
    by_vectors = {"personal", "day_one", "fold_in", "direct", "blend", "dropoutnet_personal", "melu_personal"}
    assert set(found) <= {*by_vectors, *searched_names()}
    assert {find_strategy(name).scale for name in found} == {PROBABILITY}
    assert {calibration.n_users for calibration in found.values()} == {MIN_CALIBRATION_USERS}


def test_the_newest_are_taken(tiny: Recommender) -> None:
    n_users = 3 * MIN_NEWEST + 3
    query = Query(tiny.model, tiny.model.catalogue.read([Signals()] * n_users)[0], 4)
    truth = SparseRows.empty(n_users, N_ITEMS)
    days = np.random.default_rng(0).permutation(n_users)
    folds = [Fold(query, truth, days).take(rows) for rows in np.array_split(np.arange(n_users), 2)]
    taken = [fold.day_end_us for fold in take_newest(folds)]
    assert sorted(np.concatenate(taken).tolist()) == list(range(2 * MIN_NEWEST + 2, n_users))  # type: ignore[arg-type]
