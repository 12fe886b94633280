"""The questionnaire against plain computation, on five people and on the small service."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from firstday.errors import ConfigError
from firstday.recommend.answered import rank_answered, recommend_answered, signals_of
from firstday.recommend.questionnaire import Answers, Asking, Questionnaire
from firstday.recommend.recommender import Recommender
from firstday.sparse import SparseRows

USES = [[0, 1, 2, 5], [0, 1, 3], [0, 4, 5, 6], [4, 5, 6, 7], [0, 2, 6]]
N_ITEMS, K = 8, 3
DOUBT, SMOOTHING = Asking().doubt, Asking().smoothing


def small(**settings: int) -> Questionnaire:
    uses = SparseRows.from_lists(USES, N_ITEMS)
    rng = np.random.default_rng(0)
    fans = uses.transpose()
    order = np.lexsort((np.arange(N_ITEMS), -fans.lengths()))
    popularity = (uses.column_sums() / len(USES)).astype(np.float32)
    return Questionnaire(
        "item", uses, rng.normal(size=(5, 2)).astype(np.float32), fans, order, popularity, K, Asking(**settings)
    )


def says_yes(person: int, item: int) -> float:
    """The probability that someone like a person says yes."""
    share = (sum(item in used for used in USES) + 0.5) / (len(USES) + 1)
    return DOUBT * share + (1 - DOUBT) * (item in USES[person])


def believed(answers: Answers) -> list[float]:
    worth = []
    for person in range(len(USES)):
        p = 1.0
        for item in answers.yes:
            p *= says_yes(person, item)
        for item in answers.no:
            p *= 1 - says_yes(person, item)
        worth.append(p)
    return [p / sum(worth) for p in worth]


def expected_precision(answers: Answers, item: int) -> float:
    """What the list is worth after the answer, by trying every list of K items."""
    belief, total = believed(answers), 0.0
    free = [other for other in range(N_ITEMS) if other != item and other not in (*answers.yes, *answers.no)]
    for yes in (True, False):
        weights = [b * (says_yes(p, item) if yes else 1 - says_yes(p, item)) for p, b in enumerate(belief)]
        worth = [sum(w / min(K, len(USES[p])) for p, w in enumerate(weights) if other in USES[p]) for other in free]
        total += sum(sorted(worth)[-K:])
    return total


ANSWERS = [
    Answers(),
    Answers((0,), ()),
    Answers((), (0,)),
    Answers((4,), (0, 1)),
    Answers((5, 2), (7,), (3,)),
]


@pytest.mark.parametrize("answers", ANSWERS)
def test_belief_and_scores_are_those_of_plain_computation(answers: Answers) -> None:
    asked, belief = small(), believed(answers)
    np.testing.assert_allclose(asked.believe(answers), belief, rtol=1e-9)
    shares = [sum(b for b, used in zip(belief, USES, strict=True) if item in used) for item in range(N_ITEMS)]
    everyone = [sum(item in used for used in USES) / len(USES) for item in range(N_ITEMS)]
    expected = np.array(shares) + SMOOTHING * np.array(everyone)
    np.testing.assert_allclose(asked.score(answers), expected, rtol=1e-5)
    items, scores = rank_answered(asked, answers, N_ITEMS)
    listed = items[items >= 0].tolist()
    assert sorted(listed) == sorted(set(range(N_ITEMS)) - {*answers.yes, *answers.no})
    np.testing.assert_allclose(scores[: len(listed)], expected[listed], rtol=1e-5)
    assert (np.diff(scores[: len(listed)]) <= 0).all()


@pytest.mark.parametrize("answers", ANSWERS)
def test_the_question_is_the_one_after_which_the_list_is_best(answers: Answers) -> None:
    choice = small().next_question(answers)
    assert choice is not None
    worth = {item: expected_precision(answers, item) for item in range(N_ITEMS) if item not in answers.asked}
    assert worth[choice.target] == pytest.approx(max(worth.values()), rel=1e-5)
    assert choice.precision == pytest.approx(worth[choice.target], rel=1e-5)
    likely = sum(b * says_yes(p, choice.target) for p, b in enumerate(believed(answers)))
    assert choice.likely_yes == pytest.approx(likely, rel=1e-5)


def test_only_the_most_telling_candidates_are_looked_at() -> None:
    """With one looked at, it is the one whose answer explains most of the spread of vectors."""
    asked, belief = small(n_looked_at=1), np.full(5, 0.2)
    told = {}
    for item in range(N_ITEMS):
        yes = belief * [says_yes(person, item) for person in range(5)]
        covered = (yes[:, None] * (asked.vectors - asked.vectors.mean(axis=0))).sum(axis=0)
        told[item] = (covered**2).sum() / (yes.sum() * (1 - yes.sum()))
    choice = asked.next_question(Answers())
    assert choice is not None
    assert choice.target == max(told, key=told.__getitem__)


def test_nothing_is_asked_twice_and_the_end_is_told() -> None:
    asked, answers, seen = small(), Answers(), []
    while (choice := asked.next_question(answers)) is not None:
        assert choice.target not in seen
        seen.append(choice.target)
        answers = answers.add(choice.target, ("yes", "no", "skip")[len(seen) % 3])
    assert sorted(seen) == list(range(N_ITEMS))
    assert len(answers) == N_ITEMS


def test_the_order_of_answers_and_skips_tell_nothing() -> None:
    asked = small()
    one, other = Answers((4, 5), (0, 1)), Answers((5, 4), (1, 0), (7,))
    np.testing.assert_allclose(asked.believe(one), asked.believe(other), rtol=1e-12)
    assert asked.next_question(one) == asked.next_question(Answers((5, 4), (1, 0)))


def test_few_judges_ask_as_well(recommender: Recommender) -> None:
    """Judged by a third of the people and half of the items, questions still find people's tastes."""
    few = Asking(most_judges=90, most_judged=60)
    assert _share_of_taste(Questionnaire.of(recommender.model, asking=few), recommender) > 0.8


