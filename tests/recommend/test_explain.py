"""Explanations in Python, on the model made by hand; tests/serve/test_explain.py has the figures, over HTTP."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import pytest

import firstday as fd
from firstday.errors import DataError
from firstday.recommend.recommendation import Recommendation
from firstday.recommend.recommender import Recommender

USER = {"interactions": [("stream", "item", "i5"), ("skip", "item", "i1")]}


def reasons(tiny: Recommender, user: dict[str, Any], answer: Recommendation) -> list[tuple[Any, str]]:
    """Return the reasons of a list; each item has one."""
    explained = tiny.explain(user, answer).items
    assert [reason.item_id for reason in explained] == [item.item_id for item in answer]
    return [(reason.most_like and reason.most_like.item_id, reason.why) for reason in explained]


def test_each_item_has_its_reason_and_the_segments_are_the_nearest(tiny: Recommender) -> None:
    answer = tiny.recommend(USER, strategy="segment")
    explanation = tiny.explain(USER, answer)
    assert isinstance(explanation, fd.Explanation)
    assert [(near.number, near.weight) for near in explanation.segments] == [(1, 1.0), (0, 0.0)]
    assert [near.distance for near in explanation.segments] == pytest.approx([(1 / 8) ** 0.5, (9 / 8) ** 0.5], rel=1e-4)
    assert [reason.share_of_segment for reason in explanation.items] == [1.0, 0.5, 0.0, 0.0]
    assert {like for like, _ in reasons(tiny, USER, answer)} == {"i5"}
    assert explanation.known == "1-3"


def test_of_nobody_nothing_is_near(tiny: Recommender) -> None:
    explanation = tiny.explain({}, tiny.recommend({}))
    assert (explanation.known, explanation.segments) == ("nothing", ())
    assert {(reason.share_of_segment, reason.most_like) for reason in explanation.items} == {(None, None)}


def test_lists_of_every_call_can_be_explained(tiny: Recommender) -> None:
    for item in tiny.model.catalogue.items.values:
        answer = tiny.similar(item, 3, USER)
        assert all(why.endswith(".") for _, why in reasons(tiny, USER, answer))
        assert answer.route in tiny.explain(USER, answer).route
    rows = tiny.recommend_rows(USER, [{"name": "first", "k": 2}, {"name": "second", "k": 2}])
    assert [len(reasons(tiny, USER, answer)) for answer in rows.values()] == [2, 2]
    lists = tiny.recommend_users({"u": USER})
    assert reasons(tiny, USER, lists["u"]) == reasons(tiny, USER, tiny.recommend(USER))


def test_an_explanation_is_a_value_and_signals_are_checked(tiny: Recommender) -> None:
    answer = tiny.recommend({})
    with pytest.raises(FrozenInstanceError):
        tiny.explain({}, answer).route = ""  # type: ignore[misc]
    with pytest.raises(DataError) as caught:
        tiny.explain({"age": -1}, answer)
    assert caught.value.where == "age"
