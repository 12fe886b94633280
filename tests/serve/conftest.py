"""A model's folder, and real server processes to ask."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from firstday.recommend.recommender import Recommender

START_TIMEOUT_S = 30.0


class Server:
    """A `firstday serve` of its own.

    Parameters
    ----------
    model
        The model's folder.
    folder
        Where its log and its store are.
    settings
        Without their prefix, such as ``read_keys``.
    """

    def __init__(self, model: Path, folder: Path, settings: dict[str, Any]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.log_path = folder / "log"
        settings = {"port": 0, "store": f"sqlite:///{folder / 'users.sqlite'}", **settings}
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("FIRSTDAY_SERVE_")},
            **{f"FIRSTDAY_SERVE_{name.upper()}": str(value) for name, value in settings.items()},
        }
        self.model = model
        self.start()

    def start(self) -> None:
        """Start the process and wait until it is ready."""
        with self.log_path.open("ab") as log:
            at = log.tell()
            self.process = subprocess.Popen(
                [sys.executable, "-m", "firstday", "serve", str(self.model)], env=self.environment, stderr=log
            )
        until = time.monotonic() + START_TIMEOUT_S
        while not (ready := [line for line in self.log(at) if line["event"] == "ready"]):
            assert self.process.poll() is None, self.log_path.read_text()
            assert time.monotonic() < until, self.log_path.read_text()
            time.sleep(0.02)
        self.url = ready[0]["url"]
        self.http = httpx.Client(base_url=self.url, timeout=30)

    def log(self, at: int = 0) -> list[dict[str, Any]]:
        """Return the whole lines of the log."""
        text = self.log_path.read_bytes()[at:].decode()
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n") and line[0] == "{"]

    def kill(self) -> None:
        """End the process as the system would, without a chance to tidy up."""
        self.http.close()
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """End the process politely; return its exit status."""
        self.http.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


StartServer = Callable[..., Server]


@pytest.fixture(scope="session")
def model(recommender: Recommender, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recommender.save(tmp_path_factory.mktemp("served") / "model")


@pytest.fixture(scope="session")
def server(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server without keys for all tests that use users of their own."""
    running = Server(model, tmp_path_factory.mktemp("server"), {})
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="session")
def http(server: Server) -> httpx.Client:
    return server.http


@pytest.fixture
def start_server(model: Path, tmp_path: Path) -> Iterator[StartServer]:
    """Start servers with settings of their own."""
    started: list[Server] = []

    def start(model: Path = model, folder: Path = tmp_path / "server", **settings: Any) -> Server:
        started.append(Server(model, folder, settings))
        return started[-1]

    yield start
    for running in started:
        running.kill()


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


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
