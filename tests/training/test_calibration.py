"""Probabilities that are fitted to lists are those of the lists."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from firstday.recommend.query import Query
from firstday.recommend.recommender import Recommender
from firstday.recommend.registry import baseline_names, find_strategy
from firstday.recommend.spec import PROBABILITY
from firstday.sparse import SparseRows
from firstday.training.calibrate import USERS_FOR_CALIBRATION, calibrate, fit_calibration
from firstday.training.validation import Fold
from tests.tiny import N_ITEMS


@pytest.mark.parametrize("seed", range(3))
def test_fitted_probabilities_are_near_to_those_that_hits_were_drawn_by(seed: int) -> None:
    """40,000 places with known odds: the mean of any half of them is right to a hundredth but once in 10^5 draws."""
    rng = np.random.default_rng(seed)
    first, place = rng.normal(size=(2_000, 1)), np.arange(20)
    odds = np.exp(0.5 - 0.8 * np.log1p(place) + 0.6 * first)
    likely = odds / (1 + odds)
    scores = (first - place).astype(np.float32)
    fitted = fit_calibration(scores, np.ones(likely.shape, bool), rng.random(likely.shape) < likely)
    assert fitted is not None
    found = fitted.probabilities(scores)
    assert np.abs(found - likely).mean() < 0.02
    for part in (place < 10, place >= 10):
        assert abs((found - likely)[:, part].mean()) < 0.02


@pytest.mark.parametrize("always", [False, True])
def test_of_lists_that_hit_always_or_never_nothing_is_learned(*, always: bool) -> None:
    scores = np.ones((30, 4), np.float32)
    assert fit_calibration(scores, scores > 0, np.full(scores.shape, always)) is None


def test_lists_that_get_better_along_their_places_are_not_said_to() -> None:
    hits = np.zeros((30, 5), bool)
    hits[:20, 4] = True
    fitted = fit_calibration(np.ones((30, 5), np.float32), np.ones((30, 5), bool), hits)
    assert fitted is not None
    assert (np.diff(fitted.curve) <= 0).all()


def test_every_strategy_that_answers_enough_users_is_calibrated(tiny: Recommender) -> None:
    one_user = tiny.model.catalogue.read([])[0]
    nobody = Fold(Query(tiny.model, one_user, 4).take(np.zeros(0, np.int64)), SparseRows.empty(0, N_ITEMS))
    assert calibrate([nobody]) == {}
    day = SparseRows.from_lists([[user % 5] for user in range(USERS_FOR_CALIBRATION)], N_ITEMS)
    batch = replace(
        one_user,
        n_users=USERS_FOR_CALIBRATION,
        actions={("stream", "item"): day},
        ages=None,
        groups={},
        friends=None,
        user_ids=None,
    )
    truth = SparseRows.from_lists([[(user + 1) % 5] for user in range(USERS_FOR_CALIBRATION)], N_ITEMS)
    fold = Fold(Query(tiny.model, batch, 4), truth)
    found = calibrate([fold.take(rows) for rows in np.array_split(np.arange(USERS_FOR_CALIBRATION), 2)])
    by_vectors = {"personal", "day_one", "fold_in", "direct", "blend", "dropoutnet_personal", "melu_personal"}
    assert set(found) == {*by_vectors, *baseline_names()}
    assert {find_strategy(name).scale for name in found} == {PROBABILITY}
    assert {calibration.n_users for calibration in found.values()} == {USERS_FOR_CALIBRATION}
