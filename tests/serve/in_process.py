"""The application in this process: asked by an ordinary client, on an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import httpx
import uvicorn
from fastapi import FastAPI
from serve_process import PATIENCE
from starlette.types import ASGIApp

from firstday.serve.app import make_app
from firstday.serve.protocol import Protocol
from firstday.serve.service import Service
from firstday.serve.settings import load_settings

T = TypeVar("T")


class InProcess(httpx.BaseTransport):
    """Hands requests to an application."""

    def __init__(self, app: ASGIApp, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = httpx.ASGITransport(app, client=("127.0.0.1", 50_000)), loop

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        content = request.read()  # whole, also where it would have been sent in pieces

        async def answer() -> httpx.Response:
            whole = httpx.Request(request.method, request.url, headers=request.headers, content=content)
            response = await self._transport.handle_async_request(whole)
            return httpx.Response(response.status_code, headers=response.headers, content=await response.aread())

        return asyncio.run_coroutine_threadsafe(answer(), self._loop).result(timeout=60)


class RunningApp:
    """A service with its application, as a server process would run it.

    Parameters
    ----------
    model
        The model's folder.
    folder
        Where its store is.
    settings
        By name, such as ``read_keys``.
    """

    url = ""
    connections: set[Any]

    def __init__(self, model: Path, folder: Path, **settings: Any) -> None:
        values = {"store": f"sqlite:///{folder / 'users.sqlite'}", **PATIENCE, **settings}
        self.service = Service(model, load_settings(values))
        self.app = make_app(self.service)
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        fastapi = cast("FastAPI", self.app.app)
        self._lifespan = fastapi.router.lifespan_context(fastapi)
        self.run(self._lifespan.__aenter__())

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin some work on the application's event loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do some work on the application's event loop."""
        return self.start(work).result(timeout=60)

    async def send_unfinished(self, path: str, key: str = "", kind: str = "application/json") -> list[Any]:
        """Post a body that never arrives whole; return what is sent back."""
        sent: list[Any] = []
        texts = {"host": "localhost", "content-type": kind, "content-length": "100"}
        if key:
            texts["authorization"] = f"Bearer {key}"
        headers = [(name.encode(), text.encode()) for name, text in texts.items()]
        scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers}
        parts = iter([{"type": "http.request", "body": b"{", "more_body": True}])

        async def receive() -> Any:
            for part in parts:
                return part
            return await asyncio.sleep(60)

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        return sent

    def open_client(self, key: str = "") -> httpx.Client:
        """Return a client, with a key if one is given."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.Client(transport=InProcess(self.app, self.loop), base_url="http://localhost", headers=headers)

    def close(self) -> None:
        """End it as a server process would."""
        self.run(self._lifespan.__aexit__(None, None, None))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@contextmanager
def running_app(model: Path, folder: Path, **settings: Any) -> Iterator[RunningApp]:
    """Run an application for a while."""
    app = RunningApp(model, folder, **settings)
    try:
        yield app
    finally:
        app.close()


@contextmanager
def listening_app(model: Path, folder: Path, **settings: Any) -> Iterator[RunningApp]:
    """Run an application for a while that others than its own clients reach, too, at its `url`."""
    with running_app(model, folder, **{"port": 0, **settings}) as app:
        listening = socket.create_server(("127.0.0.1", app.service.settings.port))
        app.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        server = uvicorn.Server(uvicorn.Config(app.app, http=Protocol, lifespan="off", log_config=None))
        app.connections = server.server_state.connections
        serving = app.start(server.serve([listening]))
        yield app
        server.should_exit = True
        serving.result(timeout=60)
