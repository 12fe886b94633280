"""Rules over HTTP: the same lists as in Python, pages, rows, and lists of items that the service keeps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from firstday.recommend.recommender import Recommender, open_model
from tests.recommend.test_rules import with_columns
from tests.serve.conftest import (
    add_events,
    assert_error,
    get_list,
    ids_of,
    post_list,
    read_body,
)
from tests.serve.in_process import RunningApp, running_app

K = 5
RULES: dict[str, dict[str, Any]] = {
    "filter": {"filter": 'in_stock and genre == "jazz"'},
    "allow": {"allow": ["i001", "i002", "i003", "no such item"]},
    "deny": {"deny": ["i001", "i002"]},
    "cap": {"cap": {"artist": 1}},
    "pin": {"pin": {"2": "i050"}},
    "boost": {"boost": {"year >= 2010": 3.0}},
    "context": {"filter": "genre == user.genre", "context": {"genre": "jazz"}},
}


@pytest.fixture(scope="module")
def shop(recommender: Recommender, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_columns(recommender).save(tmp_path_factory.mktemp("shop") / "model")


@pytest.fixture(scope="module")
def app(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    with running_app(shop, tmp_path_factory.mktemp("app")) as running:
        yield running


@pytest.fixture(scope="module")
def http(app: RunningApp) -> Iterator[httpx.Client]:
    with app.open_client() as client:
        yield client


def to_text(rule: dict[str, Any]) -> dict[str, Any]:
    """Return a rule as query parameters."""
    context = {f"context.{name}": value for name, value in rule.get("context", {}).items()}
    texts = {
        name: [f"{key}:{content}" for key, content in value.items()] if isinstance(value, dict) else value
        for name, value in rule.items()
        if name != "context"
    }
    return texts | context


@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_the_same_in_parameters_bodies_and_python(http: httpx.Client, shop: Path, name: str) -> None:
    user = f"of {name}"
    add_events(http, user, "i010", "i011")
    rule = RULES[name]
    answer = get_list(http, user, k=K, **to_text(rule))
    assert read_body(http.post(f"/v1/users/{user}/recommendations", json={"k": K, "rules": rule})) == answer
    signals = {"interactions": [["stream", "item", "i010"], ["stream", "item", "i011"]]}
    assert ids_of(post_list(http, signals, k=K, rules=rule)) == ids_of(answer)
    assert ids_of(answer) == [item.item_id for item in open_model(shop).recommend(signals, K, rules=rule)]


@pytest.mark.parametrize(
    ("parameters", "field", "message"),
    [
        ({"filter": "yeer > 2000"}, "rules", "did you mean 'year'"),
        ({"filter": "year >"}, "rules", "cannot be parsed"),
        ({"filter": ""}, "filter", "The filter is empty; give a condition, or omit it"),
        ({"filter": " "}, "filter", "The filter is empty; give a condition, or omit it"),
        ({"filter": "in_stock < True"}, "filter", "cannot be used here"),
        ({"filter": "year >= -14d"}, "filter", "year is compared with -14d"),
        ({"cap": "artist"}, "rules", "is not of the form COLUMN:NUMBER"),
        ({"pin": "i9"}, "rules", "is not of the form RANK:ITEM_ID"),
        ({"boost": "in_stock"}, "rules", "is not of the form FILTER:FACTOR"),
        ({"filter": "year > user.yaer", "context.year": "2000"}, "filter", "did you mean 'year'"),
        ({"contxt.year": "2000"}, "contxt.year", ""),
        ({"filter": "item_id in lists.nothing"}, "filter", "there is no list 'nothing'"),
        ({"after": "no such list"}, "after", "has no recorded list with this id"),
    ],
)
def test_a_wrong_rule_is_named(http: httpx.Client, parameters: dict[str, str], field: str, message: str) -> None:
    refused = http.get("/v1/users/somebody/recommendations", params=parameters)
    assert refused.status_code == 422
    (error,) = refused.json()["errors"]
    assert error["field"] == field
    assert message in error["message"]


def test_a_rule_without_effect_is_noted(http: httpx.Client) -> None:
    answer = get_list(http, "somebody", k=K, filter='genre != "Jazz"', pin=[f"{K + 1}:i001", "1:i002", "1:i003"])
    assert len(answer["items"]) == K
    assert ids_of(answer)[0] == "i002"
    assert answer["notes"][-3:] == [
        "genre has no value 'Jazz' (did you mean 'jazz'?)",
        "i003 is not pinned, since rank 1 has another pin",
        f"the item pinned at rank {K + 1} is beyond the last rank, {K}",
    ]


def test_the_next_page_goes_on_whatever_was_recorded_meanwhile(http: httpx.Client, app: RunningApp) -> None:
    add_events(http, "reader", "i010", "i011")
    path = "/v1/users/reader/recommendations"
    rules = {"cap": {"genre": 40}}
    whole = ids_of(http.post(path, json={"k": 3 * K, "strategy": "explore", "rules": rules}).json())
    after = ""
    pages = list[str]()
    for _ in range(3):
        body = {"k": K, "strategy": "explore", "rules": rules, "record": True, "after": after}
        page = http.post(path, json=body).json()
        pages = pages + ids_of(page)
        after = page["list_id"]
        add_events(http, "reader", page["items"][0]["item_id"], signal="shown", list_id=after, position=1)
        add_events(http, "reader", page["items"][1]["item_id"], list_id=after)
    assert pages == whole
    (user,) = app.run(app.service.store.read(["reader"]))
    assert [shown.impressions[0].position for shown in user.lists] == [1, K + 1, 2 * K + 1]
    assert ids_of(http.post(path, json={**body, "rules": {}}).json()) == ids_of(page)  # as it was recorded
    refused = http.post(path, json={**body, "rules": {"cap": {"genre": 39}}})
    assert_error(refused, 422, "invalid", "after")


def test_rules_that_are_too_long_to_keep_are_sent_again(http: httpx.Client) -> None:
    path = "/v1/users/long/recommendations"
    rules = {"deny": [f"i{number:03}" for number in range(900)]}
    body = {"k": 2, "rules": rules, "record": True}
    first = http.post(path, json=body).json()
    following = {**body, "after": first["list_id"]}
    assert_error(http.post(path, json={**following, "rules": {}}), 422, "invalid", "after")
    assert_error(http.post(path, json={**following, "rules": {"deny": ["i001"]}}), 422, "invalid", "after")
    assert ids_of(http.post(path, json=following).json()) == ids_of(
        http.post(path, json={"k": 2, "rules": {**rules, "after": 2}}).json()
    )


def test_rows_of_a_page_are_lists_of_their_own(http: httpx.Client, app: RunningApp) -> None:
    add_events(http, "visitor", "i010")
    rows: list[dict[str, Any]] = [
        {"name": "For you", "k": 3},
        {"name": "Jazz", "filter": 'genre == "jazz"'},
        {"name": "Rest"},
    ]
    path = "/v1/users/visitor/recommendations"
    page = http.post(path, json={"k": K, "rows": rows, "record": True, "explain": True}).json()["rows"]
    assert [row["name"] for row in page] == ["For you", "Jazz", "Rest"]
    listed = [item for row in page for item in ids_of(row)]
    assert len(set(listed)) == len(listed) == 3 + K + K
    (user,) = app.run(app.service.store.read(["visitor"]))
    assert [shown.list_id for shown in user.lists] == [row["list_id"] for row in page]
    assert [list(shown.items) for shown in user.lists] == [ids_of(row) for row in page]
    assert http.post(path, json={"rows": rows, "after": "x"}).status_code == 422
    (error,) = http.post(path, json={"rows": [rows[0], rows[0]]}).json()["errors"]
    assert error == {"field": "rows", "message": "two rows have the same name; give each its own."}


def test_a_kept_list_is_in_force_at_once_and_survives_a_restart(shop: Path, tmp_path: Path) -> None:
    parameters: dict[str, Any] = {"k": K, "filter": "item_id not in lists.sold_out"}
    with running_app(shop, tmp_path) as app, app.open_client() as http:
        assert http.get("/v1/lists").json() == {"lists": {}}
        assert http.get("/v1/users/u/recommendations", params=parameters).status_code == 422
        assert http.put("/v1/lists/sold_out", json={"items": []}).status_code == 200
        first = ids_of(get_list(http, "u", **parameters))
        assert http.put("/v1/lists/sold_out", json={"items": first[:2]}).json()["items"] == first[:2]
        assert not set(ids_of(get_list(http, "u", **parameters))) & set(first[:2])
    with running_app(shop, tmp_path) as app, app.open_client() as http:
        assert http.get("/v1/lists/sold_out").json() == {"name": "sold_out", "items": first[:2]}
        assert http.get("/v1/lists").json() == {"lists": {"sold_out": 2}}
        assert not set(ids_of(get_list(http, "u", **parameters))) & set(first[:2])
        assert http.delete("/v1/lists/sold_out").status_code == 204
        assert http.get("/v1/lists/sold_out").status_code == 404


@pytest.mark.parametrize("name", ["sold-out", "1st", "é", "x" * 65])
def test_of_a_list_name_the_characters_are_told(http: httpx.Client, name: str) -> None:
    error = assert_error(http.put(f"/v1/lists/{name}", json={"items": []}), 422, "invalid", "name")
    assert all(part in error["errors"][0]["message"] for part in ("64", "A-Z", "a-z", "0-9", " _"))


def test_a_body_of_100_000_ids_is_taken(http: httpx.Client) -> None:
    denied = [f"an item of another shop {number}" for number in range(99_999)]
    body: dict[str, Any] = {"k": K, "rules": {"deny": [*denied, "i001"]}}
    answer = read_body(http.post("/v1/users/anybody/recommendations", json=body))
    assert "i001" not in ids_of(answer)
    assert answer["notes"][-1] == "99,999 ids of the rules are unknown to the model"
    body["rules"]["deny"].append("one too many")
    assert http.post("/v1/users/anybody/recommendations", json=body).status_code == 422
