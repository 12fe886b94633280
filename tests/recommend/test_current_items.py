"""Items as they are now, on the six items of the model made by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstday.errors import DataError
from firstday.recommend.new_items.current_items import find_fulfilled, state_items
from firstday.recommend.questionnaire import Answers, Questionnaire, find_unlisted
from firstday.recommend.recommender import Recommender
from firstday.tables.schema import EXPIRES_AT, RECOMMENDABLE
from tests.tiny import make_content, make_model

MODEL = make_model().with_learned(content=make_content())
EAST: dict[str, Any] = {"country": "FR"}
RULES: list[dict[str, Any]] = [
    {},
    {"filter": "year >= 2021 or in_stock"},
    {"filter": "'jazz' in genre", "boost": {"mood == 'calm'": 3}},
    {"cap": {"artist": 1}},
    {"cap": {"genre": 1}, "boost": {"in_stock": 2}},
    {"deny": ["i1", "x"], "pin": {1: "i4"}},
    {"allow": ["i2", "i3", "i5", "n1", "x"]},
]
UPDATE = st.fixed_dictionaries(
    {"item_id": st.sampled_from(["i1", "i2", "i3", "i4", "i5", "i6", "n1", "n2"])},
    optional={
        "title": st.sampled_from(["Two", "Zwei"]),
        "year": st.sampled_from([2020.0, 2023.0, 2030.0]),
        "in_stock": st.booleans(),
        "mood": st.sampled_from(["calm", "new"]),
        "artist_id": st.sampled_from([[], ["a1"], ["a2"], ["a1", "a9"]]),
        "genre": st.sampled_from([["jazz"], ["folk", "rock"]]),
        "recommendable": st.booleans(),
        "expires_at": st.sampled_from(["2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"]),
    },
)
TYPES = {"artist_id": pl.List(pl.String), "genre": pl.List(pl.String)}


def ids(answer: Any) -> list[str]:
    return [item.item_id for item in answer]


def make_table(items: list[dict[str, Any]]) -> pl.DataFrame:
    columns = dict.fromkeys(name for one in items for name in one)
    return pl.DataFrame([pl.Series(name, [one.get(name) for one in items], TYPES.get(name)) for name in columns])


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(UPDATE, min_size=1, max_size=8, unique_by=lambda one: one["item_id"]), st.sampled_from(RULES))
def test_lists_are_those_of_a_model_with_these_items(items: list[dict[str, Any]], rules: dict[str, Any]) -> None:
    """For items that the model knows; rules and their caches follow a change as if they were compiled for it."""
    known = [one for one in items if one["item_id"] in "i1 i2 i3 i4 i5"]
    recommender = Recommender(MODEL).with_items(make_table(known or [{"item_id": "i1"}]))
    current = recommender.current_items
    assert current is not None
    unlisted = np.flatnonzero(~current.listed)
    segments = MODEL.segments.without(unlisted)
    expected = Recommender(replace(MODEL, catalogue=current.catalogue, unlisted=unlisted, segments=segments))
    for strategy in ("popular", "group", "segment", "soft_segments", "personal", "blend", "neighbors", "explore"):
        answer, other = (one.recommend(EAST, 4, strategy, rules=rules) for one in (recommender, expected))
        assert [(one.item_id, one.title) for one in answer] == [(one.item_id, one.title) for one in other], strategy
        assert answer.notes == other.notes
    for one in (recommender, expected):
        assert not set(ids(one.similar("i1", 4))) & {f"i{item + 1}" for item in unlisted}


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.lists(UPDATE, min_size=1, max_size=8, unique_by=lambda one: one["item_id"]), st.sampled_from(RULES))
def test_what_may_not_be_listed_is_nowhere(items: list[dict[str, Any]], rules: dict[str, Any]) -> None:
    recommender = Recommender(MODEL).with_items(make_table(items))
    hidden = {
        one["item_id"] for one in items if one.get("recommendable") is False or one.get("expires_at", "3") < "2026"
    }
    user = {**EAST, "interactions": [("stream", "item", "i2")], "shown": ["i3"]}
    for strategy in ("blend", "segment", "explore"):
        answer = recommender.recommend(user, 8, strategy, rules=rules)
        explanation = recommender.explain(user, answer)
        found = {
            *ids(answer),
            *(item.item_id for near in explanation.segments for item in (*near.top, *near.distinctive)),
        }
        found |= {one.most_like.item_id for one in explanation.items if one.most_like}
        assert not hidden & found
    page = recommender.recommend_rows(user, [{"name": "a", "k": 2}, {"name": "b", "k": 4}], rules=rules)
    assert not hidden & {item for row in page.values() for item in ids(row)}
    question = Questionnaire.of(MODEL).next_question(Answers(), find_unlisted(recommender).tolist())
    assert question is None or MODEL.catalogue.items[question.target] not in hidden


def test_an_unused_item_is_withdrawn_also_where_nothing_is_known_about_new_ones() -> None:
    recommender = Recommender(make_model())
    assert "i6" in ids(recommender.recommend(EAST, 6))
    withdrawn = recommender.with_items(make_table([{"item_id": "i6", "recommendable": False}]))
    assert "i6" not in ids(withdrawn.recommend(EAST, 6))


@pytest.mark.parametrize("others", [[], [{"item_id": "n1", "title": "Dawn"}]])
def test_an_item_whose_artist_is_corrected_is_rejected_with_this_artist(others: list[dict[str, Any]]) -> None:
    model = replace(MODEL, config=MODEL.config.override("signals.never_recommend", ["ban x artist"]))
    user = {"interactions": [("ban", "artist", "a1")]}
    assert "i4" in ids(Recommender(model).recommend(user, 6))
    corrected = Recommender(model).with_items(make_table([{"item_id": "i4", "artist_id": ["a1"]}, *others]))
    assert "i4" not in ids(corrected.recommend(user, 6))
    assert "i4" not in ids(corrected.recommend_rows(user, [{"name": "a", "k": 3}, {"name": "b"}])["b"])
    assert "i4" in ids(corrected.recommend(user, 6, keep_used=True))


def test_a_missing_value_is_the_model_s_and_a_stated_one_replaces_it() -> None:
    recommender = Recommender(MODEL).with_items(make_table([{"item_id": "i2", "year": 2030.0, "title": "Zwei"}]))
    answer = recommender.recommend(EAST, rules={"filter": "year == 2030 and mood == 'calm'"})
    assert [(one.item_id, one.title) for one in answer] == [("i2", "Zwei")]
    assert ids(recommender.recommend(EAST, rules={"filter": "year == 2020"})) == []


@pytest.mark.parametrize(
    ("column", "values", "stated"),
    [
        (RECOMMENDABLE, [False] + [True] * 5, True),
        (EXPIRES_AT, ["2020-01-01T00:00:00Z"] + [None] * 5, "2999-01-01T00:00:00Z"),
    ],
)
def test_an_item_withheld_at_training_can_be_listed_again(column: str, values: list[Any], stated: Any) -> None:
    columns = {**MODEL.catalogue.columns, column: pl.Series(values)}
    catalogue = replace(MODEL.catalogue, columns=columns)
    model = replace(MODEL, catalogue=catalogue, unlisted=np.array([0], np.int32))
    assert "i1" not in ids(Recommender(model).recommend(EAST))
    assert "i1" in ids(Recommender(model).with_items(make_table([{"item_id": "i1", column: stated}])).recommend(EAST))


def test_a_value_of_another_type_is_a_fault() -> None:
    with pytest.raises(DataError) as raised:
        Recommender(MODEL).with_items(make_table([{"item_id": "i1", "year": "soon"}]))
    assert raised.value.faults[0].where == "items.year"


def test_what_a_model_has_by_now_is_fulfilled() -> None:
    items = [{"item_id": "i1", "year": 2019.0, "mood": "wild", "recommendable": True}, {"item_id": "i2", "year": 2.0}]
    found = find_fulfilled(MODEL, state_items(MODEL, make_table(items)))
    assert found == {"i1": {"year", "recommendable"}, "i2": set()}
