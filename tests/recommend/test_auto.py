"""`auto`, the classes of users by what is known, and strategies that leave the answer to their fallback."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from firstday.data.events import ITEM
from firstday.features.signals import Signals
from firstday.methods.auto import ClassEvidence, Guard
from firstday.methods.blend import score_blend
from firstday.model.trained_model import KNOWLEDGE, TrainedModel
from firstday.recommend.answers import answer_query
from firstday.recommend.query import Query
from firstday.recommend.recommender import Recommender
from tests.tiny import make_model, with_learned

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


GUARD = Guard(tuple(ClassEvidence(name, 500) for name in ("popular", "blend", "blend", "popular", "blend")))


@pytest.fixture
def model() -> TrainedModel:
    tiny = make_model()
    return replace(with_learned(tiny, auto=GUARD), config=tiny.config.override("recommend.strategy", "auto"))


def ask(model: TrainedModel, users: list[Signals]) -> Query:
    return Query(model, model.catalogue.read(users)[0], 3)


def test_users_are_divided_by_what_is_known_of_them(model: TrainedModel) -> None:
    assert [KNOWLEDGE[number] for number in ask(model, USERS).knowledge] == list(CLASSES)


def test_auto_answers_each_class_as_the_guard_says(model: TrainedModel) -> None:
    answer = answer_query(ask(model, USERS), "auto")
    expected = ["popular", "blend", "blend", "popular", "popular", "popular", "blend"]
    assert answer.routes.tolist() == expected
    for row, (user, name) in enumerate(zip(USERS, expected, strict=True)):
        alone = answer_query(ask(model, [user]), name)
        np.testing.assert_array_equal(answer.items[row], alone.items[0])
        np.testing.assert_allclose(answer.scores[row], alone.scores[0], rtol=1e-6)


def test_a_fallback_that_answers_says_why(model: TrainedModel) -> None:
    recommender = Recommender(model)
    assert recommender.recommend(NOBODY, 3, "segment").notes[:1] == (
        "answered with popular: segment can use none of this user's signals",
    )
    assert recommender.recommend(PROFILE, 3).notes == ()
    assert recommender.recommend(ONE, 3).notes == ()  # `popular` is what the guard of `auto` says


@pytest.mark.parametrize("n", [2, 4, 6])
def test_candidates_are_the_most_promising_items_whatever_is_asked_for(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of candidates is the list of all items without the others; its head is the shorter list."""
    query = ask(make_model(), USERS)
    rows = np.flatnonzero(query.has_features)
    everything, scores, _ = score_blend(query, rows)
    monkeypatch.setattr("firstday.methods.candidates.N_CANDIDATES", n)
    monkeypatch.setattr("firstday.methods.candidates.ALL_CANDIDATES", 0)
    chosen, values, _ = score_blend(query, rows)
    assert everything.tolist() == [list(range(6))] * len(rows)
    assert chosen.shape == values.shape == (len(rows), n)
    assert (np.diff(chosen, axis=1) > 0).all()
    for row in range(len(rows)):
        in_all = scores[row, chosen[row]]
        np.testing.assert_array_equal(np.isneginf(values[row]), np.isneginf(in_all))
        assert np.argsort(values[row], kind="stable").tolist() == np.argsort(in_all, kind="stable").tolist()
    short, long = (answer_query(replace(query, k=k), "blend").items for k in (2, 5))
    np.testing.assert_array_equal(short, long[:, :2])
