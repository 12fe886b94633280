"""`latest` and `trending` on the five users' service, whose item i1 came on day 1, i2 on day 2, and so on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from firstday.data.first_uses import FirstUses
from firstday.features.signals import Signals
from firstday.methods.trending import Trend, count_use
from firstday.model.trained_model import TrainedModel
from firstday.recommend.answers import answer_query
from firstday.recommend.query import Query
from firstday.recommend.recommendation import Recommendation
from firstday.recommend.recommender import Recommender
from firstday.sparse import SparseRows
from firstday.tables.schema import DAY_US
from tests.tiny import N_ITEMS, make_content, make_model

USES = FirstUses(
    SparseRows.from_lists([[4], [3, 4], [3], [0, 1], [0, 0, 1]], N_ITEMS),  # those of the last day first
    5 * DAY_US,
)
NEW: list[dict[str, Any]] = [
    {"item_id": "n1", "artist_id": ["a1"], "added_at": None},
    {"item_id": "n2", "artist_id": ["a1", "a2"], "added_at": "1970-01-08T12:00:00Z"},
    {"item_id": "n3", "artist_id": ["a2"], "added_at": None},
    {"item_id": "n4", "artist_id": ["a1"], "added_at": None},
]
N1, N2, *_ = NEW


@pytest.fixture(scope="module")
def model() -> TrainedModel:
    return make_model().with_learned(content=make_content())


def add(model: TrainedModel, new: list[dict[str, Any]]) -> Recommender:
    types: dict[str, Any] = {"artist_id": pl.List(pl.String), "added_at": pl.String}
    return Recommender(model).with_items(pl.DataFrame(new, schema_overrides=types)) if new else Recommender(model)


def ids(answer: Recommendation) -> list[Any]:
    return [item.item_id for item in answer]


@pytest.mark.parametrize(
    ("actions", "new", "rules", "expected"),
    [
        ([("stream", "item", "i1")], [], {}, ["i2", "i3", "i4", "i5"]),
        ([("favorite", "artist", "a1"), ("stream", "item", "i4")], [], {}, ["i5", "i2", "i1", "i3"]),
        ([("favorite", "artist", "a1"), ("ban", "item", "i2")], [], {}, ["i1", "i3", "i4", "i5"]),
        ([("favorite", "artist", "a1")], [], {"deny": ["i2"]}, ["i1", "i3", "i4", "i5"]),
        ([("stream", "item", "i1")], NEW, {}, ["n4", "n1", "n2", "i2"]),  # the last of the table first, then by time
        ([("stream", "item", "n3")], NEW, {}, ["n2", "i5", "i4", "i1"]),  # followed for a new item
        ([("stream", "item", "i1"), ("stream", "item", "n4")], NEW, {"deny": ["n1"]}, ["n2", "i2", "i3", "i4"]),
        ([("stream", "item", "i1")], [{**N1, "recommendable": False}, N2], {}, ["n2", "i2", "i3", "i4"]),
        ([("stream", "item", "i1")], [{**N1, "added_at": "9999-01-01T00:00:00Z"}, N2], {}, ["n2", "i2", "i3", "i4"]),
        ([("stream", "item", "i1")], [{"item_id": "i5", "artist_id": ["a1"]}], {}, ["i5", "i2", "i3", "i4"]),
        ([("stream", "item", "i1")], [{**N1, "item_id": "i2", "added_at": N2["added_at"]}, N1], {}, ["n1", "i2", "i3"]),
    ],
)
def test_the_newest_of_what_is_followed_come_first(
    model: TrainedModel, actions: list[Any], new: list[Any], rules: dict[str, Any], expected: list[str]
) -> None:
    answer = add(model, new).recommend({"interactions": actions}, len(expected), "latest", rules=rules)
    assert (answer.route, ids(answer), answer.n_ranked) == ("latest", expected, len(expected))
    assert sorted([item.score for item in answer], reverse=True) == [item.score for item in answer]


def test_items_that_nobody_used_since_the_training_are_not_the_newest(model: TrainedModel) -> None:
    columns = {name: column for name, column in model.catalogue.columns.items() if name != "added_at"}
    latest = replace(model.learned["latest"], came_us=np.append(DAY_US * np.arange(1, N_ITEMS), -1))
    undated = replace(model.with_learned(latest=latest), catalogue=replace(model.catalogue, columns=columns))
    recommender = add(undated, [{"item_id": "i6", "artist_id": ["a1"]}])
    answer = recommender.recommend({"interactions": [("stream", "item", "i1")]}, 4, "latest")
    assert ids(answer) == ["i2", "i3", "i4", "i5"]


@pytest.mark.parametrize("actions", [[], [("stream", "item", "i3")], [("ban", "artist", "a1"), ("skip", "item", "i4")]])
def test_who_follows_nothing_gets_trending_items(model: TrainedModel, actions: list[Any]) -> None:
    latest, trending = (
        add(model, NEW).recommend({"interactions": actions}, 4, name) for name in ("latest", "trending")
    )
    assert latest.route == "trending"
    assert list(latest) == list(trending)


def test_known_and_new_items_have_the_same_reason(model: TrainedModel) -> None:
    recommender = add(model, NEW)
    user = {"interactions": [("stream", "item", "i1")]}
    explanation = recommender.explain(user, recommender.recommend(user, 5, "latest"))
    newest, trending = [item.why for item in explanation.items[:4]], explanation.items[4].why
    assert len(set(newest)) == 1
    assert trending not in newest


def test_lists_as_of_a_moment_have_nothing_that_came_later(model: TrainedModel) -> None:
    """Item i1 came at the end of day 1, i2 of day 2, and n2 at noon of day 7."""
    moments = (np.array([0.5, 1, 1.1, 2.1, 7.5, 7.6]) * DAY_US).astype(np.int64)
    current = add(model, [N2]).current_items
    assert current is not None
    users = [Signals(interactions=[("favorite", "artist", "a1")])] * len(moments)
    batch, of_current = (catalogue.read(users)[0] for catalogue in (model.catalogue, current.catalogue))
    query = Query(model, batch, 3, moments=moments).with_current_items(current, of_current)
    answer = answer_query(query, "latest")
    assert set(answer.routes) == {"latest"}
    is_newest = answer.scores >= 1  # trending items have shares
    newest = [
        current.catalogue.items.take(items[chosen]).to_list()
        for items, chosen in zip(answer.items, is_newest, strict=True)
    ]
    assert newest == [[], [], ["i1"], ["i2", "i1"], ["i2", "i1"], ["n2", "i2", "i1"]]


def test_only_uses_in_the_last_days_are_trending(model: TrainedModel) -> None:
    """In the last two days, i5 was used twice and i4 once; all others rank by all their uses."""

    def order(n_days: int) -> list[Any]:
        trend = Trend(n_days, count_use(USES, n_days))
        return ids(add(model.with_learned(trend=trend), []).recommend({}, 6, "trending"))

    assert order(1) == ["i5", "i1", "i2", "i4", "i3", "i6"]
    assert order(2) == ["i5", "i4", "i1", "i2", "i3", "i6"]
    assert order(9) == ["i1", "i2", "i4", "i5", "i3", "i6"]
