"""A user's signals have one shape: command line, Python, what is put and what is posted give the same list."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from firstday.cli.main import app
from firstday.errors import DataError
from firstday.features.signals import Signals
from firstday.features.wire_types import Impression
from firstday.recommend.recommender import Recommender
from tests.serve.conftest import assert_error, ids_of

WHOLE: dict[str, Any] = {
    "age": 24,
    "profile": {"country": "FR"},
    "picks": [["item", "i003"], {"entity": "item", "entity_id": "i004"}],
    "friends": ["u1"],
    "interactions": [["stream", "item", "i001"], {"signal": "favorite", "entity_id": "i002"}],
    "shown": ["i005", ["i006", 2], {"item_id": "i007", "position": 3}],
}


def test_one_shape_gives_one_list_by_every_door(model: Path, recommender: Recommender, http: httpx.Client) -> None:
    asked: dict[str, Any] = {"k": 10, "strategy": "segment"}
    expected = [item.item_id for item in recommender.recommend(WHOLE, **asked)]
    assert len(expected) == 10
    assert not set(expected) & {"i001", "i002"}, "what was used is left out, so the interactions were read"
    assert [item.item_id for item in recommender.recommend_users({"u": WHOLE}, **asked)["u"]] == expected
    posted = http.post("/v1/recommendations", json={"signals": WHOLE, **asked}).json()
    assert http.put("/v1/users/one-shape", json=WHOLE).status_code == 200
    put = http.get("/v1/users/one-shape/recommendations", params=asked).json()
    command = ["recommend", str(model), "-k", "10", "--strategy", "segment", "--json", "--user", json.dumps(WHOLE)]
    told = json.loads(CliRunner().invoke(app, command, catch_exceptions=False).stdout)
    for answer in (posted, put, told):
        assert ids_of(answer) == expected


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
    "wrong",
    [
        {"interactions": [{"signal": "stream"}]},
        {"picks": [["artist"]]},
        {"picks": [{"entity": "artist"}]},
        {"profile": {"age": 3}},
        {"shown": [["i1", 0]]},
    ],
)
def test_an_error_names_the_same_field_in_python_and_over_http(wrong: dict[str, Any], http: httpx.Client) -> None:
    with pytest.raises(DataError) as caught:
        Signals.of(wrong)
    field = caught.value.where
    assert_error(http.put("/v1/users/wrong", json=wrong), 422, "invalid", field)
    path = field if "profile" in wrong else f"signals.{field}"
    assert_error(http.post("/v1/recommendations", json={"signals": wrong}), 422, "invalid", path)
