"""Items added to the five users' service: an artist's new item is placed among the others by its probability of use.

Two of five users are predicted to use an item of the artists a1 (east) and a2 (north). Whoever is of the east uses the
former with a probability of 2/5 x 4 / 2.8 = .571, whoever is of the north with .143: 3/5 of 4 and 2/5 of 1 are 2.8. The
near segment's share of other items is smoothed by five users of everyone: in the east, i1 .75, i3 .625, i2 .5, i4 .25.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import firstday as fd
from firstday.errors import ConfigError, DataError
from firstday.features.signals import Signals
from firstday.methods.explore import NEW_SHARE, recommend_explore
from firstday.model.calibration import Calibration
from firstday.model.folder import save_model
from firstday.model.trained_model import TrainedModel
from firstday.recommend.added_items import MAX_ADDED
from firstday.recommend.batch import recommend_tables
from firstday.recommend.placement import read_additions
from firstday.recommend.query import Query
from firstday.recommend.recommender import Recommender, open_model
from firstday.segment.new_items import N_DRAWS
from tests.tiny import make_content, make_model

NOW = datetime(2026, 12, 2, tzinfo=UTC)
EAST_USER: dict[str, Any] = {"country": "FR"}
NORTH_USER: dict[str, Any] = {"country": "DE"}


@pytest.fixture(scope="module")
def model() -> TrainedModel:
    return replace(make_model(), content=make_content())


def add(model: TrainedModel, *items: Mapping[str, Any], now: datetime = NOW) -> Recommender:
    return Recommender(model).with_items(pl.DataFrame(list(items), infer_schema_length=None), now=now)


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


def test_words_are_as_good_as_an_artist(model: TrainedModel) -> None:
    recommender = add(model, {"item_id": "n1", "title": "To the East!"}, {"item_id": "n2", "description": "north"})
    assert "n1" in ids(recommender.recommend(EAST_USER))
    assert "n2" in ids(recommender.recommend(NORTH_USER))
    assert "n2" not in ids(recommender.recommend(EAST_USER))


def test_scores_that_are_probabilities_are_compared_and_kept(model: TrainedModel) -> None:
    """Scores of personal are 1, .75, .5, .25 and 0, and the log-odds 4 times as much, less 1."""
    calibrated = replace(model, calibrations={"personal": Calibration(-1.0, 4.0, 0.0, 0.0, 100)})
    east = add(calibrated, NEW).recommend(EAST_USER, strategy="personal")
    chances = 1 / (1 + np.exp(1 - 4 * np.array([1, 0.75, 0.5])))
    assert ids(east) == ["i1", "i2", "i3", "n1"]
    assert [item.score for item in east] == pytest.approx([*chances, 4 / 7])
    assert east.score_scale == "probability of use"


def test_users_of_whom_nothing_is_known_are_average(model: TrainedModel) -> None:
    nobody = add(model, NEW).recommend({})
    assert ids(nobody) == ["i1", "i3", "i2", "i4"]  # .6, .6, .4 and .4; so are the two users predicted for n1
    assert ids(add(replace(model, content=make_content(level=1.2)), NEW).recommend({})) == ids(nobody)
    rare = make_content(centre=np.array([0, 0, np.log(2.2)], np.float32))
    assert ids(add(replace(model, content=rare), NEW).recommend({})) == ["i1", "i3", "n1", "i2"]


def test_an_item_is_listed_by_how_items_of_its_age_are_used(model: TrainedModel) -> None:
    aged = replace(model, content=make_content(age_days=np.array([0.0, 7.0]), age_factors=np.array([1.0, 0.1])))
    for days, is_listed in ((0, True), (6, True), (8, False)):
        item = {**NEW, "added_at": NOW - timedelta(days=days)}
        assert ("n1" in ids(add(aged, item).recommend(EAST_USER))) == is_listed


@pytest.mark.parametrize("strategy", ["segment", "blend", "explore", "popular", "ease"])
def test_without_new_items_lists_are_the_same(model: TrainedModel, strategy: str) -> None:
    plain = Recommender(model).recommend(EAST_USER, strategy=strategy)
    recommender = add(model, NEW).with_items(pl.DataFrame({"item_id": ["i1", "i2"], "title": ["other", "names"]}))
    assert recommender.added is None
    assert recommender.recommend(EAST_USER, strategy=strategy) == plain


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"filter": "year >= 2026"}, ["n1"]),
        ({"filter": "year < 2026"}, ["i1", "i3", "i2", "i4"]),
        ({"filter": 'genre == "jazz" and in_stock'}, ["i1", "n1", "i2"]),
        ({"filter": "artist == 'a1'"}, ["i1", "n1", "i2"]),
        ({"filter": "mood == 'calm'"}, ["i1", "i2"]),  # n1 has no mood
        ({"filter": "item_id not in lists.sold", "lists": {"sold": ["n1", "i1"]}}, ["i3", "i2", "i4", "i5"]),
        ({"allow": ["n1", "i4"]}, ["n1", "i4"]),
        ({"deny": ["n1"]}, ["i1", "i3", "i2", "i4"]),
        ({"cap": {"artist": 1}}, ["i1", "i3", "i4", "i6"]),
        ({"cap": {"artist": 2}}, ["i1", "i3", "n1", "i4"]),
        ({"pin": {1: "n1"}}, ["n1", "i1", "i3", "i2"]),
        ({"boost": {"year >= 2026": 10}}, ["n1", "i1", "i3", "i2"]),
        ({"boost": {"year >= 2026": 0.01}}, ["i1", "i3", "i2", "n1"]),
        ({"after": 2}, ["n1", "i2", "i4", "i5"]),
        ({"after": 3}, ["i2", "i4", "i5", "i6"]),
    ],
)
def test_rules_hold_for_new_items(model: TrainedModel, rules: dict[str, Any], expected: list[str]) -> None:
    answer = add(model, NEW).recommend(EAST_USER, rules=rules)
    assert ids(answer) == expected
    assert not [note for note in answer.notes if "unknown" in note]


def test_ids_that_neither_the_model_nor_the_new_items_have_are_noted(model: TrainedModel) -> None:
    notes = add(model, NEW).recommend(EAST_USER, rules={"deny": ["n1", "n2"]}).notes
    assert any(note.startswith("1 ids of the rules") for note in notes)


@pytest.mark.parametrize(
    ("user", "is_listed"),
    [
        ({"interactions": [("stream", "item", "n1")]}, False),
        ({"interactions": [("ban", "item", "n1")]}, False),
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
    assert "n1" in ids(recommender.recommend({**EAST_USER, **user}, keep_used=True))
    used = {**EAST_USER, "interactions": [("stream", "item", "n2")]}
    assert any("n2" in sentence for sentence in recommender.recommend(used).ignored)


def test_rows_of_a_page_do_not_repeat_a_new_item(model: TrainedModel) -> None:
    page = add(model, NEW).recommend_rows(EAST_USER, [{"name": "a", "k": 3}, {"name": "b", "k": 3}])
    assert [ids(row) for row in page.values()] == [["i1", "i3", "n1"], ["i2", "i4", "i5"]]


def test_many_users_get_what_each_gets_alone(model: TrainedModel) -> None:
    users: list[dict[str, Any]] = [EAST_USER, NORTH_USER, {}, {"interactions": [("stream", "item", "n1")]}]
    recommender = add(model, NEW, {"item_id": "n2", "artist_id": ["a2"]})
    answers = recommender.recommend_users(users, 5)
    assert [ids(answer) for answer in answers.values()] == [ids(recommender.recommend(user, 5)) for user in users]
    frame = answers.to_frame()
    assert frame.filter(pl.col("user_id") == 0)["item_id"].to_list() == ids(answers[0])
    assert set(frame.filter(pl.col("item_id") == "n1")["title"]) == {"Dawn"}


def test_an_item_that_the_model_knows_but_nobody_used_is_new(model: TrainedModel) -> None:
    recommender = add(model, {"item_id": "i6", "artist_id": ["a1"]})
    assert recommender.added is not None
    assert len(recommender.added.unknown) == 0
    assert ids(recommender.recommend(EAST_USER)) == ["i1", "i3", "i6", "i2"]
    longest = ids(recommender.recommend(EAST_USER, 6))
    assert sorted(longest) == [f"i{number}" for number in range(1, 7)]
    assert "i6" not in ids(recommender.recommend({**EAST_USER, "interactions": [("stream", "item", "i6")]}))


def test_an_item_that_is_not_recommendable_is_never_listed(model: TrainedModel) -> None:
    flags = {**model.catalogue.columns, "recommendable": pl.Series([True] * 6)}
    flagged = replace(model, catalogue=replace(model.catalogue, columns=flags))
    assert "n1" in ids(add(flagged, {**NEW, "recommendable": True}).recommend(EAST_USER))
    assert "n1" not in ids(add(flagged, {**NEW, "recommendable": False}).recommend(EAST_USER))


def test_explore_offers_new_items_with_the_propensities_that_it_states(model: TrainedModel) -> None:
    added = add(model, NEW).added
    assert added is not None
    n_users = 2_000
    users = [Signals(user_id=number, **EAST_USER) for number in range(n_users)]
    batch, _ = model.read_signals(users)
    additions, _ = read_additions(added, users, keep_used=False)
    answer = recommend_explore(replace(Query(model, batch, 3), additions=additions))
    is_new = answer.items == model.n_items
    assert (is_new.sum(axis=1) <= 1).all()
    share = (added.offers.drawn(0) >= 0).mean()
    assert 0 < share < 1  # samples below what other items have on average offer nothing
    stated = np.unique(answer.propensities[is_new[:, 0], 0])
    assert len(stated) == 1
    expected = float(stated[0])
    assert expected <= NEW_SHARE
    deviation = np.sqrt(expected * (1 - expected) / n_users)
    assert abs(is_new[:, 0].mean() - expected) < 6 * deviation
    assert len(added.offers.drawn(0)) == N_DRAWS


def test_explore_obeys_rules_and_history(model: TrainedModel) -> None:
    recommender = add(model, NEW)
    for number in range(200):
        user = {**EAST_USER, "user_id": number}
        denied = recommender.recommend(user, strategy="explore", rules={"deny": ["n1"]})
        used = recommender.recommend({**user, "interactions": [("stream", "item", "n1")]}, strategy="explore")
        assert "n1" not in ids(denied) + ids(used)


def test_a_model_that_learned_nothing_refuses_new_items() -> None:
    with pytest.raises(ConfigError, match="items"):
        add(make_model(), NEW)


def test_too_many_items_and_columns_of_another_type_are_refused(model: TrainedModel) -> None:
    many = pl.DataFrame({"item_id": [f"n{number}" for number in range(MAX_ADDED + 1)]})
    with pytest.raises(DataError, match="10,001"):
        Recommender(model).with_items(many)
    with pytest.raises(DataError) as raised:
        add(model, {**NEW, "year": "late"})
    assert raised.value.faults[0].where == "items.year"
    with pytest.raises(DataError, match="item_id"):
        Recommender(model).with_items(pl.DataFrame({"title": ["nameless"]}))
    with pytest.raises(DataError, match=r"repeat|twice|once"):
        add(model, NEW, {**NEW, "title": "Dusk"})


def test_a_text_is_a_list_of_one_where_the_model_has_lists(model: TrainedModel) -> None:
    assert ids(add(model, {**NEW, "licensed_in": "FR"}).recommend(EAST_USER, rules={"filter": "licensed_in == 'FR'"}))[
        :2
    ] == ["i1", "n1"]


def test_integer_and_text_ids_are_joined(model: TrainedModel) -> None:
    assert ids(add(model, {**NEW, "item_id": 7}).recommend(EAST_USER)) == ["i1", "i3", "7", "i2"]


def test_batches_read_new_items_and_what_users_did_with_them(model: TrainedModel, tmp_path: Path) -> None:
    folder = tmp_path / "newcomers"
    folder.mkdir()
    pl.DataFrame({"user_id": ["a", "b"], "country": ["FR", "FR"]}).write_csv(folder / "users.csv")
    pl.DataFrame({"user_id": ["b", "b"], "item_id": ["n1", "n9"]}).write_csv(folder / "interactions.csv")
    (folder / "items.csv").write_text("item_id,title,artist_id,year\nn1,Dawn,a1,2026\ni1,known,a1,2000\n")
    out = tmp_path / "lists.csv"
    summary = recommend_tables(Recommender(model), folder, out, 4)
    lists = pl.read_csv(out)
    assert lists.filter(user_id="a")["item_id"].to_list() == ["i1", "i3", "n1", "i2"]
    assert lists.filter(user_id="b")["item_id"].to_list() == ["i1", "i3", "i2", "i4"]
    assert summary.unknown == {"item": 1}


def test_content_is_saved_with_the_model(model: TrainedModel, tmp_path: Path) -> None:
    save_model(model, tmp_path / "model")
    opened = open_model(tmp_path / "model")
    assert ids(opened.with_items(pl.DataFrame([NEW])).recommend(EAST_USER)) == ["i1", "i3", "n1", "i2"]
