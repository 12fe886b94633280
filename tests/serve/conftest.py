"""A model's folder, an application in this process to ask, real server processes, and real stores where installed."""

from __future__ import annotations

import io
import json
import logging
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from serve_process import ServerProcess
from store_servers import PostgresProcess, RedisProcess

from firstday.cli.main import main
from firstday.methods.auto import Guard
from firstday.recommend.recommender import Recommender, open_model
from firstday.serve.store.sqlite import SqliteLog
from firstday.serve.telemetry import set_up_logs
from tests.serve.in_process import RunningApp, listening_app, running_app
from tests.serve.store_harness import Harness, MakeLog
from tests.tiny import with_learned

StartServer = Callable[..., ServerProcess]
StartApp = Callable[..., RunningApp]


def open_client(server: ServerProcess | RunningApp, key: str = "") -> httpx.Client:
    """Return a client of a server, with a key if one is given."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx.Client(base_url=server.url, headers=headers, timeout=60)


def connect(server: ServerProcess | RunningApp) -> socket.socket:
    """Open a connection to a server, for bytes that no client sends."""
    parts = urlsplit(server.url)
    return socket.create_connection((parts.hostname, parts.port), timeout=60)


@pytest.fixture(scope="session")
def recommender(recommender: Recommender) -> Recommender:
    """A model whose strategies answer wherever they can, whatever its training chose."""
    config = recommender.model.config.override({"recommend.strategy": "segment", "signals.visit_minutes": 0})
    return Recommender(replace(with_learned(recommender.model, auto=Guard()), config=config))


@pytest.fixture(scope="session")
def model(recommender: Recommender, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recommender.save(tmp_path_factory.mktemp("served") / "model")


@pytest.fixture(scope="session")
def opened(model: Path) -> Recommender:
    return open_model(model)


@pytest.fixture(scope="session")
def app(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """One application without keys for all tests that use users of their own."""
    with listening_app(model, tmp_path_factory.mktemp("app")) as running:
        yield running


@pytest.fixture(scope="session")
def http(app: RunningApp) -> Iterator[httpx.Client]:
    """A client of that application."""
    with app.open_client() as client:
        yield client


@pytest.fixture(scope="session")
def by_hand(tiny: Recommender, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of an application with the model that was made by hand; see `tests.tiny`."""
    folder = tmp_path_factory.mktemp("by-hand")
    config = tiny.model.config.override("signals.visit_minutes", 0)
    at_once = Recommender(replace(tiny.model, config=config))  # impressions count
    with running_app(at_once.save(folder / "model"), folder) as running, running.open_client() as client:
        yield client


@pytest.fixture
def start_app(model: Path, tmp_path: Path) -> Iterator[StartApp]:
    """Start applications with settings of their own."""
    with ExitStack() as stack:

        def start(model: Path = model, folder: Path = tmp_path, **settings: Any) -> RunningApp:
            return stack.enter_context(running_app(model, folder, **settings))

        yield start


@pytest.fixture
def log() -> Iterator[Callable[[], str]]:
    """Let applications that start from here on log as the command does; give what reads the log so far."""
    loggers = [logging.getLogger(name) for name in ("firstday", "psycopg", "uvicorn")]
    before = [(logger.handlers, logger.propagate, logger.level) for logger in loggers]
    set_up_logs("info", "json")
    written = io.StringIO()
    for handler in loggers[0].handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(written)
    yield written.getvalue
    for logger, (handlers, propagate, level) in zip(loggers, before, strict=True):
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


