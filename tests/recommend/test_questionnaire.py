"""The questionnaire against plain computation, on a few users and on a model made by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from firstday.errors import ConfigError
from firstday.features.encoder import pick_signal
from firstday.features.signals import Signals
from firstday.recommend.belief import DOUBT, SMOOTHING
from firstday.recommend.questionnaire import (
    AnsweringUsers,
    Answers,
    Questionnaire,
    rank_by_answers,
    recommend_after_questions,
    signals_of,
)
from firstday.recommend.recommender import Recommender
from firstday.sparse import SparseRows
from tests.tiny import PAIRS

USES = [[0, 1, 2, 5], [0, 1, 3], [0, 4, 5, 6], [4, 5, 6, 7], [0, 2, 6]]
SEGMENT_OF = [0, 0, 1, 1, 0]
N_ITEMS = 8
K = 3
SHARES = [0.8, 0.4, 0.4, 0.2, 0.4, 0.6, 0.6, 0.2]
"""Share of the five users who use each item."""
ANSWERS = [
    Answers(),
    Answers((0,), ()),
    Answers((), (0,)),
    Answers((4,), (0, 1)),
    Answers((5, 2), (7,), (3,)),
]


def is_used() -> np.ndarray:
    """Whether each user uses each item."""
    return np.array([[item in used for item in range(N_ITEMS)] for used in USES])


def make_five() -> Questionnaire:
    """A questionnaire of the five users, in two segments; a segment's shares lean by one user on everyone's."""
    uses = SparseRows.from_lists(USES, N_ITEMS)
    inside = [is_used()[np.array(SEGMENT_OF) == segment] for segment in (0, 1)]
    shares = np.array([(users.sum(axis=0) + SHARES) / (len(users) + 1) for users in inside])
    warm = AnsweringUsers(uses, uses.transpose(), np.array(SHARES, dtype=np.float32))
    return Questionnaire("item", np.arange(N_ITEMS), shares, np.array([0.6, 0.4]), warm)


def says_yes(user: int, item: int) -> float:
    """The probability that someone like a user says yes."""
    share = (sum(item in used for used in USES) + 0.5) / (len(USES) + 1)
    return DOUBT * share + (1 - DOUBT) * (item in USES[user])


def believe_plainly(answers: Answers) -> np.ndarray:
    worth = [
        math.prod(says_yes(user, item) for item in answers.yes)
        * math.prod(1 - says_yes(user, item) for item in answers.no)
        for user in range(len(USES))
    ]
    return np.array(worth) / sum(worth)


@pytest.mark.parametrize("answers", ANSWERS)
def test_belief_in_users_and_scores_are_those_of_plain_computation(answers: Answers) -> None:
    questionnaire = make_five()
    belief = believe_plainly(answers)
    assert questionnaire.warm is not None
    np.testing.assert_allclose(questionnaire.warm.believe(answers), belief, rtol=1e-9)
    expected = belief @ is_used() + SMOOTHING * np.array(SHARES)
    np.testing.assert_allclose(questionnaire.warm.score(answers), expected, rtol=1e-5)
    items, scores = rank_by_answers(questionnaire, answers, N_ITEMS)
    listed = items[items >= 0].tolist()
    assert sorted(listed) == sorted(set(range(N_ITEMS)) - {*answers.yes, *answers.no})
    np.testing.assert_allclose(scores[: len(listed)], expected[listed], rtol=1e-5)
    assert (np.diff(scores[: len(listed)]) <= 0).all()


def test_excluded_items_have_no_place() -> None:
    assert rank_by_answers(make_five(), Answers(), K)[0].tolist() == [0, 5, 6]
    assert rank_by_answers(make_five(), Answers((), (5,)), K, [6, 1])[0].tolist() == [0, 2, 3]


THREE = Questionnaire(
    "item",
    np.array([7, 3, 9]),
    # Item 7 is used by all alike, 3 tells two halves apart, 9 tells one small segment from the rest.
    np.array([[0.5, 0.9, 0.9], [0.5, 0.9, 0.1], [0.5, 0.1, 0.1], [0.5, 0.1, 0.1]]),
    np.array([0.1, 0.4, 0.3, 0.2]),
)


def entropy(p: np.ndarray) -> float:
    return -float((p * np.log2(p)).sum())


def gain(questionnaire: Questionnaire, column: int, belief: np.ndarray) -> float:
    """How much an answer lowers the entropy of the segment, on average: the same by the other way round."""
    yes = belief * questionnaire.shares[:, column]
    no = belief * (1 - questionnaire.shares[:, column])
    return float(entropy(belief) - yes.sum() * entropy(yes / yes.sum()) - no.sum() * entropy(no / no.sum()))


@pytest.mark.parametrize(
    "answers", [Answers(), Answers((3,)), Answers((), (3,)), Answers((3,), (9,)), Answers((9,), (), (3,))]
)
def test_answers_change_the_belief_by_bayes_rule(answers: Answers) -> None:
    columns = {item: column for column, item in enumerate(THREE.candidates.tolist())}
    expected = THREE.prior.copy()
    for item in answers.yes:
        expected *= THREE.shares[:, columns[item]]
    for item in answers.no:
        expected *= 1 - THREE.shares[:, columns[item]]
    expected /= expected.sum()
    np.testing.assert_allclose(THREE.believe(answers), expected)
    following = THREE.next_question(answers)
    assert following is not None
    gains = {item: gain(THREE, column, expected) for item, column in columns.items() if item not in answers.targets}
    assert following.target == max(gains, key=gains.__getitem__)
    assert following.gain_bits == pytest.approx(gains[following.target], abs=1e-12)
    assert following.likely_yes == pytest.approx(expected @ THREE.shares[:, columns[following.target]])


def test_nothing_is_asked_twice_nor_what_is_excluded() -> None:
    assert THREE.next_question(Answers((3,), (7,), (9,))) is None
    assert THREE.next_question(Answers((3,)), [9, 7]) is None
    last = THREE.next_question(Answers((3,)), [9])
    assert last is not None
    assert last.target == 7
    assert last.gain_bits == pytest.approx(0)
    questionnaire = make_five()
    answers = Answers()
    targets = []
    while (question := questionnaire.next_question(answers)) is not None:
        targets.append(question.target)
        answers = answers.add(question.target, ("yes", "no", "skip")[len(targets) % 3])
    assert sorted(targets) == list(range(N_ITEMS))
    assert len(answers) == N_ITEMS


def test_skips_and_what_is_no_candidate_tell_nothing() -> None:
    np.testing.assert_array_equal(THREE.believe(Answers((1000,), (2000,), (3,))), THREE.believe(Answers()))


# From here on the service of tests/tiny.py: segment 0 is u1, u2 and u3, segment 1 is u4 and u5.


def test_a_models_questionnaire_knows_its_segments_shares(tiny: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    questionnaire = Questionnaire.of(tiny.model)
    assert questionnaire.candidates.tolist() == [0, 2, 1, 3, 4]  # nobody uses i6
    np.testing.assert_allclose(questionnaire.prior, [0.6, 0.4])
    users = np.array([[3, 2, 2, 0, 0], [0, 1, 0, 2, 1]])
    everyone = np.array([0.6, 0.6, 0.4, 0.4, 0.2])
    np.testing.assert_allclose(questionnaire.shares, (users + 5 * everyone) / np.array([[3 + 5], [2 + 5]]), rtol=1e-6)
    bare = Questionnaire.of(replace(tiny.model, warm=None))
    assert bare.warm is None
    for answers in (Answers(), Answers((0,)), Answers((3,), (0,))):
        assert bare.next_question(answers) == questionnaire.next_question(answers)
    monkeypatch.setattr("firstday.recommend.questionnaire.MAX_QUESTION_ITEMS", 3)
    assert Questionnaire.of(tiny.model).candidates.tolist() == [0, 2, 1]


def test_artists_may_be_asked_about(tiny: Recommender) -> None:
    questionnaire = Questionnaire.of(tiny.model, "artist")
    assert questionnaire.warm is not None
    assert [questionnaire.warm.fans.row(artist).tolist() for artist in (0, 1)] == [[0, 1, 2], [3, 4]]
    assert questionnaire.candidates.tolist() == [0, 1]
    np.testing.assert_allclose(questionnaire.prior, [0.6, 0.4])
    np.testing.assert_allclose(questionnaire.shares, [[6 / 8, 2 / 8], [3 / 7, 4 / 7]])
    expected = Signals(interactions=[("favorite", "artist", "a2")])
    assert signals_of(tiny.model, "artist", Answers((1,), (0,))) == expected
    answer = recommend_after_questions(tiny, questionnaire, Answers((1,), (0,)), 3)
    assert answer.route == "answers"
    assert [item.item_id for item in answer.items] == ["i4", "i3", "i5"]  # an artist is no item: all have a place
    by_yeses = recommend_after_questions(tiny, questionnaire, Answers((1,), (0,)), 3, "segment")
    assert by_yeses.items[0].item_id == "i4"


@pytest.fixture(scope="module")
def picking(tiny: Recommender) -> Recommender:
    """The service where picks of items are learned, as a signal that is no use."""
    pairs = tuple(("onboarding" if signal == "skip" else signal, entity) for signal, entity in PAIRS)
    return Recommender(replace(tiny.model, signal_encoder=replace(tiny.model.encoder, pairs=pairs)))


def test_what_was_answered_has_no_place_in_a_strategys_list(picking: Recommender) -> None:
    """A strategy alone would recommend such picks back."""
    assert pick_signal(picking.model.encoder, "item") == "onboarding"
    alone = picking.recommend(signals_of(picking.model, "item", Answers((0,), (2,))), 4, "popular")
    assert [item.item_id for item in alone.items] == ["i1", "i3", "i2", "i4"]

    def listed(answers: Answers, excluded: list[int]) -> list[str]:
        answer = recommend_after_questions(picking, Questionnaire.of(picking.model), answers, 3, "popular", excluded)
        assert answer.route == "popular"
        return [item.item_id for item in answer.items]

    assert listed(Answers(), []) == ["i1", "i3", "i2"]
    assert listed(Answers((0,), (2,)), []) == ["i2", "i4", "i5"]
    assert listed(Answers((0,), (2,), (1,)), [3]) == ["i2", "i5", "i6"]


def test_a_list_is_by_all_answers_where_the_model_keeps_warm_users(tiny: Recommender) -> None:
    answers = Answers((0,), (2,))
    questionnaire = Questionnaire.of(tiny.model)
    by_answers = recommend_after_questions(tiny, questionnaire, answers, 2, excluded=[1])
    assert (by_answers.route, [item.item_id for item in by_answers.items]) == ("answers", ["i4", "i5"])
    by_segment = recommend_after_questions(tiny, questionnaire, answers, 2, "segment")
    assert (by_segment.route, by_segment.items[0].item_id) == ("segment", "i2")
    bare = replace(questionnaire, warm=None)
    assert recommend_after_questions(tiny, bare, answers, 2) == by_segment  # the model's own strategy
    with pytest.raises(ConfigError, match=r"strategy: answers needs a model that keeps warm users; train one with"):
        recommend_after_questions(tiny, bare, answers, 2, "answers")


def test_what_a_model_cannot_ask_is_said(tiny: Recommender) -> None:
    with pytest.raises(
        ConfigError,
        match=r"entity: 'nothing' is unknown or has no items in the model; choose one of item, artist\.",
    ):
        Questionnaire.of(tiny.model, "nothing")
    with pytest.raises(ConfigError, match=r"entity: asking about 'artist' needs a model that keeps warm users"):
        Questionnaire.of(replace(tiny.model, warm=None), "artist")
    with pytest.raises(ConfigError, match=r"k: is 0"):
        recommend_after_questions(tiny, Questionnaire.of(tiny.model), Answers(), 0)
