"""Users and events: put, told, read, forgotten."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import httpx
import pytest

from firstday.errors import DataError
from firstday.serve.batching import ListRequest
from firstday.serve.store.records import Profile
from tests.serve.conftest import StartApp, add_events, assert_error, get_list


def test_everything_known_of_a_user_can_be_read_and_forgotten(http: httpx.Client) -> None:
    began = datetime.now(UTC)
    body = {
        "age": 24,
        "profile": {"country": "FR", "plan": 3},
        "picks": [{"entity": "artist", "entity_id": "a07"}, {"entity_id": 12}],
        "friends": ["u1", 77],
    }
    put = http.put("/v1/users/anna", json=body)
    assert put.status_code == 200
    assert put.json()["ignored"] == [
        "item '12' is unknown",
        "profile column 'plan' is unknown",
        "2 of 2 friends are unknown",
    ]
    events = [
        {"event_id": "e1", "user_id": "anna", "entity_id": "i001", "timestamp": "2026-01-31T12:00:00.25+02:00"},
        {"event_id": 2, "user_id": "anna", "signal": "loves", "entity": "artist", "entity_id": "a01"},
    ]
    answer = http.post("/v1/events", json={"events": events})
    assert answer.json() == {
        "accepted": 2,
        "duplicates": 0,
        "not_understood": 1,
        "ignored": ["signal 'loves' is unknown"],
    }
    known = http.get("/v1/users/anna").json()
    received = [datetime.fromisoformat(event.pop("received_at")) for event in known["events"]]
    seen, put_at = (datetime.fromisoformat(known.pop(name)) for name in ("first_seen_at", "put_at"))
    assert began < seen < put_at < received[0] < received[1] < datetime.now(UTC)
    assert [tuple(event.values()) for event in known.pop("events")] == [
        ("stream", "item", "i001", "e1", "2026-01-31T10:00:00.250000Z", None, None, None, None),
        ("loves", "artist", "a01", "2", None, None, None, None, None),
    ]
    assert known == {
        "user_id": "anna",
        "age": 24,
        "profile": {"country": "FR", "plan": "3"},
        "picks": [{"entity": "artist", "entity_id": "a07"}, {"entity": "item", "entity_id": "12"}],
        "friends": ["u1", "77"],
        "interactions": [],
        "shown": [],
        "lists": [],
        "assignments": [],
        "guest_ids": [],
    }
    assert http.delete("/v1/users/anna").status_code == 204
    assert_error(http.get("/v1/users/anna"), 404, "not_found")
    assert http.get("/v1/users/anna/recommendations").json()["route"] == "popular"
    assert http.delete("/v1/users/anna").status_code == 204


def test_what_is_read_of_a_user_can_be_put(http: httpx.Client) -> None:
    body = {
        "age": 24,
        "profile": {"country": "FR"},
        "picks": [["artist", "a07"]],
        "interactions": [["favorite", "item", "i003"]],
        "shown": ["i001", ["i002", 2]],
    }
    assert http.put("/v1/users/echo", json=body).json()["ignored"] == []
    add_events(http, "echo", "i005")
    get_list(http, "echo", record=True)
    before = http.get("/v1/users/echo").json()
    assert http.put("/v1/users/echo", json=before).json()["ignored"] == []
    after = http.get("/v1/users/echo").json()
    assert before.pop("put_at") < after.pop("put_at")
    assert after == before
    assert len(after["events"]) == len(after["lists"]) == 1


@pytest.mark.parametrize(("body", "field"), [({"country": "FR"}, "country"), ({"age": 24, "plan": 3}, "plan")])
def test_a_profile_column_beside_the_profile_is_told(http: httpx.Client, body: dict[str, object], field: str) -> None:
    answers = {
        field: http.put("/v1/users/astray", json=body),
        f"signals.{field}": http.post("/v1/recommendations", json={"signals": body}),
    }
    for name, answer in answers.items():
        assert "in profile" in assert_error(answer, 422, "invalid", name)["errors"][0]["message"]


def test_a_batch_has_1000_events_at_most(http: httpx.Client) -> None:
    events = [{"event_id": f"e{n}", "user_id": f"many-{n % 3}", "entity_id": "i001"} for n in range(1001)]
    assert_error(http.post("/v1/events", json={"events": events}), 422, "invalid", "events")
    assert http.post("/v1/events", json={"events": events[:1000]}).json()["accepted"] == 1000
    assert_error(http.post("/v1/events", json={"events": []}), 422, "invalid", "events")


@pytest.mark.parametrize(
    "user_id",
    ["ünïcødé-用户-🎧", "a b", "%2e%2e", "a..b", "'; DROP TABLE events; --", "a:b{c}", "-1", "Null", "x" * 128],
)
def test_ids_are_the_callers(http: httpx.Client, user_id: str) -> None:
    path = httpx.URL(f"/v1/users/{''.join(f'%{byte:02x}' for byte in user_id.encode())}")
    assert http.put(path, json={"age": 20}).json()["user_id"] == user_id
    event = {"event_id": user_id, "user_id": user_id, "entity_id": user_id}
    assert http.post("/v1/events", json={"events": [event]}).json()["accepted"] == 1
    known = http.get(path).json()
    assert (known["user_id"], known["age"], known["events"][0]["event_id"]) == (user_id, 20, user_id)
    assert http.delete(path).status_code == 204
    assert http.get(path).status_code == 404


def test_a_user_whose_signals_cannot_be_made_costs_nobody_else_the_list(start_app: StartApp) -> None:
    app = start_app()
    app.run(app.service.store.append([("broken", Profile({"age": 500}))]))  # an age that nothing takes

    async def ask_together() -> list[ListRequest | BaseException]:
        asks = [ListRequest(user, record=user == "recorded") for user in ("first", "broken", "recorded", "last")]
        return await asyncio.gather(*(app.service.lists.make(one) for one in asks), return_exceptions=True)

    _, broken, *others = app.run(ask_together())
    assert isinstance(broken, DataError)
    for user, request in zip(("recorded", "last"), others, strict=True):
        assert isinstance(request, ListRequest)
        assert request.recommendations[0].items
        assert bool(request.list_ids) == (user == "recorded")


def test_a_list_that_would_be_late_is_refused(start_app: StartApp) -> None:
    app = start_app(max_wait_s=30)
    waited_s = (0, 60, 0, 31)

    async def ask_together() -> list[ListRequest | BaseException]:
        asks = [ListRequest("u", arrived_s=time.monotonic() - seconds) for seconds in waited_s]
        return await asyncio.gather(*(app.service.lists.make(one) for one in asks), return_exceptions=True)

    codes = [getattr(answer, "code", None) for answer in app.run(ask_together())]
    assert codes == [None, "overloaded", None, "overloaded"]