def read_lines(text: str) -> list[dict[str, Any]]:
    """Return the lines of a log."""
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="session")
def server(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server process without keys, for what needs a real one."""
    running = ServerProcess(model, tmp_path_factory.mktemp("server"), {})
    yield running
    assert running.stop() == 0


@pytest.fixture
def start_server(model: Path, tmp_path: Path) -> Iterator[StartServer]:
    """Start servers with settings of their own."""
    started: list[ServerProcess] = []

    def start(model: Path = model, folder: Path = tmp_path / "server", **settings: Any) -> ServerProcess:
        started.append(ServerProcess(model, folder, settings))
        return started[-1]

    yield start
    for running in started:
        running.kill()


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisProcess]:
    if not RedisProcess.is_installed():
        pytest.skip("redis-server is not installed")
    with RedisProcess() as running:
        yield running


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresProcess]:
    if not PostgresProcess.is_installed():
        pytest.skip("Postgres is not installed")
    with PostgresProcess() as running:
        yield running


@pytest.fixture(params=["sqlite", "redis", "postgres"])
def store_settings(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """Settings of a store for the test alone."""
    if request.param == "sqlite":
        return {"store": f"sqlite:///{tmp_path / 'users.sqlite'}"}
    if request.param == "postgres":
        postgres: PostgresProcess = request.getfixturevalue("postgres")
        return {"store": postgres.make_schema()}
    redis: RedisProcess = request.getfixturevalue("redis")
    return {"store": redis.url, "redis_prefix": f"a*[{tmp_path.name}"}


@pytest.fixture
def make_log(store_settings: dict[str, Any]) -> MakeLog:
    """Open the log of the test, again if it was."""
    url = store_settings["store"]
    if url.startswith("sqlite"):
        return lambda rules: SqliteLog(Path(url.removeprefix("sqlite:///")), rules)
    if url.startswith("postgresql"):
        from firstday.serve.store.postgres import PostgresLog

        return lambda rules: PostgresLog(url, rules, timeout_s=10)
    from firstday.serve.store.redis import RedisLog

    return lambda rules: RedisLog(url, rules, prefix=store_settings["redis_prefix"], timeout_s=10)


@pytest.fixture
def kept(make_log: MakeLog) -> Iterator[Harness]:
    """A store for the test alone."""
    harness = Harness(make_log)
    yield harness
    harness.close()


def ids_of(answer: dict[str, Any]) -> list[str]:
    """Return the ids of an answer's items, in their order."""
    return [str(item["item_id"]) for item in answer["items"]]


def get_list(http: httpx.Client, user_id: str, **parameters: Any) -> dict[str, Any]:
    """Return the list of a user."""
    return read_body(http.get(f"/v1/users/{user_id}/recommendations", params=parameters))


def post_list(http: httpx.Client, signals: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Return the list for signals."""
    return read_body(http.post("/v1/recommendations", json={"signals": signals, **options}))


def add_events(http: httpx.Client, user_id: str, *items: str, **fields: Any) -> dict[str, Any]:
    """Add a new event on each item; return the answer."""
    events = [{"event_id": f"{item} {fields}", "user_id": user_id, "entity_id": item, **fields} for item in items]
    answer = read_body(http.post("/v1/events", json={"events": events}))
    assert answer["accepted"] == len(items)
    return answer


def read_body(answer: httpx.Response) -> dict[str, Any]:
    """Return the body of a successful answer."""
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def run_command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Run a command of `firstday` in this process; return its exit status and what it printed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["firstday", *arguments])
        patch.setattr("firstday.serve.telemetry.set_up_logs", lambda *_: None)
        with pytest.raises(SystemExit) as ended:
            main()
    written = capsys.readouterr()
    return int(ended.value.code or 0), written.out + written.err


def wait_for(what: Any) -> None:
    """Wait until something holds."""
    until = time.monotonic() + 60
    while not what():
        assert time.monotonic() < until
        time.sleep(0.02)


def assert_error(answer: httpx.Response, status: int, code: str, *fields: str) -> dict[str, Any]:
    """Check that an answer is the one error body and names these fields; return it."""
    body: dict[str, Any] = answer.json()
    assert answer.status_code == status, body
    assert set(body) == {"status", "code", "message", "errors"}
    assert (body["status"], body["code"]) == (status, code)
    assert body["message"].endswith(".")
    assert [set(error) for error in body["errors"]] == [{"field", "message"}] * len(body["errors"])
    assert [error["field"] for error in body["errors"]] == list(fields), body
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]
    return body
