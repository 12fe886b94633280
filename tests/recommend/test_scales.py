"""Scores are shares or probabilities with their names; whatever they become, lists keep their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from firstday.features.signals import Signals
from firstday.model.calibration import Calibration
from firstday.recommend.query import Answer, Query
from firstday.recommend.recommender import Recommender, answer_query
from firstday.recommend.registry import find_strategy, register, strategies_of, strategy_names
from firstday.recommend.scales import is_fraction, scale_answer
from firstday.recommend.spec import PROBABILITY, StrategySpec
from tests.tiny import N_ITEMS, make_model

HALF = Calibration(np.array([0, -1, -2], np.float32), 1.0, -1.0, 1.0, 20)
"""Even odds for the first item where its score is 0, and odds that fall by e from place to place."""
USERS = [
    Signals(),
    Signals(age=40, country="DE"),
    Signals(interactions=[("stream", "item", "i1")]),
    Signals(interactions=[("stream", "item", "i5"), ("ban", "item", "i2")]),
    Signals(friends=["u4"]),
]
RISING = st.lists(st.floats(-30, 30, width=32), min_size=1, max_size=8)


@pytest.fixture(scope="module")
def calibrated() -> Recommender:
    model = make_model()
    likely = [name for name in strategies_of(model) if find_strategy(name).scale == PROBABILITY]
    return Recommender(replace(model, calibrations=dict.fromkeys(likely, HALF)))


def test_odds_fall_with_the_place_and_rise_with_the_first_score() -> None:
    scores = np.array([[0, -7, -8, -9], [1, 0.5, 0, 0], [5, 4, 3, 2]], np.float32)
    odds = np.exp([[0, -1, -2, -2], [1, 0, -1, -1], [1, 0, -1, -1]])
    np.testing.assert_allclose(HALF.probabilities(scores), odds / (1 + odds), rtol=1e-6)


@given(
    curve=RISING,
    slope=st.floats(-5, 5, width=32),
    scores=arrays(np.float32, (3, 7), elements=st.floats(-1e6, 1e6, width=32)),
)
def test_probabilities_never_rise_along_a_list(curve: Sequence[float], slope: float, scores: np.ndarray) -> None:
    falling = np.minimum.accumulate(np.array(curve, np.float32))
    likely = Calibration(falling, slope, -2.0, 2.0, 20).probabilities(-np.sort(-scores, axis=1))
    assert likely.dtype == np.float32
    assert (np.diff(likely, axis=1) <= 0).all()
    assert ((likely >= 0) & (likely <= 1)).all()


@pytest.mark.parametrize("strategy", strategy_names())
def test_a_list_keeps_its_items_and_their_order(calibrated: Recommender, strategy: str) -> None:
    batch, _ = calibrated.model.catalogue.read(USERS)
    query = Query(calibrated.model, batch, N_ITEMS)
    answer, raw = (answer_query(one, strategy) for one in (query, replace(query, model=make_model())))
    np.testing.assert_array_equal(answer.items, raw.items)
    assert answer.routes.tolist() == raw.routes.tolist()
    for user, n_ranked in enumerate(answer.n_ranked.tolist()):
        ranked = answer.scores[user, :n_ranked]
        assert strategy == "explore" or (np.diff(ranked) <= 0).all()  # explore's places are in the order of drawing
        assert not answer.scores[user, n_ranked:].any()
        assert is_fraction(answer.scales[user])
        assert ((ranked >= 0) & (ranked <= 1)).all()


@pytest.mark.parametrize(
    ("strategy", "scale"),
    [
        ("popular", "share of everyone"),
        ("group", "share of people of the same profile"),
        ("segment", "share of the segment"),
        ("blend", "probability of use"),
        ("dropoutnet_personal", "probability of use"),
    ],
)
def test_the_scale_of_each_strategy(calibrated: Recommender, strategy: str, scale: str) -> None:
    assert calibrated.recommend(Signals(country="DE"), strategy=strategy).score_scale == scale


def test_without_a_calibration_scores_stay_and_say_so(tiny: Recommender) -> None:
    answer = tiny.recommend(Signals(interactions=[("stream", "item", "i1")]), strategy="personal")
    assert answer.score_scale == "score"
    assert [item.score for item in answer.items] == [0.75, 0.5, 0.25, 0.0]
    assert answer.n_ranked == 4  # the last one is ranked, by the score 0


def test_places_that_fill_a_list_up_are_counted_and_have_the_score_0(calibrated: Recommender) -> None:
    user = Signals(interactions=[("stream", "item", "i1")])
    answer = calibrated.recommend(user, N_ITEMS, "personal")
    assert [item.item_id for item in answer.items] == ["i2", "i3", "i5", "i4", "i6"]  # i6 has no vector
    assert answer.n_ranked == 4
    assert answer.items[4].score == 0 < answer.items[3].score
    segment = calibrated.recommend(user, 4, "segment")
    assert (segment.n_ranked, [item.score > 0 for item in segment.items]) == (2, [True, True, False, False])


@pytest.mark.usefixtures("fresh_registry")
def test_a_stranger_names_a_scale(tiny: Recommender) -> None:
    def recommend(query: Query) -> Answer:
        everyone = np.ones(query.n_users, dtype=bool)
        return query.rank_scores(
            lambda rows: np.tile(np.arange(N_ITEMS, 0, -1, dtype=np.float32), (len(rows), 1)), "stars", everyone
        )

    register(StrategySpec(name="stars", describe="Stars.", recommend=recommend, scale="stars"))
    answer = tiny.recommend(Signals(), 2, "stars")
    assert (answer.score_scale, [item.score for item in answer.items]) == ("stars", [6.0, 5.0])
    register(StrategySpec(name="stars", describe="Stars.", recommend=recommend))
    assert tiny.recommend(Signals(), 2, "stars").score_scale == "score"


def test_what_answers_under_a_name_of_its_own_has_a_scale_of_its_own(tiny: Recommender) -> None:
    scores = np.array([[3, 2], [0.5, 0.25]], np.float32)
    routes = np.array(["my own way", "popular"], dtype=object)
    query = Query(tiny.model, tiny.model.read_signals([Signals(), Signals()])[0], 2)
    answer = scale_answer(query, Answer(np.zeros((2, 2), np.int32), scores, routes, np.array([2, 1])))
    assert answer.scores.tolist() == [[3, 2], [0.5, 0]]
    assert answer.scales.tolist() == ["score", "share of everyone"]


def test_what_learned_from_what_was_shown_has_no_probabilities(calibrated: Recommender) -> None:
    user = Signals(interactions=[("stream", "item", "i1")])
    shown = user.copy(shown=["i2"])
    for strategy, scale in (("blend", "score"), ("auto", "score"), ("personal", "probability of use")):
        assert calibrated.recommend(user, 3, strategy).score_scale == "probability of use"
        assert calibrated.recommend(shown, 3, strategy).score_scale == scale
    batch, _ = calibrated.model.read_signals([user, shown])
    query = Query(calibrated.model, batch, N_ITEMS)
    raw = find_strategy("blend").recommend(query)
    answer = answer_query(query, "blend")
    assert answer.scales.tolist() == ["probability of use", "score"]
    n = answer.n_ranked[1]
    np.testing.assert_array_equal(answer.scores[1, :n], raw.scores[1, :n])
    assert not answer.scores[1, n:].any()
