"""Whatever is wrong, the answer is the one error body; hostile input gets a clear 4xx, and the server goes on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from firstday.errors import DataError
from firstday.serve.middleware import Gate, Keys
from firstday.serve.routes.lists import quick_route
from firstday.serve.settings import ServeSettings
from firstday.serve.telemetry import Metrics
from tests.serve.conftest import StartApp, assert_error, connect, open_client, read_lines, wait_for
from tests.serve.in_process import RunningApp

EVENT = {"event_id": "e", "user_id": "u", "entity_id": "i001"}
LATE = f"{datetime.now(UTC) + timedelta(hours=2):%FT%TZ}"


def send_raw(app: RunningApp, content: bytes) -> bytes:
    """Send bytes and return what comes back until the connection is closed or quiet."""
    with connect(app) as connection:
        connection.sendall(content)
        connection.settimeout(1)
        received = b""
        try:
            while part := connection.recv(65536):
                received += part
        except TimeoutError:
            pass
        return received


def post(http: httpx.Client, content: bytes, path: str = "/v1/events") -> httpx.Response:
    return http.post(path, content=content, headers={"Content-Type": "application/json"})


def test_what_is_not_there_and_what_is_not_taken(http: httpx.Client) -> None:
    for path in ("/nope", "/v1", "/v1/", "/v1/users/", "/v1/users/a/b", "/docs", "/v1/model/"):
        assert_error(http.get(path), 404, "not_found")
    wrong = http.patch("/v1/users/u")
    assert_error(wrong, 405, "method_not_allowed")
    assert wrong.headers["allow"] == "DELETE, GET, PUT"
    assert_error(http.get("/v1/events"), 405, "method_not_allowed")
    assert_error(http.get("/v1/segments/99999"), 404, "not_found")
    assert_error(http.get("/v1/items/no%20such%20item/similar"), 404, "not_found", "item")


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v1/users/u/recommendations?k=0", ["k"]),
        ("/v1/users/u/recommendations?k=1001&strategy=best&explain=perhaps", ["k", "strategy", "explain"]),
        ("/v1/users/u/recommendations?n=5", ["n"]),
        (f"/v1/users/{'x' * 129}/recommendations", ["user_id"]),
        ("/v1/users/%2e%2e/recommendations", ["user_id"]),
        ("/v1/segments?limit=100000&offset=-1", ["offset", "limit"]),
        (f"/v1/items?query={'x' * 129}", ["query"]),
        ("/v1/items/i001/similar?k=0&user=a%2Fb", ["k", "user"]),
        ("/v1/items/i001/similar?strategy=segment&after=3", ["strategy", "after"]),
        ("/v1/items/i001/similar?filter=no_such_column", ["rules"]),
        ("/v1/items/a%00b/similar", ["item_id"]),
        ("/v1/onboarding?user_id=a%2Fb&k=1001", ["user_id", "k"]),
        ("/v1/onboarding?liked=i001&liked=%20%20", ["liked[1]"]),
        ("/v1/users/undefined/recommendations", ["user_id"]),
        ("/v1/users/u/recommendations?deny=null", ["deny[0]"]),
        ("/v1/users/u/recommendations?filter=item_id%20=%20'i001'", ["rules"]),
        ("/v1/users/u/recommendations?boost=item_id%20==%20'i001'", ["rules"]),
        ("/v1/items/i001/similar?user=undefined", ["user"]),
    ],
)
def test_every_wrong_parameter_is_named(http: httpx.Client, path: str, fields: list[str]) -> None:
    assert_error(http.get(path), 422, "invalid", *fields)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"event_id": ""}, "event_id"),
        ({"event_id": 2**53}, "event_id"),
        ({"user_id": "a\u0000b"}, "user_id"),
        ({"entity_id": "a\nb"}, "entity_id"),
        ({"signal": "drop table"}, "signal"),
        ({"timestamp": "2026-01-31T12:00:00"}, "timestamp"),
        ({"timestamp": "2050-01-31T12:00:00Z"}, "timestamp"),
        ({"weight": 2}, "weight"),
        ({"position": 0}, "position"),
        ({"propensity": 0}, "propensity"),
        ({"policy": "a b"}, "policy"),
        ({"list_id": "undefined"}, "list_id"),
        ({"entity_id": "undefined"}, "entity_id"),
        ({"timestamp": "1970-01-01T00:00:00Z"}, "timestamp"),
        ({"timestamp": LATE}, "timestamp"),
    ],
)
def test_every_wrong_field_of_an_event_is_named(http: httpx.Client, change: dict[str, Any], field: str) -> None:
    answer = http.post("/v1/events", json={"events": [EVENT | {"user_id": "odd"}, {**EVENT, **change}]})
    assert_error(answer, 422, "invalid", f"events[1].{field}")
    assert http.get("/v1/users/odd").status_code == 404  # a batch is taken whole or not at all


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"age": 121}, "age"),
        ({"profile": {"age": "24"}}, "profile"),
        ({"profile": {"user_id": "x"}}, "profile"),
        ({"profile": {"a b": "x"}}, "profile.a b"),
        ({"profile": {"country": "x" * 129}}, "profile.country"),
        ({"profile": {f"c{n}": "x" for n in range(51)}}, "profile"),
        ({"picks": [{"entity_id": "a"}] * 101}, "picks"),
        ({"friends": ["u-1", "None"]}, "friends[1]"),
        ({"picks": [["item", "\u00a0"]]}, "picks[0].entity_id"),
        ({"vector": [1, 2]}, "vector"),
        ({"shown": [["i1"]]}, "shown[0]"),
        ({"shown": [["i1", 0]]}, "shown[0].position"),
        ({"shown": [{"item_id": "i1", "propensity": 0}]}, "shown[0].propensity"),
        ({"shown": ["i1"] * 1001}, "shown"),
    ],
)
def test_every_wrong_field_of_a_user_is_named(http: httpx.Client, body: Any, field: str) -> None:
    assert_error(http.put("/v1/users/wrong", json=body), 422, "invalid", field)
    assert http.get("/v1/users/wrong").status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"added_at": "1970-06-01T00:00:00Z"}, "added_at"),
        ({"added_at": LATE}, "added_at"),
        ({"added_at": "-14d"}, "added_at"),
        ({"title": 5}, "title"),
        ({"artist_id": {"id": "a7"}}, "artist_id"),
        ([], "body"),
    ],
)
def test_every_wrong_field_of_an_item_is_named(http: httpx.Client, body: Any, field: str) -> None:
    assert_error(http.put("/v1/items/wrong", json=body), 422, "invalid", field)


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("PUT", "/v1/users/%20", {}, "user_id"),
        ("DELETE", "/v1/users/null", None, "user_id"),
        ("POST", "/v1/users/u/merge", {"from": "undefined"}, "from"),
        ("PUT", "/v1/items/NaN", {"title": "x"}, "item_id"),
        ("PUT", "/v1/items/n1", {"item_id": "n2", "title": "x"}, "item_id"),
        ("DELETE", "/v1/items/%5Bobject%20Object%5D", None, "item_id"),
        ("PUT", "/v1/lists/a", {"items": ["i001", "undefined"]}, "items[1]"),
        ("POST", "/v1/users/u/recommendations", {"filter": "year > 1"}, "filter"),
    ],
)
def test_what_stands_for_a_missing_id_is_refused(
    http: httpx.Client, method: str, path: str, body: Any, field: str
) -> None:
    assert_error(http.request(method, path, json=body), 422, "invalid", field)


def test_a_recorded_list_far_down_does_not_spoil_those_that_follow(http: httpx.Client) -> None:
    path = "/v1/users/far/recommendations"
    assert_error(http.post(path, json={"rules": {"after": 99_001}}), 422, "invalid", "rules.after")
    deepest = {"k": 1000, "record": True, "rules": {"after": 99_000, "pin": {"1000": "i001"}}}
    assert http.post(path, json=deepest).json()["list_id"]
    assert http.get(path).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/events"),
        ("PUT", "/v1/users/u"),
        ("PUT", "/v1/items/n1"),
        ("PUT", "/v1/lists/a"),
        ("POST", "/v1/recommendations"),
    ],
)
def test_bytes_that_are_not_utf8_are_named(http: httpx.Client, method: str, path: str) -> None:
    body = '{"title": "é"}'.encode("latin-1")
    answer = http.request(method, path, content=body, headers={"Content-Type": "application/json"})
    assert "Byte 12 (0xE9) is not UTF-8" in assert_error(answer, 400, "bad_request")["message"]


@pytest.mark.parametrize("path", ["/v1/events", "/v1/items"])
def test_lines_that_are_not_utf8_are_refused_alone(http: httpx.Client, path: str) -> None:
    good = json.dumps(EVENT | {"event_id": "latin", "user_id": "latin"} if path == "/v1/events" else {"item_id": "n2"})
    body = f'{good}\n{{"item_id": "é"}}\n'.encode("latin-1")
    answer = http.post(path, content=body, headers={"Content-Type": "application/x-ndjson"}).json()
    assert (answer["accepted"], answer["refused"]) == (1, 1)
    assert answer["errors"][0]["line"] == 2
    assert "Byte 14 (0xE9) is not UTF-8" in answer["errors"][0]["message"]
    assert http.delete("/v1/items/n2?ahead=true").status_code == 204  # others use the service, too


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 200_000 + b"]" * 200_000,
        b'{"events": NaN}',
        b'{"events": [{"event_id": "e", "user_id": 1e999, "entity_id": "i"}]}',
        b'{"events": [{"event_id": "\\ud800", "user_id": "u", "entity_id": "i"}]}',
        b'{"events": [{"event_id": ' + b"9" * 5000 + b', "user_id": "u", "entity_id": "i"}]}',
        json.dumps({"events": [EVENT], "more": "x" * 500_000}).encode(),
        b'"events"',
    ],
)
def test_bodies_that_are_no_batch(http: httpx.Client, text: bytes) -> None:
    answer = post(http, text)
    assert answer.status_code in (400, 422)
    body = answer.json()
    assert set(body) == {"status", "code", "message", "errors"}
    assert len(answer.content) < 2_000
    assert http.get("/healthz").status_code == 200


def test_a_body_of_another_kind_is_refused(http: httpx.Client) -> None:
    body = json.dumps({"events": [EVENT]})
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        answer = http.post("/v1/events", content=body, headers={"Content-Type": kind})
        assert_error(answer, 415, "unsupported_media_type")


def test_large_bodies_are_refused_whether_announced_or_not(app: RunningApp) -> None:
    large = b"x" * 10_000_000

    def pieces() -> Any:
        for at in range(0, len(large), 65536):
            yield large[at : at + 65536]

    with open_client(app) as http:
        assert_error(post(http, large), 413, "body_too_large")
        chunked = http.post("/v1/events", content=pieces(), headers={"Content-Type": "application/json"})
        assert_error(chunked, 413, "body_too_large")
        assert http.get("/healthz").status_code == 200


def test_a_body_that_does_not_arrive_is_not_waited_for(start_app: StartApp) -> None:
    app = start_app(client_timeout_s=0.1)
    start, body = app.run(app.send_unfinished("/v1/events"))
    assert start["status"] == 408
    assert b'"code":"timeout"' in body["body"]


@pytest.mark.parametrize(
    "content",
    [
        b"GARBAGE\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
def test_bytes_that_are_no_request(app: RunningApp, content: bytes) -> None:
    answer = send_raw(app, content)
    assert answer == b"" or answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 422 ", b"HTTP/1.1 431 ")), answer[:200]
    if answer:
        assert set(json.loads(answer.partition(b"\r\n\r\n")[2])) == {"status", "code", "message", "errors"}
    with open_client(app) as http:
        assert http.get("/healthz").status_code == 200


def test_faults_are_counted_but_not_all_listed(http: httpx.Client) -> None:
    answer = http.post("/v1/events", json={"events": [{} for _ in range(300)]})
    body = answer.json()
    assert body["message"].startswith("900 fields of the request are invalid, first: events[0].entity_id: ")
    assert len(body["errors"]) == 20


def test_what_a_request_held_is_never_in_the_answer_or_the_log(log: Callable[[], str], start_app: StartApp) -> None:
    secret = "a-secret-that-leaks"
    with start_app().open_client() as http:
        http.put("/v1/users/u", json={"age": secret, secret: 1})
        http.get("/v1/users/u/recommendations", params={"k": secret})
        http.post("/v1/recommendations", json={"strategy": secret})
        answer = http.put(f"/v1/users/{secret}", json={"profile": {"country": [secret]}})
    assert secret not in answer.text
    text = log()
    assert [line["event"] for line in read_lines(text)].count("request") == 4
    assert secret not in text


def test_headers_that_protect_a_browser(http: httpx.Client) -> None:
    for path in ("/healthz", "/nope", "/v1/model", "/v1/openapi.json"):
        headers = http.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers
        assert "access-control-allow-origin" not in headers


def test_a_request_keeps_its_id(log: Callable[[], str], start_app: StartApp) -> None:
    with start_app().open_client() as http:
        identity = http.get("/healthz", headers={"X-Request-ID": "trace-1.a_B"}).headers["x-request-id"]
        assert identity == "trace-1.a_B"
        assert [(line["request_id"], line["route"]) for line in read_lines(log())] == [(identity, "/healthz")]
        for wrong in ("", "a b", "x" * 65, '"}{'):
            identity = http.get("/healthz", headers={"X-Request-ID": wrong}).headers["x-request-id"]
            assert identity != wrong
            assert len(identity) == 16


@pytest.mark.parametrize("error", [RuntimeError("broken pipe"), DataError("a store says no")])
def test_an_error_after_the_headers_were_sent_is_logged_with_the_request(
    caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    async def fail(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise error

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    settings = ServeSettings()
    headers = [(b"host", b"localhost"), (b"x-request-id", b"trace-9")]
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": headers}
    asyncio.run(Gate(fail, settings, Keys(settings), Metrics(), quick_route)(scope, receive, send))
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.getMessage() == "a request failed"
    assert record.exc_info is not None
    assert record.exc_info[1] is error
    assert record.__dict__["fields"] == {"request_id": "trace-9"}


def test_an_error_that_nobody_expected_is_logged_once_and_not_told(
    caplog: pytest.LogCaptureFixture, start_app: StartApp
) -> None:
    app = start_app()
    app.service.lists = app.service.holder.current = None  # type: ignore[assignment]
    with app.open_client() as http:
        for path in ("/v1/users/u/recommendations", "/v1/model"):
            caplog.clear()
            answer = http.get(path)
            body = assert_error(answer, 500, "internal_error")
            assert "NoneType" not in body["message"]
            (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
            assert record.__dict__["fields"] == {"request_id": answer.headers["x-request-id"]}


def test_more_requests_at_once_than_allowed_are_refused(start_app: StartApp) -> None:
    app = start_app(max_concurrent=1)
    with app.open_client() as http:
        unfinished = app.start(app.send_unfinished("/v1/events", kind="application/x-ndjson"))
        wait_for(lambda: http.get("/v1/model").status_code == 503)
        answer = http.get("/v1/model")
        assert_error(answer, 503, "overloaded")
        assert answer.headers["retry-after"] == "1"
        assert http.get("/healthz").status_code == http.get("/readyz").status_code == 200  # busy, not dead
        unfinished.cancel()
        wait_for(lambda: http.get("/v1/model").status_code == 200)
