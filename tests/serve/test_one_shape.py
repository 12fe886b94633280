"""A user's signals have one shape: command line, Python, what is put and what is posted give the same list."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from firstday.errors import DataError
from firstday.features.impressions import Impression
from firstday.features.signals import Signals
from firstday.recommend.recommender import Recommender

WHOLE: dict[str, Any] = {
    "age": 24,
    "profile": {"country": "FR"},
    "picks": [["item", "i003"], {"entity": "item", "entity_id": "i004"}],
    "friends": ["u1"],
    "interactions": [["stream", "item", "i001"], {"signal": "favorite", "entity_id": "i002"}],
    "shown": ["i005", ["i006", 2], {"item_id": "i007", "position": 3}],
}
OBJECTS: dict[str, Any] = {
    "age": 24,
    "profile": {"country": "FR"},
    "interactions": [{"signal": "stream", "entity": "item", "entity_id": "i001"}],
}
FLAT: dict[str, Any] = {"age": 24, "country": "FR", "interactions": [["stream", "item", "i001"]]}


def in_python(recommender: Recommender, body: dict[str, Any]) -> list[str]:
    return [item.item_id for item in recommender.recommend(body, k=10, strategy="segment")]


def posted(http: httpx.Client, body: dict[str, Any]) -> list[str]:
    answer = http.post("/v1/recommendations", json={"signals": body, "k": 10, "strategy": "segment"})
    assert answer.status_code == 200, answer.text
    return [item["item_id"] for item in answer.json()["items"]]


def put(http: httpx.Client, name: str, body: dict[str, Any]) -> list[str]:
    answer = http.put(f"/v1/users/{name}", json=body)
    assert answer.status_code == 200, answer.text
    listed = http.get(f"/v1/users/{name}/recommendations?k=10&strategy=segment").json()
    return [item["item_id"] for item in listed["items"]]


def by_command(model: Path, body: dict[str, Any]) -> list[str]:
    command = [sys.executable, "-m", "firstday", "recommend", str(model), "-k", "10", "--strategy", "segment", "--json"]
    done = subprocess.run([*command, "--user", json.dumps(body)], capture_output=True, text=True, check=True)
    return [item["item_id"] for item in json.loads(done.stdout)["items"]]


def test_one_shape_gives_one_list_by_every_door(model: Path, recommender: Recommender, http: httpx.Client) -> None:
    expected = in_python(recommender, WHOLE)
    assert len(expected) == 10
    assert not set(expected) & {"i001", "i002"}, "what was used is left out, so the interactions were read"
    assert posted(http, WHOLE) == expected
    assert put(http, "one-shape", WHOLE) == expected
    assert by_command(model, WHOLE) == expected
    assert [item.item_id for item in recommender.recommend_users({"u": WHOLE}, 10, "segment")["u"]] == expected


def test_what_was_put_is_read_again_and_replaced_by_what_is_put_next(http: httpx.Client) -> None:
    http.put("/v1/users/again", json=WHOLE)
    known = http.get("/v1/users/again").json()
    assert known["interactions"] == [
        {"signal": "stream", "entity": "item", "entity_id": "i001"},
        {"signal": "favorite", "entity": "item", "entity_id": "i002"},
    ]
    assert [one["item_id"] for one in known["shown"]] == ["i005", "i006", "i007"]
    assert [one["position"] for one in known["shown"]] == [None, 2, 3]
    http.put("/v1/users/again", json={"age": 24})
    known = http.get("/v1/users/again").json()
    assert (known["interactions"], known["shown"], known["picks"]) == ([], [], [])


def test_the_shape_means_the_same_in_both_forms() -> None:
    read = Signals.of(WHOLE)
    assert read == Signals(
        age=24,
        country="FR",
        friends=["u1"],
        interactions=[
            ("onboarding", "item", "i003"),
            ("onboarding", "item", "i004"),
            ("stream", "item", "i001"),
            ("favorite", "item", "i002"),
        ],
        shown=[Impression("i005"), Impression("i006", 2), Impression("i007", 3)],
    )
    assert Signals.of({"profile": "premium", "picks": "many"}).groups == {"profile": "premium", "picks": "many"}


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (
            {"interactions": [{"signal": "stream"}]},
            "interactions[0]: has no entity_id; give an object with signal, entity",
        ),
        ({"picks": [["artist"]]}, "picks[0]: is ['artist']; give [entity, entity_id]"),
        ({"picks": [{"entity": "artist"}]}, "picks[0]: has no entity_id; give an object with entity, entity_id."),
        ({"profile": {"age": 3}}, "profile: age cannot be the name of a profile column"),
    ],
)
def test_a_wrong_shape_is_told(wrong: dict[str, Any], sentence: str, http: httpx.Client) -> None:
    with pytest.raises(DataError) as caught:
        Signals.of(wrong)
    assert str(caught.value).startswith(sentence)
    assert http.post("/v1/recommendations", json={"signals": wrong}).status_code == 422
    assert http.put("/v1/users/wrong", json=wrong).status_code == 422
