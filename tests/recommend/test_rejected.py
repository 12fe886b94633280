"""What a user rejected is in no list: i1 is the only item of the artist a1 that the model knows, i4 and i5 are a2's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

import firstday as fd
from firstday.recommend.recommendation import RecommendedItem
from firstday.recommend.recommender import Recommender
from firstday.sparse import SparseRows
from tests.tiny import make_content, make_model

NEW = [{"item_id": "n1", "artist_id": ["a1", "a3"]}, {"item_id": "n2", "artist_id": ["a2"]}]
ITEMS = ("i1", "i2", "i3", "i4", "i5", "i6", "n1", "n2")


def make_rejecting(never_recommend: tuple[str, ...] | None = None) -> Recommender:
    """Make the recommender of the five users with a signal `hide` and two new items."""
    model = make_model().with_learned(content=make_content())
    members = {"artist": SparseRows.from_lists([[0], [], [], [1], [1], []], 2)}
    settings = {"signals.affinity": {"hide": -1.0}, "signals.never_recommend": never_recommend}
    config = model.config.override(settings)
    model = replace(
        model,
        config=config,
        catalogue=replace(model.catalogue, signals=config.signals.names),
        signal_encoder=replace(model.encoder, signals=config.signals, members_of_items=members),
    )
    return Recommender(model).with_items(pl.DataFrame(NEW))


def ids(items: Iterable[RecommendedItem]) -> set[str]:
    return {str(item.item_id) for item in items}


@pytest.mark.parametrize(
    ("action", "never_recommend", "rejected"),
    [
        (("hide", "item", "i1"), None, {"i1"}),
        (("hide", "artist", "a1"), None, {"i1", "n1"}),
        (("ban", "item", "n1"), None, {"n1"}),
        (("ban", "artist", "a1"), None, {"i1", "n1"}),
        (("ban", "artist", "a2"), None, set()),  # two of six items are more than 1 %, and more than one
        (("ban", "artist", "a2"), ("ban x artist",), {"i4", "i5", "n2"}),
        (("ban", "item", "i1"), (), set()),
        (("skip", "item", "i1"), None, set()),
        (("skip", "artist", "a1"), ("skip",), {"i1", "n1"}),
    ],
)
def test_rejected_items_and_those_of_rejected_members_are_in_no_list(
    action: tuple[str, str, str], never_recommend: tuple[str, ...] | None, rejected: set[str]
) -> None:
    recommender = make_rejecting(never_recommend)
    user: dict[str, Any] = {"user_id": "u", "country": "FR", "interactions": [action]}
    for strategy in ("popular", "blend", "latest"):
        for some in (ITEMS[:4], ITEMS[4:]):
            listed = recommender.recommend(user, 6, strategy, rules={"allow": some})
            assert ids(listed) == {*some} - rejected, strategy
            assert ids(recommender.recommend(user, 6, strategy, keep_used=True, rules={"allow": some})) == {*some}
    assert not ids(recommender.recommend(user, 6, "explore")) & rejected
    rows = recommender.recommend_rows(user, [{"name": "one", "k": 2}, {"name": "two", "k": 6}])
    assert ids([*rows["one"], *rows["two"]]) == {*ITEMS} - rejected
    for item in ITEMS:
        assert not ids(recommender.similar(item, 6, user)) & rejected
    tables = {
        "interactions": pl.DataFrame([("u", *action)], ["user_id", "signal", "entity", "entity_id"], orient="row"),
        "items": pl.DataFrame(NEW),
    }
    batch = fd.recommend_batch(Recommender(recommender.model), tables, 6, rules={"allow": ITEMS[3:]})
    assert {*batch["item_id"]} == {*ITEMS[3:]} - rejected


def test_a_list_says_which_rejections_are_too_large() -> None:
    bans = [("ban", "artist", "a1"), ("ban", "artist", "a2")]
    user = {"interactions": bans}
    (sentence,) = (text for text in make_rejecting().recommend(user).notes if "rejected" in text)
    assert "'ban x artist'" in sentence
    for answer in (make_rejecting(("ban x artist",)).recommend(user), make_rejecting().recommend(user, keep_used=True)):
        assert not any("rejected" in text for text in answer.notes)
