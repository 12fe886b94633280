"""Write the responses of a real server below the curl commands of docs/http.md: python docs/write_http.py.

The server has a handmade model of five users and six items (`tests/tiny.py`), so responses are reproducible, except for
times, versions and random ids, which are replaced by samples. Commands below a line ``<!-- server: keys -->`` go to a
server with keys; ``<!-- lines: 6 -->`` above a command limits the lines of its response. Responses between
``<!-- brief -->`` and ``<!-- full -->`` lack their empty fields.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS.parent), str(DOCS.parent / "benchmarks")]

from serve_process import ServerProcess  # noqa: E402
from tests.tiny import make_content, make_recommender  # noqa: E402

from firstday.recommend.recommender import Recommender  # noqa: E402

PAGE = DOCS / "http.md"
ADDRESS = "localhost:8000"
BLOCK = re.compile(r"```sh\n(curl .*?)```\n\n```(json|text)\n(.*?)```", re.DOTALL)
"""A command and its response."""
KEYS = {right: f"{right}-key-of-the-docs" for right in ("read", "write", "items", "admin")}
SAMPLES: dict[str, Any] = {
    "model": "5f0c3f9a7d21e846",
    "before": "5f0c3f9a7d21e846",
    "firstday": "0.1.0",
    "version": "0.1.0",
    "bytes": 86016,
    "list_id": "Zk3vQ9xW2mB7nR4tLp1s",
    **dict.fromkeys(("created_at", "loaded_at"), "2026-01-31T03:15:00Z"),
    **dict.fromkeys(
        ("put_at", "first_seen_at", "received_at", "recorded_at", "assigned_at", "since"), "2026-01-31T12:00:00Z"
    ),
}
"""Samples of values that differ between runs, by field."""
MAX_LINES = 60
MAX_WIDTH = 110
"""Maximum characters of a line of JSON."""


def read_request(arguments: Sequence[str]) -> dict[str, Any]:
    """Return the request of a curl command, as arguments of `httpx.Client.request`."""
    words = iter(arguments)
    request: dict[str, Any] = {"method": "GET", "headers": {}}
    query: dict[str, str] = {}
    for word in words:
        if word == "-X":
            request["method"] = next(words)
        elif word == "-H":
            name, _, value = next(words).partition(": ")
            request["headers"][name] = value
        elif word in ("-d", "--data-binary"):
            request["content"] = next(words).encode()
            request["headers"].setdefault("Content-Type", "application/x-www-form-urlencoded")
            request["method"] = "POST" if request["method"] == "GET" else request["method"]
        elif word == "--data-urlencode":
            name, _, value = next(words).partition("=")
            query[name] = value
        elif word.startswith(ADDRESS):
            request["url"] = word.removeprefix(ADDRESS)
        elif word != "-G":
            raise ValueError(f"{word}: is not a supported option of curl; add it to read_request.")
    return request | ({"params": query} if query else {})


def show(answer: httpx.Response, max_lines: int, is_brief: bool) -> tuple[str, str]:
    """Return the language and the text of a response for the page."""
    language = "json" if answer.headers.get("content-type") == "application/json" else "text"
    if language == "json":
        content = _replace_samples(answer.json())
        lines = write_json(_without_empty(content) if is_brief else content).splitlines()
    else:
        lines = [f"HTTP/1.1 {answer.status_code} {answer.reason_phrase}"]
        if "content-type" in answer.headers:
            lines.append(f"content-type: {answer.headers['content-type']}")
        lines += ["", *answer.text.splitlines()[:2]]
    if len(lines) > max_lines:
        language = "text"  # truncated JSON is invalid
        lines = [*lines[:max_lines], "..."]
    return language, "\n".join(lines).strip() + "\n"


def write_json(value: Any, depth: int = 0, before: int = 0) -> str:
    """Return JSON in which every value that fits is on one line."""
    line = json.dumps(value, ensure_ascii=False)
    if len(line) + depth + before <= MAX_WIDTH or not value or not isinstance(value, dict | list):
        return line
    names = [f"{json.dumps(name)}: " for name in value] if isinstance(value, dict) else [""] * len(value)
    values = value.values() if isinstance(value, dict) else value
    parts = [
        " " * (depth + 1) + name + write_json(x, depth + 1, len(name)) for name, x in zip(names, values, strict=True)
    ]
    begin, end = "{}" if isinstance(value, dict) else "[]"
    return f"{begin}\n" + ",\n".join(parts) + f"\n{' ' * depth}{end}"


def _without_empty(value: Any) -> Any:
    """Return JSON without the fields that are null or an empty list."""
    if isinstance(value, dict):
        return {key: _without_empty(part) for key, part in value.items() if part is not None and part != []}
    return [_without_empty(part) for part in value] if isinstance(value, list) else value


def _replace_samples(value: Any, name: str = "") -> Any:
    """Round numbers, and replace values that differ between runs by samples."""
    if isinstance(value, dict):
        return {key: _replace_samples(part, key) for key, part in value.items()}
    if isinstance(value, list):
        return [_replace_samples(part, name) for part in value]
    if isinstance(value, float):
        return round(value, 3) + 0.0  # never -0.0
    return SAMPLES[name] if value is not None and name in SAMPLES else value


@contextmanager
def running_servers() -> Iterator[dict[str, httpx.Client]]:
    """Run a server without keys, and one with keys."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        tiny = make_recommender().model
        catalogue = replace(tiny.catalogue, names={"artist": ("Ada", "Ben")})
        model = Recommender(replace(tiny, catalogue=catalogue).with_learned(content=make_content())).save(
            folder / "model"
        )
        clients = {}
        keys = {f"{right}_keys": key for right, key in KEYS.items()}
        for name, settings in (("open", {}), ("keys", keys)):
            store = folder / name
            server = ServerProcess(model, store, settings)
            stack.callback(server.stop)
            clients[name] = stack.enter_context(httpx.Client(base_url=server.url, timeout=30))
        yield clients


def render(page: str) -> tuple[str, list[tuple[str, str, int]]]:
    """Return the page with the responses of real servers, and method, path and status of each request."""
    requests = []
    with running_servers() as clients:

        def ask(match: re.Match[str]) -> str:
            before = page[: match.start()]
            client = clients["keys" if "<!-- server: keys -->" in before else "open"]
            request = read_request(shlex.split(match[1].replace("\\\n", " "))[1:])
            answer = client.request(**request)
            requests.append((request["method"], request["url"].partition("?")[0], answer.status_code))
            limit = re.search(r"<!-- lines: (\d+) -->\s*$", before)
            is_brief = before.rfind("<!-- brief -->") > before.rfind("<!-- full -->")
            language, text = show(answer, int(limit[1]) if limit else MAX_LINES, is_brief)
            return f"```sh\n{match[1]}```\n\n```{language}\n{text}```"

        return BLOCK.sub(ask, page), requests


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8"))[0], encoding="utf-8")
