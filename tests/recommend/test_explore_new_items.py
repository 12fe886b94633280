"""Places for new items in `explore`: nobody used the sixth item of the five users' service."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from firstday.features.signals import Signals
from firstday.impressions.counts import ShownCounts
from firstday.methods.explore import NEW_SHARE, draw_offers, recommend_explore
from firstday.model.trained_model import TrainedModel
from firstday.recommend.new_items.offers import N_DRAWS, PRIOR_RATE, Offers
from firstday.recommend.query import Answer, Query
from firstday.sparse import SparseRows
from tests.tiny import N_ITEMS, make_model, make_quota

NEW = 5
NOTHING = SparseRows.empty(2, N_ITEMS)
N_USERS = 400


@pytest.fixture(scope="module")
def model() -> TrainedModel:
    """The model with impressions counted, none of them of the new item."""
    return replace(make_model(), shown_counts=ShownCounts(NOTHING, NOTHING))


def ask(model: TrainedModel, interactions: list[tuple[str, str, str]] | None = None) -> Answer:
    users = [Signals(user_id=number, country="FR", interactions=interactions or []) for number in range(N_USERS)]
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


def test_other_items_keep_their_order_and_are_less_likely_by_the_chance_of_an_offer(model: TrainedModel) -> None:
    before = ask(replace(model, shown_counts=None))
    answer = ask(model)
    for row in range(N_USERS):
        old = np.flatnonzero(answer.items[row] != NEW)
        np.testing.assert_array_equal(answer.items[row, old], before.items[row, : len(old)])
        np.testing.assert_array_equal(answer.scores[row, old], before.scores[row, : len(old)])
        new = np.flatnonzero(answer.items[row] == NEW)
        is_open = old < new[0] if len(new) else np.ones(len(old), bool)  # the offer was still to come
        np.testing.assert_allclose(
            answer.propensities[row, old],
            np.where(is_open, 1 - NEW_SHARE, 1) * before.propensities[row, : len(old)],
            rtol=1e-6,
        )


@pytest.mark.parametrize("closed", ["unlisted", "banned", "nothing counted"])
def test_without_an_item_to_offer_lists_are_as_they_were(model: TrainedModel, closed: str) -> None:
    known = [("ban", "item", "i6")] if closed == "banned" else []
    before = ask(replace(model, shown_counts=None), known)
    if closed == "unlisted":
        model = replace(model, unlisted=np.array([NEW], np.int32))
    if closed == "nothing counted":
        model = replace(model, shown_counts=None)
    answer = ask(model, known)
    np.testing.assert_array_equal(answer.items, before.items)
    np.testing.assert_array_equal(answer.propensities, before.propensities)


def test_how_likely_an_offer_is_follows_from_belief_and_draws() -> None:
    """Segment 0 drew item 3 in three of four draws, segment 1 never; a user who may not have item 5 has only item 3."""
    quarter = N_DRAWS // 4
    drawn = {
        0: np.repeat([3, 3, 3, 5], quarter).astype(np.int32),
        1: np.repeat([5, 5, 4, 4], quarter).astype(np.int32),
    }
    items = Offers(np.array([3, 4, 5]), np.ones((2, 3)), np.full((2, 3), 99.0), 0.0, drawn)
    segments = np.array([0, 1])
    belief = np.array([0.6, 0.2])
    offers = list(islice(draw_offers(items, segments, belief, np.random.default_rng(0), make_quota()), 2_000))
    assert offers[0][1] == pytest.approx(NEW_SHARE)
    seen = {offer[0]: offer[2] / NEW_SHARE for offer, _ in offers if offer is not None}
    assert sum(offer is not None for offer, _ in offers) == 3  # each once
    assert seen == pytest.approx({3: 0.75 * 0.75, 4: 0.25 * 0.5, 5: 0.75 * 0.25 + 0.25 * 0.5})
    _, without = next(draw_offers(items, segments, belief, np.random.default_rng(0), make_quota(5)))
    assert without == pytest.approx(NEW_SHARE * 0.6875)
