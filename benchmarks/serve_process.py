"""A real server process for benchmarks and tests, and a client that uses little of its core."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 60.0
PATIENCE = {"store_timeout_s": 10, "max_wait_s": 10}
"""Settings with which a busy machine refuses nothing."""


class ServerProcess:
    """A dedicated `firstday serve` process.

    Parameters
    ----------
    model
        Model folder.
    folder
        Folder of its log and, unless the settings say otherwise, its store.
    settings
        By name without prefix, such as ``read_keys``; those of `PATIENCE` are others than users have.
    core
        The core to pin it to. Default: any.
    """

    def __init__(
        self, model: Path, folder: Path, settings: Mapping[str, Any] | None = None, core: int | None = None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.model, self.core, self.log_path = model, core, folder / "log"
        values = {"port": 0, **PATIENCE, "store": f"sqlite:///{folder / 'users.sqlite'}", **(settings or {})}
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("FIRSTDAY_SERVE_")},
            **{f"FIRSTDAY_SERVE_{name.upper()}": str(value) for name, value in values.items()},
        }
        self.start()

    def start(self) -> None:
        """Start the process and wait until it is ready; `ready_s` is the time that took."""
        command = [sys.executable, "-m", "firstday", "serve", str(self.model)]
        began = time.monotonic()
        with self.log_path.open("ab") as log:
            at = log.tell()
            self.process = subprocess.Popen(command, env=self.environment, stderr=log)
        if self.core is not None:
            os.sched_setaffinity(self.process.pid, {self.core})
        while not (ready := [line for line in self.log(at) if line["event"] == "ready"]):
            if self.process.poll() is not None or time.monotonic() > began + START_TIMEOUT_S:
                self.kill()
                raise RuntimeError(f"the server did not start:\n{self.log_path.read_text()[at:]}")
            time.sleep(0.01)
        self.ready_s = time.monotonic() - began
        self.url: str = ready[0]["url"]

    def log(self, at: int = 0) -> list[dict[str, Any]]:
        """Return the complete lines of the log from an offset."""
        text = self.log_path.read_bytes()[at:].decode()
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n") and line[0] == "{"]

    def memory_mib(self) -> dict[str, float]:
        """Return current and peak resident memory in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        lines = dict(line.split(":", 1) for line in status.splitlines())
        return {
            "resident_mib": int(lines["VmRSS"].split()[0]) / 1024,
            "peak_mib": int(lines["VmHWM"].split()[0]) / 1024,
        }

    def cpu_s(self) -> float:
        """Return the processor time used so far, in seconds."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def kill(self) -> None:
        """Kill the process without cleanup (SIGKILL)."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Stop the process gracefully; return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def free_port() -> int:
    """Return a free local port, so that a server has the same one after each start."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def await_answer(process: subprocess.Popen[bytes], answers: Callable[[], bool], log: Path) -> None:
    """Wait until a server that has just been started answers."""
    until = time.monotonic() + START_TIMEOUT_S
    while not answers():
        if process.poll() is not None or time.monotonic() > until:
            process.kill()
            raise RuntimeError(f"the server did not start:\n{log.read_text(encoding='utf-8')}")
        time.sleep(0.02)


class Connection(asyncio.Protocol):
    """A persistent connection, for one request at a time."""

    def __init__(self) -> None:
        self._buffer = b""
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._is_lost = False

    @classmethod
    async def open(cls, url: str) -> Connection:
        """Connect to a server."""
        host, _, port = urlsplit(url).netloc.rpartition(":")
        _, protocol = await asyncio.get_running_loop().create_connection(cls, host, int(port))
        return protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    async def send(self, request: bytes) -> tuple[int, bytes]:
        """Send a request; return status and body of the response.

        Raises
        ------
        ConnectionResetError
            The server has closed the connection.
        """
        if self._is_lost:
            raise ConnectionResetError("the server closed the connection")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def data_received(self, data: bytes) -> None:
        """Buffer data; the response is complete once its content-length has arrived."""
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        at = head.lower().find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(body) >= length and self._answer is not None:
            self._buffer = b""
            answer, self._answer = self._answer, None
            if not answer.done():
                answer.set_result((int(head[9:12]), body))

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the pending request and all later ones."""
        self._is_lost = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("the server closed the connection"))

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()


def write_request(method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> bytes:
    """Return the bytes of a request; bytes as body are JSON Lines."""
    is_stream = isinstance(body, bytes)
    content = body if is_stream else b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    if body is not None:
        kind = "application/x-ndjson" if is_stream else "application/json"
        lines += [f"Content-Type: {kind}", f"Content-Length: {len(content)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode() + content
