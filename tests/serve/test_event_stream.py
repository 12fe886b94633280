"""Events as a stream: of any length, kept in groups; a line that is none costs nobody else's."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import httpx
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from firstday.serve.event_stream import MAX_BATCH_BYTES, MAX_LINE_BYTES, read_stream
from firstday.serve.schemas import MAX_EVENTS, EventBody, LineError, StreamAnswer
from firstday.serve.store.log import StoreError
from firstday.serve.store.records import Event
from tests.serve.conftest import StartApp, assert_error, connect, open_client, wait_for
from tests.serve.in_process import RunningApp, listening_app

HEAD = b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
STREAM = {"Content-Type": "application/x-ndjson"}


def write_event(number: int, user: str = "u", **more: Any) -> bytes:
    values = {"event_id": f"e{number}", "user_id": user, "entity_id": f"i{number % 100:03}", **more}
    return json.dumps(values).encode() + b"\n"


def post(http: httpx.Client, content: bytes | Iterator[bytes], **headers: str) -> httpx.Response:
    return http.post("/v1/events", content=content, headers={**STREAM, **headers})


def event_ids(http: httpx.Client, user: str) -> list[str]:
    answer = http.get(f"/v1/users/{user}")
    return [event["event_id"] for event in answer.json()["events"]] if answer.status_code == 200 else []


def test_good_lines_are_kept_and_each_other_is_named(http: httpx.Client) -> None:
    lines = [
        write_event(1, "lines"),
        b"\n",
        b"{no json}\n",
        write_event(4, "lines").replace(b"\n", b"\r\n"),
        write_event(5, "lines", entity_id=None, weight=2),
        b'["e6"]\n',
        write_event(7, "lines", signal="loves"),
        b"\xff\n",
        b"x" * (MAX_LINE_BYTES + 1) + b"\n",
        write_event(10, "lines").rstrip(b"\n"),
    ]
    answer = post(http, b"".join(lines))
    assert answer.status_code == 200
    found = answer.json()
    StreamAnswer.model_validate(found)
    assert [(error["line"], error["field"]) for error in found.pop("errors")] == [
        (3, ""), (5, "entity_id"), (5, "weight"), (6, ""), (8, ""), (9, ""),
    ]  # fmt: skip
    assert found == {"accepted": 4, "duplicates": 0, "not_understood": 1, "refused": 5}
    assert event_ids(http, "lines") == ["e1", "e4", "e7", "e10"]
    again = post(http, b"".join(lines)).json()
    assert (again["accepted"], again["duplicates"], again["refused"]) == (0, 4, 5)
    assert event_ids(http, "lines") == ["e1", "e4", "e7", "e10"]


def test_an_answer_names_the_first_faults_alone(http: httpx.Client) -> None:
    found = post(http, b"{}\n" * 500 + write_event(1, "many")).json()
    assert (found["accepted"], found["refused"], len(found["errors"])) == (1, 500, 20)


def test_a_stream_without_an_event_is_an_error(http: httpx.Client) -> None:
    body = assert_error(
        post(http, b'{"event_id": 1}\nx\n'), 422, "invalid", "line 1, entity_id", "line 1, user_id", "line 2"
    )
    assert body["message"].startswith(
        "No line of the stream is a valid event; first error: line 1, entity_id: Field required"
    )
    assert_error(post(http, b"\n\n"), 422, "invalid")
    assert_error(post(http, b""), 422, "invalid")
    assert_error(http.put("/v1/users/u", content=b"{}", headers=STREAM), 415, "unsupported_media_type")


@given(st.lists(st.integers(min_value=1, max_value=40), max_size=12))
def test_it_does_not_matter_where_a_stream_is_cut(cuts: list[int]) -> None:
    content = b"".join(write_event(number, "ü") for number in range(4)) + b"\r\n\nodd"
    parts = []
    rest = content
    for cut in cuts:
        parts.append(rest[:cut])
        rest = rest[cut:]
    events, refused = read([*parts, rest])
    assert [event.event_id for _, event in events] == ["e0", "e1", "e2", "e3"]
    assert refused == [LineError(line=7, field="", message="Invalid JSON")]


def read(parts: Iterable[bytes]) -> tuple[list[tuple[str, Event]], list[LineError]]:
    """Read a stream; return its events, and the lines that are none."""
    events: list[tuple[str, Event]] = []
    refused: list[LineError] = []

    async def send() -> AsyncIterator[bytes]:
        for part in parts:
            yield part

    async def collect() -> None:
        async for _, some, others in read_stream(send(), TypeAdapter(EventBody), lambda _: ()):
            events.extend((event.user_id, event) for event in some)
            refused.extend(others)

    asyncio.run(collect())
    return events, refused


def test_the_answer_says_how_far_it_came_where_the_store_fails(start_app: StartApp) -> None:
    app = start_app()
    append = app.service.store.append
    kept = list[int]()

    async def fail_later(events: Sequence[tuple[str, Event]]) -> int:
        if kept:
            raise StoreError("store: is away; try again.")
        kept.append(await append(events))
        return kept[0]

    app.service.store.append = fail_later  # type: ignore[method-assign,assignment]
    with app.open_client() as http:
        content = b"x\n" + b"".join(write_event(number) for number in range(2 * MAX_EVENTS))
        body = assert_error(post(http, content), 503, "store_unavailable")
    assert kept == [MAX_EVENTS - 1]
    assert body["message"].endswith("The events of the first 1,000 lines are stored; sending them again is safe.")


def test_a_line_without_an_end_is_not_held() -> None:
    parts = chain(repeat(b"x" * 10_000, 2_000), [b"\n" + write_event(2)])  # 20 MB
    tracemalloc.start()
    try:
        events, refused = read(parts)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()
    assert len(events) == 1
    assert refused == [LineError(line=1, field="", message="Has more than 65,536 bytes")]


def test_a_batch_has_a_maximum_size() -> None:
    async def send() -> AsyncIterator[bytes]:
        yield b"".join(write_event(number, "u" + " " * 50_000) for number in range(100))

    async def find_sizes() -> list[int]:
        return [len(faults) async for _, _, faults in read_stream(send(), TypeAdapter(EventBody), lambda _: ())]

    sizes = asyncio.run(find_sizes())
    assert sum(sizes) == 100
    assert max(sizes) <= 1 + MAX_BATCH_BYTES // 50_000


def test_a_stream_that_breaks_off_leaves_whole_groups(app: RunningApp) -> None:
    body = b"".join(write_event(number, f"b{number % 50}") for number in range(2 * MAX_EVENTS + 10))
    with connect(app) as connection:
        connection.sendall(HEAD + b"Content-Length: 10000000\r\n\r\n" + body)
    with open_client(app) as http:
        wait_for(lambda: len(event_ids(http, "b49")) == 40)
        assert event_ids(http, "b0") == [f"e{number}" for number in range(0, 2 * MAX_EVENTS, 50)]


def test_a_stream_has_a_size_and_may_not_be_silent(model: Path, tmp_path: Path) -> None:
    events = [write_event(number, f"z{number % 50}") for number in range(5_000)]
    settings = {"max_stream_bytes": 200_000, "client_timeout_s": 3}
    with listening_app(model, tmp_path, **settings) as app, open_client(app) as http:
        assert_error(post(http, b"".join(events)), 413, "body_too_large")
        assert event_ids(http, "z0") == []  # it was refused by its length
        body = assert_error(post(http, iter(events)), 413, "body_too_large")
        kept = sum(len(event_ids(http, f"z{number}")) for number in range(50))
        assert kept % MAX_EVENTS == 0
        assert kept > 0
        assert body["message"].endswith(
            f"The events of the first {kept:,} lines are stored; sending them again is safe."
        )
        assert_error(http.post("/v1/events", json={"events": [], "x": "y" * 2**20}), 413, "body_too_large")
        with connect(app) as connection:
            connection.sendall(HEAD + b"Content-Length: 100000\r\n\r\n" + write_event(1))
            assert connection.recv(65536).startswith(b"HTTP/1.1 408 ")
