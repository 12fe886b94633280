"""What a request may cost: bytes, seconds, comparisons, and how many are served at once."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

import firstday as fd
from firstday.errors import ConfigError
from firstday.serve import batching
from firstday.serve.middleware import MAX_TOKEN_REQUESTS
from firstday.serve.protocol import MAX_HEAD_BYTES
from firstday.serve.routes.lists import MAX_COMPARISONS, MAX_TOKEN_COMPARISONS, MAX_TOKEN_ITEMS
from firstday.serve.schemas import MAX_FILTERS_LENGTH
from firstday.serve.settings import load_settings
from tests.serve.conftest import StartApp, assert_error, connect, open_client, read_body, wait_for
from tests.serve.in_process import RunningApp, listening_app

KEY = "token-key-of-at-least-32-characters"
READ, WRITE = "read-key-of-16-chars", "write-key-of-16-chars"
SHOP = "https://shop.example"
SETTINGS = {"read_keys": READ, "write_keys": WRITE, "token_keys": KEY, "origins": SHOP, "token_requests": 1000}
LISTS = "/v1/users/u/recommendations"
ONE = "item_id != 'x'"


@pytest.fixture(scope="module")
def impatient(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    settings = {**SETTINGS, "client_timeout_s": 3, "max_concurrent": 4}
    with listening_app(model, tmp_path_factory.mktemp("impatient"), **settings) as running:
        yield running


def read_all(line: socket.socket) -> bytes:
    """Read until the server closes the connection."""
    parts = []
    while part := line.recv(2**16):
        parts.append(part)
    return b"".join(parts)


def filters(n: int) -> list[str]:
    """Return some different filters, each of one comparison."""
    return [f"item_id != 'x{number}'" for number in range(n)]


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * MAX_HEAD_BYTES,
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * MAX_HEAD_BYTES,
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * (MAX_HEAD_BYTES // 6),
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"X: yz\r\n" * (MAX_HEAD_BYTES // 6) + b"\r\n",
    ],
    ids=["url", "header", "headers", "complete"],
)
def test_a_large_head_is_refused_before_it_is_complete(impatient: RunningApp, head: bytes) -> None:
    with connect(impatient) as line:
        line.sendall(head)
        answer = read_all(line)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "head_too_large"


def test_a_head_of_the_largest_size_is_read(impatient: RunningApp) -> None:
    with open_client(impatient) as http:
        assert http.get("/healthz", headers={"X-Long": "x" * (MAX_HEAD_BYTES - 1000)}).status_code == 200


def test_trailers_are_limited_as_heads_are(impatient: RunningApp) -> None:
    chunked = b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n"
    with connect(impatient) as line:
        line.sendall(chunked)
        with pytest.raises(ConnectionError):
            line.sendall(b"X: y\r\n" * 10_000_000)


def test_a_head_that_does_not_arrive_is_given_up(impatient: RunningApp) -> None:
    with connect(impatient) as line:
        line.sendall(b"GET /healthz HTTP/1.1\r\nHost: ")
        assert read_all(line).startswith(b"HTTP/1.1 408 ")


def test_who_does_not_read_neither_keeps_slots_nor_stays(impatient: RunningApp) -> None:
    document = "GET /v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    ask = f"GET {LISTS}?k=100 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {READ}\r\n\r\n"
    with open_client(impatient, READ) as http, ExitStack() as stack:
        http.get("/v1/openapi.json")
        for _ in range(6):  # more than `max_concurrent`
            line = stack.enter_context(socket.socket())
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            line.connect(("127.0.0.1", int(impatient.url.rpartition(":")[2])))
            line.sendall((document + ask).encode() * 100)
        wait_for(lambda: len(impatient.connections) > 1)
        wait_for(lambda: http.get(LISTS).status_code == 200)
        wait_for(lambda: len(impatient.connections) <= 1)


def open_token(app: RunningApp, user_id: str = "u") -> httpx.Client:
    http = app.open_client(fd.sign_token(user_id, KEY, [SHOP]))
    http.headers["Origin"] = SHOP
    return http


def test_bodies_that_do_not_arrive_take_no_slots(start_app: StartApp) -> None:
    app = start_app(**SETTINGS, max_concurrent=2)
    token = fd.sign_token("u", KEY, [SHOP])
    slow = [app.start(app.send_unfinished("/v1/events", key)) for key in (WRITE, WRITE, WRITE, token, token)]
    with app.open_client(READ) as http, open_token(app) as page:
        wait_for(lambda: page.get(LISTS).status_code == 503)  # pages have as many requests in all
        assert http.get(LISTS).status_code == 200
        for one in slow:
            one.cancel()
        wait_for(lambda: page.get(LISTS).status_code == 200)


def test_a_user_has_few_requests_at_once(start_app: StartApp) -> None:
    app = start_app(**SETTINGS)
    token = fd.sign_token("u", KEY, [SHOP])
    slow = [app.start(app.send_unfinished("/v1/events", token)) for _ in range(MAX_TOKEN_REQUESTS)]
    with open_token(app) as page, open_token(app, "v") as other:
        wait_for(lambda: page.get(LISTS).status_code == 429)
        answer = page.get(LISTS)
        assert_error(answer, 429, "too_many_requests")
        assert answer.headers["retry-after"] == "1"
        assert other.get("/v1/users/v/recommendations").status_code == 200
        for one in slow:
            one.cancel()
        wait_for(lambda: page.get(LISTS).status_code == 200)


def test_comparisons_are_limited_over_filters_boosts_and_rows(start_app: StartApp) -> None:
    several = " and ".join(filters(50))
    boosts = dict.fromkeys(filters(MAX_COMPARISONS - 50), 2.0)
    with start_app().open_client() as http:

        def post(rules: Any, rows: Any = ()) -> httpx.Response:
            return http.post(LISTS, json={"k": 3, "rules": rules, "rows": rows})

        assert post({"filter": several, "boost": boosts}).status_code == 200
        for rules, rows in (
            ({"filter": several, "boost": boosts | {ONE: 2.0}}, []),
            ({"filter": several}, [{"name": str(number)} for number in range(5)]),
            ({}, [{"name": str(number), "filter": several} for number in range(5)]),
        ):
            assert_error(post(rules, rows), 422, "invalid", "rules")


def test_a_page_has_fewer_comparisons(impatient: RunningApp) -> None:
    with open_token(impatient) as page:
        for n, status in ((MAX_TOKEN_COMPARISONS, 200), (MAX_TOKEN_COMPARISONS + 1, 422)):
            rules = {"filter": " and ".join(filters(n))}
            assert page.get(LISTS, params=rules).status_code == status
            assert page.post(LISTS, json={"rules": rules}).status_code == status


def test_a_page_gets_few_items(impatient: RunningApp) -> None:
    rows = [{"name": str(number), "k": MAX_TOKEN_ITEMS // 2} for number in range(3)]
    with open_token(impatient) as page:
        for body, status in (
            ({"k": MAX_TOKEN_ITEMS}, 200),
            ({"k": MAX_TOKEN_ITEMS + 1}, 422),
            ({"rows": rows[:2]}, 200),
            ({"rows": rows}, 422),
        ):
            assert page.post(LISTS, json=body).status_code == status


@pytest.mark.parametrize("wrong", ["'", "1"])
def test_long_filters_are_refused_before_they_are_parsed(http: httpx.Client, wrong: str) -> None:
    """An invalid filter would be an error of its own."""
    long = [f"{'x' * 1000}{number}{wrong}" for number in range(MAX_FILTERS_LENGTH // 1000)]
    rows = [{"name": one, "filter": one * 2} for one in long]
    for answer in (
        http.post(LISTS, json={"rules": {"boost": dict.fromkeys(long, 2.0)}}),
        http.post(LISTS, json={"rows": [{**row, "name": str(at)} for at, row in enumerate(rows)]}),
        http.get(LISTS, params={"boost": [f"{one}:2" for one in long]}),
    ):
        body = answer.json()
        assert (answer.status_code, body["code"]) == (422, "invalid")
        assert f"{MAX_FILTERS_LENGTH:,}" in body["message"]


@pytest.mark.parametrize(
    "rules",
    [
        {"filter": 'item_id == "\ud800"'},
        {"cap": {"\ud800": 1}},
        {"lists": {"\ud800": []}},
    ],
)
def test_half_of_a_surrogate_pair_is_refused(http: httpx.Client, rules: dict[str, Any]) -> None:
    answer = http.post(LISTS, content=json.dumps({"rules": rules}), headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


def test_rules_are_compiled_in_a_thread_in_time(start_app: StartApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "MAX_ON_LOOP_S", 60)  # a list is quick on any machine
    app = start_app(max_wait_s=2)
    with app.open_client() as http:
        for _ in range(2):  # the first compiles the filter, the second measures a list
            wait_for(lambda: http.get(LISTS, params={"filter": ONE}).status_code == 200)
        done = threading.Event()
        app.service.lists._pool.submit(done.wait, 60)
        for parameters in ({"filter": "item_id != 'y'"}, {"explain": True}):
            assert_error(http.get(LISTS, params=parameters), 503, "overloaded")
            wait_for(lambda: http.get(LISTS, params={"filter": ONE}).status_code == 200)  # compiled
        done.set()
        wait_for(lambda: http.get(LISTS, params={"explain": True}).status_code == 200)


def test_a_token_of_a_merged_guest_reads_nothing(impatient: RunningApp) -> None:
    app = impatient
    event = {"event_id": "e", "user_id": "guest", "entity_id": "i001"}
    with app.open_client(WRITE) as server:
        read_body(server.put("/v1/users/person", json={"age": 24}))
    with open_token(app, "guest") as guest, open_token(app, "person") as person:
        assert guest.get("/v1/users/guest/recommendations").status_code == 200
        with app.open_client(WRITE) as server:
            read_body(server.post("/v1/users/person/merge", json={"from": "guest"}))
        for answer in (
            guest.get("/v1/users/guest/recommendations", params={"explain": True}),
            guest.post("/v1/users/guest/recommendations", json={"record": True}),
        ):
            assert_error(answer, 403, "merged")
            assert "person" not in answer.text
        assert read_body(guest.post("/v1/events", json={"events": [event]}))["accepted"] == 1
        assert person.get("/v1/users/person/recommendations").status_code == 200
    with app.open_client(READ) as server:
        assert [one["event_id"] for one in server.get("/v1/users/person").json()["events"]] == ["e"]


def test_a_foreign_page_changes_nothing_without_keys(http: httpx.Client) -> None:
    for site in ("cross-site", "same-site"):
        for path in ("/v1/model/reload", "/v1/events"):
            assert_error(http.post(path, headers={"Sec-Fetch-Site": site}), 403, "forbidden")
    assert http.post("/v1/model/reload", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200


def test_origins_without_keys_of_tokens_are_refused() -> None:
    with pytest.raises(ConfigError, match="TOKEN_KEYS"):
        load_settings({"origins": SHOP})
