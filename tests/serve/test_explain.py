"""Explanations: what they say is what a second look at the model gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from firstday.methods.auto import ClassEvidence, Guard
from firstday.model.trained_model import KNOWLEDGE
from firstday.recommend.recommender import Recommender
from tests.serve.conftest import StartApp, get_list, ids_of, post_list

DONE = [("favorite", "item", "i001"), ("stream", "item", "i005"), ("stream", "artist", "a07"), ("skip", "item", "i002")]


def ask(http: httpx.Client, signals: dict[str, Any], **wanted: Any) -> dict[str, Any]:
    return post_list(http, signals, explain=True, **wanted)


@pytest.mark.parametrize(
    ("strategy", "weights"), [("segment", [1, 0]), ("soft_segments", [0.5858, 0.4142]), ("personal", [0, 0])]
)
def test_the_nearest_segments_and_their_part(by_hand: httpx.Client, strategy: str, weights: list[float]) -> None:
    """The vector of i5 is predicted, (.25, .75): 1/8 and 9/8 are its squared distances; soft weights are as 2^(1/2)."""
    answer = ask(by_hand, {"interactions": [("stream", "item", "i5")]}, strategy=strategy)
    found = answer["explanation"]["segments"]
    assert [(entry["segment"], entry["users"]) for entry in found] == [(1, 2), (0, 3)]
    assert answer["segment"] == 1
    assert [entry["weight"] for entry in found] == pytest.approx(weights, abs=1e-3)
    assert [entry["distance"] for entry in found] == pytest.approx([(1 / 8) ** 0.5, (9 / 8) ** 0.5], rel=1e-4)
    tops = [[item["item_id"] for item in entry["top_items"]] for entry in found]
    assert tops == [["i4", "i3", "i5"], ["i1", "i3", "i2"]]


def test_each_item_has_its_reason(by_hand: httpx.Client) -> None:
    """By the habits of u4 and u5, and by the angle to i5, which was used; a skip is no liking."""
    answer = ask(by_hand, {"interactions": [("stream", "item", "i5"), ("skip", "item", "i1")]})
    north = "of the people in segment 1 use it"
    expected = [
        ("i4", 1, 0.4, 0.75 / 0.625**0.5, f"100.0% {north}, 2.5 times the share of all users."),
        ("i3", 0.5, 0.6, 0.8**0.5, f"50.0% {north}, 0.8 times the share of all users."),
        ("i1", 0, 0.6, 0.1**0.5, "Fills the list up: 60.0% of all users use it."),
        ("i2", 0, 0.4, 0.6, "Fills the list up: 40.0% of all users use it."),
    ]
    assert ids_of(answer) == [item for item, *_ in expected]
    for reason, (item, share, everyone, near, why) in zip(answer["explanation"]["items"], expected, strict=True):
        assert (reason["item_id"], reason["why"], reason["most_like"]["item_id"]) == (item, why, "i5")
        found = reason["share_of_segment"], reason["share_of_everyone"], reason["most_like"]["similarity"]
        assert found == pytest.approx((share, everyone, near), abs=1e-5)


def test_an_explanation_comes_only_where_asked_for(http: httpx.Client) -> None:
    assert "explanation" not in post_list(http, {})
    explanation = get_list(http, "who", explain=True)["explanation"]
    assert explanation["items"][0]["most_like"] is None
    assert explanation["items"][0]["why"].endswith(" of all users use it.")


def test_selection_has_the_precision_of_strategies_for_the_class_of_the_user(
    tiny: Recommender, start_app: StartApp, tmp_path: Path
) -> None:
    precision = {"blend": 9.0, "popular": 7.0, "segment": 8.0}
    intervals = {name: (mean - 1, mean + 1) for name, mean in precision.items()}
    measured = ClassEvidence("blend", 30, precision, intervals)
    classes = tuple(measured if known == "1-3" else ClassEvidence("popular", 0) for known in KNOWLEDGE)
    folder = Recommender(tiny.model.with_learned(auto=Guard(classes))).save(tmp_path / "model")
    with start_app(folder).open_client() as http:
        (row,) = http.get("/v1/model").json()["selection"]
        one = ask(http, {"interactions": [("stream", "item", "i5")]})
        nobody = ask(http, {})
    ends = {name: [mean - 1, mean + 1] for name, mean in precision.items()}
    assert row == {"known": "1-3", "strategy": "blend", "n_users": 30, "precision": precision, "precision_ci": ends}
    assert (one["explanation"]["known"], nobody["explanation"]["known"]) == ("1-3", "nothing")
