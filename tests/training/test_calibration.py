"""Probabilities that are fitted to lists are those of the lists."""

from __future__ import annotations

import numpy as np
import pytest

from firstday.features.signals import Signals
from firstday.recommend.query import Query
from firstday.recommend.recommender import Recommender
from firstday.recommend.registry import find_strategy, searched_names
from firstday.recommend.spec import PROBABILITY
from firstday.sparse import SparseRows
from firstday.training.calibrate import MIN_CALIBRATION_USERS, calibrate, fit_calibration
from firstday.training.validation import Fold
from tests.tiny import N_ITEMS


@pytest.mark.parametrize("seed", range(3))
def test_fitted_probabilities_are_near_to_those_that_hits_were_drawn_by(seed: int) -> None:
    """40,000 positions with known odds: the mean of any half of them is right to a hundredth but once in 10^5 draws."""
    rng = np.random.default_rng(seed)
    first = rng.normal(size=(2_000, 1))
    position = np.arange(20)
    odds = np.exp(0.5 - 0.8 * np.log1p(position) + 0.6 * first)
    likely = odds / (1 + odds)
    scores = (first - position).astype(np.float32)
    fitted = fit_calibration(scores, np.ones(likely.shape, bool), rng.random(likely.shape) < likely)
    assert fitted is not None
    error = fitted.probabilities(scores) - likely
    assert np.abs(error).mean() < 0.02
    assert np.abs([error[:, :10].mean(), error[:, 10:].mean()]).max() < 0.02


def test_lists_that_hit_always_or_never_or_get_better_along_their_positions() -> None:
    """Nothing is learned of the former; the latter are not said to get better."""
    scores = np.ones((30, 5), np.float32)
    listed = np.ones((30, 5), bool)
    hits = np.zeros((30, 5), bool)
    assert fit_calibration(scores, listed, hits) is fit_calibration(scores, listed, ~hits) is None
    hits[:20, 4] = True
    fitted = fit_calibration(scores, listed, hits)
    assert fitted is not None
    assert (np.diff(fitted.curve) <= 0).all()


def test_every_strategy_that_answers_enough_users_is_calibrated(tiny: Recommender) -> None:
    users = np.arange(MIN_CALIBRATION_USERS)
    batch, _ = tiny.model.catalogue.read([Signals(interactions=[("stream", "item", f"i{n % 5 + 1}")]) for n in users])
    fold = Fold(Query(tiny.model, batch, 4), SparseRows.from_lists([[(n + 1) % 5] for n in users.tolist()], N_ITEMS))
    assert calibrate([fold.take(users[1:])]) == {}
    found = calibrate([fold.take(rows) for rows in np.array_split(users, 2)])
    by_vectors = {"personal", "day_one", "fold_in", "direct", "blend", "dropoutnet_personal", "melu_personal"}
    assert set(found) == {*by_vectors, *searched_names()}
    assert {find_strategy(name).scale for name in found} == {PROBABILITY}
    assert {calibration.n_users for calibration in found.values()} == {MIN_CALIBRATION_USERS}
