"""Items added to the five users' service: an artist's new item is placed among the others by its probability of use.

Whoever is of the east uses an item of the artist a1 (east) with the log-odds -3 + 4 + log(2/5), which is .521; others
with .019. The near segment's share of other items is smoothed by five users of everyone: in the east, i1 .75, i3 .625,
i2 .5, i4 .25.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import firstday as fd
from firstday.errors import ConfigError, DataError
from firstday.features.signals import Signals
from firstday.model.calibration import Calibration
from firstday.model.trained_model import TrainedModel
from firstday.recommend.answers import answer_query
from firstday.recommend.new_items.attributes import tabulate
from firstday.recommend.new_items.current_items import MAX_NEW_ITEMS
from firstday.recommend.query import Answer, Query
from firstday.recommend.recommender import Recommender
from firstday.recommend.registry import find_strategy
from tests.batches import recommend_tables
from tests.tiny import make_content, make_model

EAST_USER: dict[str, Any] = {"country": "FR"}
NORTH_USER: dict[str, Any] = {"country": "DE"}


@pytest.fixture(scope="module")
def model() -> TrainedModel:
    return make_model().with_learned(content=make_content())


def add(model: TrainedModel, *items: Mapping[str, Any]) -> Recommender:
    return Recommender(model).with_items(pl.DataFrame(list(items), infer_schema_length=None))


NEW = {"item_id": "n1", "title": "Dawn", "artist_id": ["a1"], "genre": ["jazz"], "year": 2026.0, "in_stock": True}


def ids(answer: fd.Recommendation) -> list[str]:
    return [item.item_id for item in answer]


def test_an_item_comes_before_those_that_the_user_uses_less_likely(model: TrainedModel) -> None:
    recommender = add(model, NEW)
    east = recommender.recommend(EAST_USER)
    assert ids(east) == ["i1", "i3", "n1", "i2"]
    assert [item.title for item in east] == ["One", "Three", "Dawn", "Two"]
    assert east[2].score == pytest.approx(2 / 3)  # that of i2, as shares of a segment are no probabilities
    assert (east.route, east.n_ranked) == ("segment", 4)
    assert "n1" not in ids(recommender.recommend(NORTH_USER))
    assert ids(recommender.recommend(NORTH_USER, 6))[-1] == "n1"  # only i6 is used less: by nobody


@pytest.mark.parametrize(("propensity", "place"), [(0.5, []), (1.0, [2])])
def test_new_items_are_not_inserted_in_lists_that_are_drawn_at_random(
    model: TrainedModel, propensity: float, place: list[int]
) -> None:
    recommender = add(model, NEW)
    assert recommender.current_items is not None
    users = [Signals(country="FR")]
    batch, of_current = (each.read(users)[0] for each in (model.catalogue, recommender.current_items.catalogue))
    query = Query(model, batch, 4).with_current_items(recommender.current_items, of_current)

    def draw(query: Query) -> Answer:
        answer = find_strategy("segment").recommend(query)
        return replace(answer, propensities=np.full(answer.items.shape, propensity, dtype=np.float32))

    answer = answer_query(query, draw)
    assert np.flatnonzero(answer.items[0] == model.n_items).tolist() == place


def test_scores_that_are_probabilities_are_compared(model: TrainedModel) -> None:
    """Scores of personal are 1, .75, .5, .25 and 0, and the log-odds 4 times as much, less 1."""
    calibrated = replace(model, calibrations={"personal": Calibration(-1.0, 4.0, 0.0, 0.0, 100)})
    east = add(calibrated, NEW).recommend(EAST_USER, strategy="personal")
    assert ids(east) == ["i1", "i2", "i3", "n1"]
    assert east[3].score == pytest.approx(0.5)  # that of i4
    assert east.score_scale == "probability of use"


def test_what_was_shown_and_not_used_since_falls(model: TrainedModel) -> None:
    """Whoever is of the east was expected to use n1 with .521, or without content with .019."""

    def place(n_shown: int, n_used: int) -> list[str]:
        return ids(add(model, {**NEW, "n_shown": n_shown, "n_used": n_used}).recommend(EAST_USER))

    assert place(0, 0) == ["i1", "i3", "n1", "i2"]
    assert place(20, 0) == ["i1", "i3", "i2", "i4"]
    assert place(1, 9) == ["n1", "i1", "i3", "i2"]


def test_an_own_vector_says_what_an_item_is_like(model: TrainedModel) -> None:
    recommender = add(model, {"item_id": "n1", "vector": [2.0, 0.0]}, {"item_id": "n2"})
    assert ids(recommender.recommend(EAST_USER)) == ["i1", "i3", "n1", "i2"]
    assert "n1" not in ids(recommender.recommend(NORTH_USER))
    with pytest.raises(DataError) as raised:
        add(model, {"item_id": "n1", "vector": [1.0, 0.0, 0.0]})
    assert raised.value.faults[0].where == "items.vector"
    without = model.with_learned(content=make_content(projection=np.zeros((0, 4), np.float32)))
    assert "n1" not in ids(add(without, {"item_id": "n1", "vector": [2.0, 0.0]}).recommend(EAST_USER))


def test_users_of_whom_nothing_is_known_are_average(model: TrainedModel) -> None:
    assert ids(add(model, NEW).recommend({})) == ["i1", "i3", "i2", "i4"]  # .6, .6, .4 and .4, and .019
    popular = make_content(centre=np.array([0, 0, 3], np.float32))  # .5
    assert ids(add(model.with_learned(content=popular), NEW).recommend({})) == ["i1", "i3", "n1", "i2"]


def calibrate_blend(model: TrainedModel, slope: float = 1.0) -> TrainedModel:
    """Return the model with log-odds of use by `blend` that are a multiple of its scores."""
    return replace(model, calibrations={"blend": Calibration(0.0, slope, 0.0, 0.0, 100)})


def recommend_blend(recommender: Recommender, k: int = 6, **rules: Any) -> fd.Recommendation:
    return recommender.recommend(EAST_USER, k, "blend", rules=rules)


@pytest.mark.parametrize("slope", [0.2, 1.0, 5.0])
def test_blend_ranks_new_items_with_the_others_by_probability(model: TrainedModel, slope: float) -> None:
    """Whoever is of the east uses n1 with .521, whatever the other scores mean."""
    answer = recommend_blend(add(calibrate_blend(model, slope), NEW))
    of_items = {item.item_id: item.score for item in answer}
    assert of_items["n1"] == pytest.approx(1 / (1 + np.exp(3 - 4 - np.log(2 / 5))), rel=1e-4)
    assert answer.route == "blend"
    assert answer.score_scale == "probability of use"
    ranked = [item.score for item in answer.items[: answer.n_ranked]]
    assert ranked == sorted(ranked, reverse=True)
    without = recommend_blend(Recommender(calibrate_blend(model, slope)))
    assert [item for item in ids(answer) if item != "n1"][:5] == ids(without)[:5]


def test_rules_exclusions_and_pages_hold_for_new_items_in_blend(model: TrainedModel) -> None:
    items = [{**NEW, "item_id": f"n{number}", "year": 2026.0 - number} for number in range(3)]
    recommender = add(calibrate_blend(model), *items)
    listed = ids(recommend_blend(recommender, 9))
    assert {"n0", "n1", "n2"} < {*listed}
    assert [ids(recommend_blend(recommender, k)) for k in range(1, 9)] == [listed[:k] for k in range(1, 9)]
    assert ids(recommend_blend(recommender, 3, after=2)) == listed[2:5]
    assert ids(recommend_blend(recommender, filter="year >= 2025")) == ["n0", "n1"]
    without = Recommender(replace(recommender.model, calibrations={}), recommender.current_items)
    assert set(ids(recommend_blend(without, filter="year >= 2025"))) == {"n0", "n1"}
    assert "n1" not in ids(recommend_blend(recommender, 9, deny=["n1"]))
    assert ids(recommend_blend(recommender, pin={1: "n2"}))[0] == "n2"
    assert ids(recommend_blend(recommender, boost={"year == 2024": 100}))[0] == "n2"
    assert sum(item in ids(recommend_blend(recommender, cap={"artist": 1})) for item in ("n0", "n1", "n2")) <= 1
    for did in ({"interactions": [("stream", "item", "n1")]}, {"shown": ["n1"]}):
        assert "n1" not in ids(recommender.recommend({**EAST_USER, **did}, 9, "blend"))


def test_an_item_of_the_model_that_is_new_is_listed_once_in_blend(model: TrainedModel) -> None:
    recommender = add(calibrate_blend(model), {"item_id": "i6", "artist_id": ["a1"]})
    listed = ids(recommend_blend(recommender, 6, deny=["i2"]))
    assert sorted(listed) == ["i1", "i3", "i4", "i5", "i6"]
    assert listed.index("i6") < 4


def test_new_items_of_a_followed_artist_rise_with_each_item_used_and_fall_with_age(model: TrainedModel) -> None:
    content = make_content(odds=np.array([5.0, 0, 1, 0.5, 1, -0.5, 0]), rates={"artist": np.array([0.3, 0.1])})
    old = {**NEW, "item_id": "old", "added_at": "2020-01-01T00:00:00Z"}
    recommender = add(calibrate_blend(model.with_learned(content=content)), NEW, old)
    scores = []
    for known in ([], ["i1"], ["i1", "i2"]):
        user = {"country": "DE", "interactions": [("stream", "item", item) for item in known]}
        listed = {item.item_id: item.score for item in recommender.recommend(user, 6, "blend")}
        assert listed["n1"] > listed["old"]
        scores.append(listed["n1"])
    assert scores[0] < scores[1] < scores[2]


@pytest.mark.parametrize(("intercept", "is_first"), [(30.0, True), (-30.0, False)])
def test_new_items_are_ranked_with_the_others_if_some_were_passed_over(
    model: TrainedModel, intercept: float, is_first: bool
) -> None:
    content = make_content(odds=np.array([intercept, 4, 1, 0, 1, 0, 0]))
    recommender = add(calibrate_blend(model.with_learned(content=content)), NEW)
    listed = recommender.recommend({**EAST_USER, "shown": ["i4"]}, 6, "blend")
    assert listed.score_scale != "probability of use"
    assert (ids(listed)[0] == "n1") == is_first


@pytest.mark.parametrize("strategy", ["segment", "blend", "explore"])
def test_without_new_items_lists_are_the_same(model: TrainedModel, strategy: str) -> None:
    plain = Recommender(model).recommend(EAST_USER, strategy=strategy)
    own = pl.DataFrame({"item_id": ["i1", "i2"], "title": ["One", None], "recommendable": [True, None]})
    assert add(model, NEW).with_items(own).recommend(EAST_USER, strategy=strategy) == plain


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"filter": "year >= 2026"}, ["n1"]),
        ({"filter": "mood == 'calm'"}, ["i1", "i2"]),  # n1 has no mood
        ({"filter": "item_id not in lists.sold", "lists": {"sold": ["n1", "i1"]}}, ["i3", "i2", "i4", "i5"]),
        ({"allow": ["n1", "i4"]}, ["n1", "i4"]),
        ({"deny": ["n1"]}, ["i1", "i3", "i2", "i4"]),
        ({"cap": {"artist": 1}}, ["i1", "i3", "i4", "i6"]),
        ({"cap": {"artist": 2}}, ["i1", "i3", "n1", "i4"]),
        ({"pin": {1: "n1"}}, ["n1", "i1", "i3", "i2"]),
        ({"boost": {"year >= 2026": 10}}, ["n1", "i1", "i3", "i2"]),
        ({"after": 2}, ["n1", "i2", "i4", "i5"]),
    ],
)
def test_rules_hold_for_new_items(model: TrainedModel, rules: dict[str, Any], expected: list[str]) -> None:
    answer = add(model, NEW).recommend(EAST_USER, rules=rules)
    assert ids(answer) == expected
    assert not [note for note in answer.notes if "unknown" in note]


@pytest.mark.parametrize(
    ("user", "is_listed"),
    [
        ({"interactions": [("stream", "item", "n1")]}, False),
        ({"interactions": [("skip", "item", "n1")]}, True),
        ({"shown": ["n1"]}, False),
        ({"shown": [("n1", 30)]}, True),  # possibly not seen
    ],
)
def test_a_user_s_history_with_a_new_item_counts(model: TrainedModel, user: dict[str, Any], is_listed: bool) -> None:
    recommender = add(model, NEW)
    answer = recommender.recommend({**EAST_USER, **user})
    assert ("n1" in ids(answer)) == is_listed
    assert not [sentence for sentence in answer.ignored if "n1" in sentence]
    used = {**EAST_USER, "interactions": [("stream", "item", "n2")]}
    assert any("n2" in sentence for sentence in recommender.recommend(used).ignored)


@pytest.mark.parametrize("changes", [{}, {"unit_vectors": True}, {"through_items": ("favorite x *",)}])
def test_a_new_item_speaks_for_its_user(model: TrainedModel, changes: dict[str, Any]) -> None:
    """By the vector that is predicted of it or, where its signal has no block, by its artist: both are of the north."""
    encoder = replace(model.encoder, config=model.encoder.config.model_copy(update=changes))
    north = {**NEW, "artist_id": ["a2"]}
    recommender = add(replace(model, signal_encoder=encoder), north, {**north, "item_id": "n2"})
    user = {"interactions": [("favorite" if "through_items" in changes else "stream", "item", "n2")]}
    answer = recommender.recommend(user, 2)
    assert (ids(answer), answer.route, answer.segment) == (["i4", "i3"], "segment", 1)
    assert recommender.explain(user, answer).known == "1-3"
    most_north = {"interactions": [("stream", "item", used) for used in ("i1", "n1", "n2")]}
    answers = recommender.recommend_users({"a": most_north, "b": EAST_USER})
    assert (answers["a"].segment, answers["b"].segment) == (1, 0)


def test_items_of_the_model_count_next_to_new_ones_as_they_do_alone(model: TrainedModel) -> None:
    config = model.encoder.config.model_copy(update={"fold_in": True, "through_items": ("stream x *",)})
    encoder = replace(model.encoder, config=config, pairs=(*model.encoder.pairs, ("stream", "artist")))
    current = add(replace(model, signal_encoder=encoder), NEW).current_items
    assert current is not None
    did = [("stream", "item", "i1"), ("skip", "item", "i4"), ("ban", "artist", "a2")]
    users = [Signals(interactions=did), Signals(country="DE")]
    signals, _ = current.catalogue.read(users)
    own, _ = current.model.read_signals(users)
    np.testing.assert_array_equal(current.encode(signals), current.model.encoder.encode(own))


def test_rows_of_a_page_do_not_repeat_a_new_item(model: TrainedModel) -> None:
    page = add(model, NEW).recommend_rows(EAST_USER, [{"name": "a", "k": 3}, {"name": "b", "k": 3}])
    assert [ids(row) for row in page.values()] == [["i1", "i3", "n1"], ["i2", "i4", "i5"]]


def test_an_item_that_the_model_knows_but_nobody_used_is_new(model: TrainedModel) -> None:
    recommender = add(model, {"item_id": "i6", "artist_id": ["a1"]})
    longest = ids(recommender.recommend(EAST_USER, 6))
    assert longest[:4] == ["i1", "i3", "i6", "i2"]
    assert len(set(longest)) == 6
    assert "i6" not in ids(recommender.recommend({**EAST_USER, "interactions": [("stream", "item", "i6")]}))


def test_an_item_that_is_not_recommendable_is_never_listed(model: TrainedModel) -> None:
    flags = {**model.catalogue.columns, "recommendable": pl.Series([True] * 6)}
    flagged = replace(model, catalogue=replace(model.catalogue, columns=flags))
    assert "n1" in ids(add(flagged, {**NEW, "recommendable": True}).recommend(EAST_USER))
    assert "n1" not in ids(add(flagged, {**NEW, "recommendable": False}).recommend(EAST_USER))


def test_columns_may_have_any_name(model: TrainedModel) -> None:
    own = {name: pl.Series([0.5] * 6) for name in ("rate", "freshness", "log_use", "n_bytes", "first_us")}
    columns = {**model.catalogue.columns, **own}
    wider = replace(model, catalogue=replace(model.catalogue, columns=columns))
    recommender = add(wider, {**NEW, **dict.fromkeys(own, 0.25)})
    for name in own:
        assert ids(recommender.recommend(EAST_USER, rules={"filter": f"{name} < 0.5"})) == ["n1"]


def test_explore_lists_learned_items_only_and_says_so(model: TrainedModel) -> None:
    recommender = add(model, NEW)
    for number in range(20):
        answer = recommender.recommend({**EAST_USER, "user_id": number}, 3, "explore")
        assert "n1" not in ids(answer)
        assert sum("new item" in note for note in answer.notes) == 1
    assert not any("new item" in note for note in recommender.recommend(EAST_USER).notes)


def test_a_model_that_learned_nothing_refuses_new_items() -> None:
    with pytest.raises(ConfigError, match="items"):
        add(make_model(), NEW)


def test_too_many_items_and_columns_of_another_type_are_refused(model: TrainedModel) -> None:
    many = pl.DataFrame({"item_id": [f"n{number}" for number in range(MAX_NEW_ITEMS + 1)]})
    with pytest.raises(DataError, match="10,001"):
        Recommender(model).with_items(many)
    with pytest.raises(DataError) as raised:
        add(model, {**NEW, "year": "late"})
    assert raised.value.faults[0].where == "items.year"


def test_a_text_is_a_list_of_one_where_the_model_has_lists(model: TrainedModel) -> None:
    assert ids(add(model, {**NEW, "licensed_in": "FR"}).recommend(EAST_USER, rules={"filter": "licensed_in == 'FR'"}))[
        :2
    ] == ["i1", "n1"]


def test_times_are_read_in_every_form_that_json_has() -> None:
    times = ["2026-11-01T12:00:00.500000Z", None, "2026-11-01T12:00:00+00:00", "2026-11-01T12:00:00Z"]
    read = tabulate([{"item_id": "n1", "added_at": time} for time in times])["added_at"]
    assert read.to_list() == [time and datetime.fromisoformat(time) for time in times]


def test_integer_and_text_ids_are_joined(model: TrainedModel) -> None:
    assert ids(add(model, {**NEW, "item_id": 7}).recommend(EAST_USER)) == ["i1", "i3", "7", "i2"]


def test_batches_read_new_items_and_what_users_did_with_them(model: TrainedModel, tmp_path: Path) -> None:
    folder = tmp_path / "newcomers"
    folder.mkdir()
    pl.DataFrame({"user_id": ["a", "b"], "country": ["FR", "FR"]}).write_csv(folder / "users.csv")
    pl.DataFrame({"user_id": ["b", "b", "c"], "item_id": ["n1", "n9", "n2"]}).write_csv(folder / "interactions.csv")
    items = "item_id,title,artist_id,year\nn1,Dawn,a1,2026\ni1,known,a1,2000\nn2,Dusk,a2,2026\n"
    (folder / "items.csv").write_text(items)
    out = tmp_path / "lists.csv"
    summary = recommend_tables(Recommender(model), folder, out, 4)
    lists = pl.read_csv(out)
    assert lists.filter(user_id="a")["item_id"].to_list() == ["i1", "i3", "n1", "i2"]
    assert lists.filter(user_id="b")["item_id"].to_list() == ["i1", "i3", "i2", "i4"]
    assert lists.filter(user_id="c")["item_id"].to_list() == ["i4", "i3", "i5", "i1"]
    assert summary.unknown == {"item": 1}


def test_what_goes_with_an_item_is_not_new(model: TrainedModel) -> None:
    assert "n1" not in ids(add(model, NEW).similar("i1", 6))


def test_what_goes_with_a_new_item_has_near_vectors(model: TrainedModel) -> None:
    answer = add(model, NEW).similar("n1", 2)
    assert answer.route == "nearest"
    assert "n1" not in ids(answer)
