"""HTTP/1.1 as uvicorn implements it, with limits on what a client may send before it is read, and on slow clients."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from firstday.serve.http_errors import ApiError, error_response

MAX_HEAD_BYTES = 2**16
"""Maximum bytes of the URL and headers of a request."""
INVALID = ApiError(400, "bad_request", "This is not a valid HTTP request; see RFC 9110.")
TOO_LARGE = ApiError(431, "head_too_large", f"URL and headers have more than {MAX_HEAD_BYTES:,} bytes; shorten them.")
TOO_SLOW = ApiError(408, "timeout", "The headers did not arrive in time; send them faster.")


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol with JSON error bodies.

    A client has `client_timeout_s` to send the headers once it has begun, and as long to read a large response.
    """

    _unread = 0
    """Bytes received since the last complete head, part of a body, or end of a request."""
    _head_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Close the connection if nothing arrives."""
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timers."""
        self._make_progress()
        super().connection_lost(exc)  # resumes writing

    def data_received(self, data: bytes) -> None:
        """Parse data."""
        self._unread += len(data)
        super().data_received(data)
        if self.transport.is_closing() or not self._unread:
            return
        if self._unread > MAX_HEAD_BYTES:
            self._refuse(TOO_LARGE)
        elif self._head_timer is None:
            self._head_timer = self._call_later(partial(self._refuse, TOO_SLOW))

    def on_headers_complete(self) -> None:
        """Begin a request."""
        if self._unread > MAX_HEAD_BYTES:
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > MAX_HEAD_BYTES:
                raise ValueError  # calls `send_400_response`
        self._make_progress()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Add a part of the body."""
        self._make_progress()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self._make_progress()
        super().on_message_complete()

    def _make_progress(self) -> None:
        self._unread = 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def pause_writing(self) -> None:
        """Abort the connection unless the client reads."""
        super().pause_writing()
        self._write_timer = self._call_later(self.transport.abort)

    def resume_writing(self) -> None:
        """Continue."""
        if self._write_timer is not None:
            self._write_timer.cancel()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """Drop an idle connection, with what its client has not read."""
        self.transport.abort()

    def _call_later(self, act: Callable[[], object]) -> asyncio.TimerHandle:
        return self.loop.call_later(self.config.app.settings.client_timeout_s, act)  # type: ignore[union-attr]

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        """Refuse a request that cannot be parsed, or has a large head."""
        self._refuse(TOO_LARGE if self._unread > MAX_HEAD_BYTES else INVALID)

    def _refuse(self, error: ApiError) -> None:
        """Send an error and close the connection."""
        response = error_response(error)
        headers = {**response.headers, "x-content-type-options": "nosniff", "connection": "close"}
        lines = [f"HTTP/1.1 {error.status_code} {error.code}", *(f"{name}: {headers[name]}" for name in headers)]
        self.transport.write("\r\n".join([*lines, "", ""]).encode() + response.body)
        self.transport.close()