def test_three_answers_find_a_taste(recommender: Recommender) -> None:
    assert _share_of_taste(Questionnaire.of(recommender.model), recommender) > 0.9


def _share_of_taste(asked: Questionnaire, recommender: Recommender) -> float:
    """Ask people of each of the four tastes, who like every item of theirs; return how much of it is in their lists."""
    shares = []
    for taste in range(4):
        answers = Answers()
        for _ in range(3):
            choice = asked.next_question(answers)
            assert choice is not None
            answers = answers.add(choice.target, "yes" if choice.target % 4 == taste else "no")
        listed = recommend_answered(recommender.model, asked, answers, 20).items
        shares.append(np.mean([recommender.model.catalogue.items.index_of(x.item_id) % 4 == taste for x in listed]))
    return float(np.mean(shares))


def test_artists_may_be_asked_about(recommender: Recommender) -> None:
    model = recommender.model
    asked = Questionnaire.of(model, "artist")
    members, warm = model.encoder.members_of_items["artist"], model.warm
    assert warm is not None
    for person, artist in product(range(0, asked.n_people, 37), range(asked.fans.n_rows)):
        theirs = {int(a) for item in warm.uses.row(person) for a in members.row(item)}
        assert (person in asked.fans.row(artist)) == (artist in theirs)
    first = asked.next_question(Answers())
    assert first is not None
    liked = Answers().add(first.target, "yes")
    fans = asked.believe(liked)[asked.fans.row(first.target)]
    assert fans.sum() > 0.7
    assert asked.closed(liked) == []
    signals = signals_of(model, "artist", liked)
    assert signals.interactions == (("onboarding", "artist", model.catalogue.entities["artist"][first.target]),)
    told = recommender.recommend(signals, 20, "blend")
    assert told.ignored == ()
    assert told.route == "blend"


def test_what_a_model_cannot_ask_is_said(recommender: Recommender) -> None:
    with pytest.raises(
        ConfigError,
        match=r"entity: the model cannot ask about 'nothing', whose items it does not know; choose of item, ",
    ):
        Questionnaire.of(recommender.model, "nothing")
    with pytest.raises(ConfigError, match=r"onboarding: the model keeps no warm users"):
        Questionnaire.of(replace(recommender.model, warm=None))
    with pytest.raises(ConfigError, match=r"k: is 0"):
        recommend_answered(recommender.model, Questionnaire.of(recommender.model), Answers(), 0)
