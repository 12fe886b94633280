"""What goes with an item, on the model made by hand: i1 goes with i2 and i3, i4 with i5, and nobody uses i6."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from firstday.errors import ConfigError, DataError
from firstday.features.signals import Signals
from firstday.recommend.recommendation import Recommendation
from firstday.recommend.recommender import Recommender, open_model

NORTHERN = {"country": "DE"}


def ids(answer: Recommendation) -> list[Any]:
    return [item.item_id for item in answer]


def test_linked_items_come_first_then_popular_ones(tiny: Recommender) -> None:
    answer = tiny.similar("i1", 5)
    assert ids(answer) == ["i2", "i3", "i4", "i5", "i6"]
    assert answer.n_ranked == 2
    assert [item.score for item in answer] == pytest.approx([0.5, 0.4, 0, 0, 0])
    assert (answer.strategy, answer.route, answer.score_scale) == ("similar", "used_together", "score")
    assert (answer.user_id, answer.segment, answer.ignored, answer.notes) == (None, None, (), ())


def test_the_length_of_a_list_changes_neither_order_nor_scores(tiny: Recommender) -> None:
    for item in tiny.model.catalogue.items.values:
        whole = tiny.similar(item, 5)
        for k in range(1, 5):
            assert tiny.similar(item, k).items == whole.items[:k]


def test_an_item_without_links_has_the_nearest_vectors(tiny: Recommender) -> None:
    answer = tiny.similar("i2", 3)
    assert (ids(answer), answer.route, answer.n_ranked) == (["i1", "i3", "i5"], "nearest", 3)


def test_of_an_item_that_nobody_uses_the_list_is_popular_and_says_so(tiny: Recommender) -> None:
    answer = tiny.similar("i6", 3)
    assert (ids(answer), answer.route, answer.score_scale) == (["i1", "i3", "i2"], "popular", "share of everyone")
    assert len(answer.notes) == 1
    of_group = tiny.similar("i6", 3, NORTHERN)
    assert (of_group.route, len(of_group.notes)) == ("group", 1)


def test_the_item_itself_is_never_listed_not_even_to_fill_the_list_up(tiny: Recommender) -> None:
    for item in tiny.model.catalogue.items.values:
        answer = tiny.similar(item, 10**6)
        assert sorted(ids(answer)) == sorted({"i1", "i2", "i3", "i4", "i5", "i6"} - {item})
        assert sorted(ids(tiny.similar(item, 10**6, keep_used=True))) == sorted(ids(answer))
        assert item not in ids(tiny.similar(item, 5, rules={"pin": {1: item}}))


def test_for_a_user_the_list_follows_their_taste_and_leaves_out_what_they_used(tiny: Recommender) -> None:
    assert ids(tiny.similar("i1", 2)) == ["i2", "i3"]
    for_north = tiny.similar("i1", 2, NORTHERN)
    assert (ids(for_north), for_north.route, for_north.segment) == (["i3", "i2"], "used_together", 1)
    used = Signals(user_id="u", interactions=[("stream", "item", "i2"), ("ban", "item", "i5")])
    answer = tiny.similar("i1", 5, used)
    assert (ids(answer), answer.user_id) == (["i3", "i4", "i6"], "u")
    assert ids(tiny.similar("i1", 5, used, keep_used=True))[:2] == ["i2", "i3"]
    assert tiny.similar("i1", 5, {}).items == tiny.similar("i1", 5).items  # nothing is known


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"filter": 'genre == "rock"'}, ["i5", "i4"]),  # without links, by vectors
        ({"filter": "year >= 2021"}, ["i3", "i4", "i5"]),
        ({"allow": ["i3", "i4", "unknown"]}, ["i3", "i4"]),
        ({"deny": ["i2"]}, ["i3", "i4", "i5", "i6"]),
        ({"cap": {"genre": 1}}, ["i2", "i4", "i6"]),
        ({"pin": {"1": "i4"}}, ["i4", "i2", "i3", "i5", "i6"]),
        ({"boost": {"year == 2021": 2.0}}, ["i3", "i2", "i4", "i5", "i6"]),
        ([{"filter": "year >= 2021"}, {"filter": "user.country in licensed_in", "context": {"country": "DE"}}], ["i3"]),
    ],
)
def test_rules_apply_as_to_any_list(tiny: Recommender, rules: Any, expected: list[str]) -> None:
    assert ids(tiny.similar("i1", 5, rules=rules)) == expected


def test_filters_read_the_profile_of_the_user(tiny: Recommender) -> None:
    rules = {"filter": "user.country in licensed_in"}
    assert ids(tiny.similar("i1", 5, NORTHERN, rules=rules)) == ["i3"]


@pytest.mark.parametrize("item", ["i7", "", None])
def test_an_unknown_item_is_an_error(tiny: Recommender, item: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        tiny.similar(item)
    assert (caught.value.where, caught.value.code) == ("item", "not_found")


def test_wrong_arguments_are_errors(tiny: Recommender) -> None:
    with pytest.raises(ConfigError, match=r"^k: "):
        tiny.similar("i1", 0)
    with pytest.raises(ConfigError, match="no_such_column"):
        tiny.similar("i1", rules={"filter": "no_such_column"})
    with pytest.raises(DataError):
        tiny.similar("i1", user={"age": -1})


def test_links_are_stored_with_the_model(tiny: Recommender, tmp_path: Path) -> None:
    opened = open_model(tiny.save(tmp_path / "model"))
    for item in ("i1", "i2", "i4"):
        assert opened.similar(item, 5, NORTHERN) == tiny.similar(item, 5, NORTHERN)


def test_trained_links_answer_for_every_item(recommender: Recommender) -> None:
    links = recommender.model.learned["links"]
    assert links.lengths().max() > 0
    for item in recommender.model.catalogue.items.values[:30]:
        answer = recommender.similar(item, 20)
        assert len({*ids(answer), item}) == 21
