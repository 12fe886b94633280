"""Scores are shares or probabilities with their names; whatever they become, lists keep their order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from firstday.features.signals import Signals
from firstday.model.calibration import Calibration
from firstday.recommend.answers import answer_query
from firstday.recommend.query import Answer, Query
from firstday.recommend.recommender import Recommender
from firstday.recommend.registry import find_strategy, register, strategy_names
from firstday.recommend.scales import is_fraction, scale_answer
from firstday.recommend.spec import PROBABILITY, StrategySpec
from firstday.recommend.support import strategies_of
from tests.tiny import N_ITEMS, make_model

HALF = Calibration(0.0, 1.0, -1.0, 1.0, 20)
"""Even odds for an item that scores as the user's reference items, of whom nothing is known."""
USERS = [
    Signals(),
    Signals(age=40, country="DE"),
    Signals(interactions=[("stream", "item", "i1")]),
    Signals(interactions=[("stream", "item", "i5"), ("ban", "item", "i2")]),
    Signals(friends=["u4"]),
]


@pytest.fixture(scope="module")
def calibrated() -> Recommender:
    model = make_model()
    likely = [name for name in strategies_of(model) if find_strategy(name).scale == PROBABILITY]
    return Recommender(replace(model, calibrations=dict.fromkeys(likely, HALF)))


def test_odds_rise_with_the_score_and_with_what_is_known() -> None:
    scores = np.array([[0, -1], [1, 1], [5, 4], [0, 0]], np.float32)
    likely = HALF.probabilities(scores, np.array([0, 1, 4, 0], np.float32), np.array([0, 0, 1, 50]))
    odds = np.array([[1, np.exp(-1)], [1, 1], [2 * np.e, 2], [21, 21]])  # more than 20 count as 20
    np.testing.assert_allclose(likely, odds / (1 + odds), rtol=1e-6)


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
        assert is_fraction(answer.scales[user]) or answer.routes[user] == "latest"  # days
        assert ((ranked >= 0) & (ranked <= 1)).all() or answer.routes[user] == "latest"


CALIBRATED = [name for name in strategies_of(make_model()) if find_strategy(name).scale == PROBABILITY]


@pytest.mark.parametrize("strategy", [*CALIBRATED, "auto"])
def test_an_item_has_one_probability_in_any_list(calibrated: Recommender, strategy: str) -> None:
    """Whatever the rules, the length, the page or the batch; up to rounding."""
    rules = ({"filter": "genre == 'jazz'"}, {"filter": "year >= 2021"}, {"deny": ["i1", "i3"]}, {"after": 1})
    n_compared = 0
    for user in USERS[1:]:
        whole = calibrated.recommend(user, N_ITEMS, strategy)
        lists = [calibrated.recommend(user, N_ITEMS, strategy, rules=rule) for rule in rules]
        lists.append(calibrated.recommend(user, 1, strategy))
        lists.append(calibrated.recommend(user, 2, strategy, rules={"cap": {"artist": 1}}))
        lists.append(calibrated.recommend_users([user, USERS[0], USERS[2]], 3, strategy).row(0))
        expected = {item.item_id: item.score for item in whole.items[: whole.n_ranked]}
        for one in lists:
            if one.score_scale == whole.score_scale == PROBABILITY:
                scores = {item.item_id: item.score for item in one.items[: one.n_ranked]}
                n_compared += len(scores)
                assert scores == pytest.approx({item: expected[item] for item in scores}, rel=1e-5)
    assert n_compared


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
