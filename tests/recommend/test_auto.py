"""`auto`, the classes of users by what is known, and strategies that leave the answer to their fallback."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from firstday.artifact.trained_model import KNOTS, KNOWLEDGE, Blending, ClassEvidence, Selection, TrainedModel
from firstday.data.events import ITEM
from firstday.features.signals import Signals
from firstday.recommend.query import Query
from firstday.recommend.recommender import Recommender, answer_query
from firstday.recommend.strategies.blend import score_blend
from firstday.sparse import SparseRows
from firstday.training.selection import ENOUGH_USERS, PSEUDO_USERS, choose_selection, select, take_class
from firstday.training.validation import Fold
from tests.tiny import make_model

NOBODY = Signals()
PROFILE = Signals(country="FR")
BEFRIENDED = Signals(country="FR", friends=["u4"])
SKIPPED = Signals(interactions=[("skip", ITEM, "i4")])
ONE = Signals(interactions=[("stream", ITEM, "i1")])
MANY = Signals(
    interactions=[("stream", ITEM, "i1"), ("stream", ITEM, "i2"), ("stream", ITEM, "i3"), ("stream", ITEM, "i4")]
)
MIXED = Signals(interactions=[*ONE.interactions, *(("favorite", "artist", name) for name in ("a1", "a2"))])
USERS = [NOBODY, PROFILE, BEFRIENDED, SKIPPED, ONE, MIXED, MANY]
CLASSES = ("nothing", "profile", "friends", "1-3", "1-3", "1-3", "4+")


BEST = ("popular", "group", "friends", "soft_segments", "personal")
SELECTION = Selection(tuple(ClassEvidence(500, "class", best, {}) for best in BEST))


@pytest.fixture
def model() -> TrainedModel:
    tiny = make_model()
    return replace(tiny, selection=SELECTION, config=tiny.config.override("recommend.strategy", "auto"))


def ask(model: TrainedModel, users: list[Signals]) -> Query:
    return Query(model, model.catalogue.read(users)[0], 3)


def test_users_are_divided_by_what_is_known_of_them(model: TrainedModel) -> None:
    assert [KNOWLEDGE[number] for number in ask(model, USERS).knowledge] == list(CLASSES)


def test_what_the_model_does_not_understand_is_nothing(model: TrainedModel) -> None:
    strangers = [
        Signals(country="ZZ"),  # nobody is from there
        Signals(interactions=[("stream", ITEM, "i99")]),
        Signals(friends=["u99"]),
    ]
    assert ask(model, strangers).knowledge.tolist() == [0, 0, 0]


def test_auto_answers_each_class_by_its_best(model: TrainedModel) -> None:
    answer = answer_query(ask(model, USERS), "auto")
    best = ["popular", "group", "friends", "soft_segments", "soft_segments", "soft_segments", "personal"]
    assert answer.routes.tolist() == best
    for row, (user, name) in enumerate(zip(USERS, best, strict=True)):
        alone = answer_query(ask(model, [user]), name)
        np.testing.assert_array_equal(answer.items[row], alone.items[0])
        np.testing.assert_allclose(answer.scores[row], alone.scores[0], rtol=1e-6)


def test_a_strategy_asked_for_by_name_is_the_one_that_answers(model: TrainedModel) -> None:
    query = ask(model, USERS)
    for name in ("segment", "personal", "blend"):
        assert answer_query(query, name).routes.tolist() == ["popular", *[name] * 6]


def test_a_fallback_that_answers_says_why(model: TrainedModel) -> None:
    recommender = Recommender(model)
    assert recommender.recommend(NOBODY, 3, "segment").notes[:1] == (
        "answered with popular: segment can use none of this user's signals",
    )
    assert recommender.recommend(PROFILE, 3).notes == ()  # `group` is what `auto` selected
    assert recommender.recommend(ONE, 3).notes == ()


def precision(*means: float) -> np.ndarray:
    """Return the precision of 400 users in two kinds of which one is .1 above and one .1 below the mean."""
    return np.concatenate([np.full(200, mean + shift) for mean in means for shift in (-0.1, 0.1)])


def test_a_large_class_decides_for_itself_and_a_small_one_or_nobody_follows_everybody() -> None:
    overall = {"popular": precision(0.2), "group": precision(0.2), "blend": precision(0.4), "direct": precision(0.3)}
    of_class = {**overall, "blend": precision(0.3), "direct": precision(0.4)}
    assert select(of_class, overall) == "direct"
    for n in (2, 0):
        assert select({name: values[:n] for name, values in of_class.items()}, overall) == "blend"


def test_auto_is_never_below_its_fallback() -> None:
    scores = {"popular": precision(0.4), "group": precision(0.41), "blend": precision(0.39), "direct": precision(0.2)}
    assert select(scores, scores) == "group"
    equal = dict.fromkeys(("popular", "group", "blend"), precision(0.4))
    assert select(equal, equal) == "popular"


def test_no_number_of_users_makes_the_choice_jump() -> None:
    """The class prefers `direct` by .1, everybody `blend` by .1: they are equal where the class counts half."""
    overall = {"popular": precision(0.2), "group": precision(0.2), "blend": precision(0.4), "direct": precision(0.3)}
    of_class = {**overall, "blend": precision(0.3), "direct": precision(0.4)}
    chosen = [select({name: values[:n] for name, values in of_class.items()}, overall) for n in range(0, 60, 2)]
    first = chosen.index("direct")
    assert set(chosen[:first]) == {"blend"}
    assert set(chosen[first:]) == {"direct"}
    assert 2 * first == pytest.approx(PSEUDO_USERS, abs=2)


def test_few_with_a_profile_alone_are_joined_by_those_who_did_more(model: TrainedModel) -> None:
    users = [Signals(country="FR", interactions=ONE.interactions), Signals(country="DE"), MANY]
    fold = Fold(ask(model, users), SparseRows.from_lists([[1], [3], [4]], model.n_items))
    (part,), source = take_class([fold], KNOWLEDGE.index("profile"))
    members = part.query
    used = part.truth
    assert (members.n_users, source) == (2, "away")  # of MANY nothing would be known
    assert members.liked.n_entries == 0
    assert members.excluded.row(0).tolist() == [0]  # used on day one, so it is not in what was used afterwards
    assert used.row(0).tolist() == [1]
    assert answer_query(members, "popular").items[0].tolist() == [2, 1, 3]
    assert take_class([fold.take(np.ones(ENOUGH_USERS, dtype=np.int64))], 1)[1] == "class"


def test_few_who_did_little_are_joined_by_those_who_did_more(model: TrainedModel) -> None:
    query = ask(model, [ONE, MIXED, PROFILE] + [MANY] * 40)
    (part,), source = take_class([Fold(query, SparseRows.from_lists([[4]] * 43, model.n_items))], 3)
    members = part.query
    used = part.truth
    assert (members.n_users, source, used.n_rows) == (42, "away", 42)
    n_done = members.liked.lengths() + members.signals.actions["favorite", "artist"].lengths()
    assert n_done[:2].tolist() == [1, 3]  # they stay as they are
    assert set(n_done[2:].tolist()) == {1, 2, 3}
    assert members.excluded.row(5).tolist() == [0, 1, 2, 3]


def test_a_selection_is_made_of_what_validation_users_used(model: TrainedModel) -> None:
    """Users from FR use what those of DE do and nobody else: the popular list has it last, their segment not at all."""
    bare = replace(model, selection=Selection(), blending=Blending(({"soft_segments": 1.0},) * len(KNOTS)))
    query = ask(bare, [Signals(country="FR")] * 250)
    truth = SparseRows.from_lists([[4]] * 250, model.n_items)
    folds = [Fold(query, truth).take(rows) for rows in np.array_split(np.arange(250), 3)]
    selection = choose_selection(folds)
    evidence = selection.classes[KNOWLEDGE.index("profile")]
    assert (evidence.n_users, evidence.users) == (250, "class")
    assert set(evidence.precision) == {"popular", "group", "blend"}
    assert evidence.precision[evidence.best] == max(evidence.precision.values())
    assert selection.classes[0].best == "popular"
    assert (selection.classes[4].n_users, selection.classes[4].best) == (0, evidence.best)


@pytest.mark.parametrize("n", [2, 4, 6])
def test_candidates_are_the_most_promising_items_whatever_is_asked_for(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of candidates is the list of all items without the others; its head is the shorter list."""
    query = ask(make_model(), USERS)
    rows = np.flatnonzero(query.has_features)
    everything, scores = score_blend(query, rows)
    monkeypatch.setattr("firstday.recommend.strategies.blend.N_CANDIDATES", n)
    monkeypatch.setattr("firstday.recommend.strategies.blend.ALL_CANDIDATES", 0)
    chosen, values = score_blend(query, rows)
    assert everything.tolist() == [list(range(6))] * len(rows)
    assert chosen.shape == values.shape == (len(rows), n)
    assert (np.diff(chosen, axis=1) > 0).all()
    for row in range(len(rows)):
        in_all = scores[row, chosen[row]]
        np.testing.assert_array_equal(np.isneginf(values[row]), np.isneginf(in_all))
        assert np.argsort(values[row], kind="stable").tolist() == np.argsort(in_all, kind="stable").tolist()
    short, long = (answer_query(replace(query, k=k), "blend").items for k in (2, 5))
    np.testing.assert_array_equal(short, long[:, :2])
