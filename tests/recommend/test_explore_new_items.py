"""Places for new items in `explore`: nobody used the sixth item of the five users' service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from firstday.features.signals import Signals
from firstday.impressions.counts import ShownCounts
from firstday.methods.explore import NEW_SHARE, recommend_explore
from firstday.model.trained_model import TrainedModel
from firstday.recommend.new_items.offers import ELSEWHERE, PRIOR_RATE, Offers
from firstday.recommend.query import Answer, Query
from firstday.sparse import SparseRows
from tests.tiny import N_ITEMS, make_model

NEW = 5
NOTHING = SparseRows.empty(2, N_ITEMS)
N_USERS = 400


@pytest.fixture(scope="module")
def model() -> TrainedModel:
    """The model with impressions counted, none of them of the new item."""
    return replace(make_model(), shown_counts=ShownCounts(NOTHING, NOTHING))


def ask(model: TrainedModel, interactions: Sequence[tuple[str, str, str]] = ()) -> Answer:
    users = [Signals(user_id=number, country="FR", interactions=interactions) for number in range(N_USERS)]
    batch, _ = model.read_signals(users)
    return recommend_explore(Query(model, batch, 3))


def test_each_place_is_offered_as_often_as_it_is_said(model: TrainedModel) -> None:
    """The item that was drawn once is not drawn again, so that later places have it less often."""
    answer = ask(model)
    is_new = answer.items == NEW
    assert (is_new.sum(axis=1) <= 1).all()
    for place in range(3):
        expected = NEW_SHARE * (1 - NEW_SHARE) ** place
        deviation = np.sqrt(expected * (1 - expected) / N_USERS)
        assert abs(is_new[:, place].mean() - expected) < 6 * deviation
    np.testing.assert_allclose(answer.propensities[is_new], NEW_SHARE, rtol=1e-6)
    np.testing.assert_allclose(answer.scores[is_new], PRIOR_RATE, rtol=1e-6)


def test_a_banned_item_is_not_offered(model: TrainedModel) -> None:
    banned = [("ban", "item", "i6")]
    before = ask(replace(model, shown_counts=None), banned)
    answer = ask(model, banned)
    np.testing.assert_array_equal(answer.items, before.items)
    np.testing.assert_array_equal(answer.propensities, before.propensities)


def test_a_rate_is_the_mean_of_prior_and_impressions() -> None:
    """Of two items in two segments, where the prior counts as one use."""
    offers = Offers.of(
        np.array([4, 5]), np.array([[40, 0], [10, 0]]), np.array([[20, 0], [0, 0]]), np.full((2, 2), 0.01), 0.0
    )
    here = (1 + 20) / (100 + 40 + ELSEWHERE * 10)
    there = (1 + ELSEWHERE * 20) / (100 + ELSEWHERE * 40 + 10)
    np.testing.assert_allclose(offers.rates_of(4), [here, there])
    np.testing.assert_allclose(offers.rates_of(5), 0.01)
