"""What every request passes first: who may come in, by keys; the limits, the headers, the log and the counters."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import logging
import random
import re
import time
from collections import Counter
from typing import Any, Literal
from urllib.parse import parse_qsl

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from firstday.serve.http_errors import INTERNAL, METHODS, ApiError, as_api_error, error_response
from firstday.serve.settings import ServeSettings
from firstday.serve.telemetry import Metrics

Right = Literal["read", "write", "admin"]

LISTS = ("liked", "passed")
"""Parameters that may be given more than once."""

_SCHEME = b"bearer "


class Keys:
    """The keys of each right, as digests, compared in constant time.

    Parameters
    ----------
    settings
        The keys.
    """

    def __init__(self, settings: ServeSettings) -> None:
        self.any = settings.has_keys
        by_right: dict[Right, Any] = {
            "read": settings.read_keys,
            "write": settings.write_keys,
            "admin": settings.admin_keys,
        }
        self._digests = [
            (right, _digest(key.get_secret_value().encode())) for right, keys in by_right.items() for key in keys
        ]

    def rights_of(self, authorization: bytes) -> frozenset[Right]:
        """Return what the key in an Authorization header opens; every key is compared, whatever matched before."""
        if authorization[: len(_SCHEME)].lower() != _SCHEME:
            return frozenset()
        digest = _digest(authorization[len(_SCHEME) :].strip())
        compared = [(right, hmac.compare_digest(digest, other)) for right, other in self._digests]
        return frozenset(right for right, same in compared if same)

    def opens(self, request: Request, right: Right) -> bool:
        """Tell whether a request has a right: by its key, or since there are no keys."""
        return not self.any or right in request.scope["firstday.rights"]

    def check(self, request: Request, right: Right) -> None:
        """Refuse a request whose key does not open a right.

        Raises
        ------
        ApiError
            401 without a key or with one that is none, 403 with one for something else.
        """
        if self.opens(request, right):
            return
        if request.scope["firstday.rights"]:
            raise ApiError(403, "forbidden", f"This key does not open what needs the {right} right; use another.")
        raise unauthorized(f"a {right} key", is_given=bool(request.headers.get("authorization")))


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def unauthorized(key: str, *, is_given: bool) -> ApiError:
    """Return the error of a request without a key that is known; `key` says which one is needed."""
    return ApiError(
        401,
        "unauthorized",
        f"The key {'is not known' if is_given else 'is missing'}; send {key} as Authorization: Bearer KEY.",
        headers={"WWW-Authenticate": "Bearer"},
    )


def need(right: Right) -> list[Any]:
    """Return the dependencies of endpoints that need a key: what checks it, and what describes it in the document."""

    async def check(request: Request) -> None:
        request.app.state.service.keys.check(request, right)

    return [Depends(HTTPBearer(scheme_name=right, description=f"A {right} key.", auto_error=False)), Depends(check)]


def parse_parameters(request: Request) -> dict[str, str]:
    """Return the parameters of a query.

    Raises
    ------
    RequestValidationError
        One is given more than once and has one value: which one counts would be a guess.
    """
    pairs = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    values = dict(pairs)
    if len(values) < len(pairs):
        repeats = [name for name, n in Counter(name for name, _ in pairs).items() if n > 1 and name not in LISTS]
        faults = [{"type": "repeated", "loc": ("query", name), "msg": "Given more than once"} for name in repeats]
        if faults:
            raise RequestValidationError(faults)
    return values


async def refuse_repeats(request: Request) -> None:
    """Refuse a parameter that is given more than once and has one value."""
    parse_parameters(request)


async def need_json(request: Request) -> None:
    """Refuse a body that is not JSON by its own account."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise ApiError(415, "unsupported_media_type", "The body must be JSON; send Content-Type: application/json.")


_log = logging.getLogger("firstday.serve")
_requests = logging.getLogger("firstday.serve.requests")

EVENTS_PATH = "/v1/events"
STREAM_TYPES = (b"application/x-ndjson", b"application/ndjson", b"application/jsonl")
"""Types of a body of events that is a stream."""
PROBES = ("/healthz", "/readyz")
"""Answered also when there is too much to do: a busy process must not be taken for a dead one."""
REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
READ_AWAY = 32
"""How many times the largest body is read and thrown away, beyond what is allowed, before a too large one is refused,
so that the client has stopped sending and can read why."""

_SAFE_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]
_UNLESS_SET = [
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]
"""Headers that a route may set otherwise."""


class Gate:
    """The outermost layer of the application.

    Starlette's `TrustedHostMiddleware` would not do for the Host header: it answers with plain text, and knows neither
    every loopback address nor, in its older versions, those of IPv6.

    Parameters
    ----------
    app
        What lies behind.
    settings
        The limits.
    keys
        Who may do what.
    metrics
        Where requests are counted.
    first
        A route that is asked for most: it is tried first, past the layers of `app`.
    stream
        A route that takes events as they arrive; those layers would read them whole.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: ServeSettings,
        keys: Keys,
        metrics: Metrics,
        first: Route | None = None,
        stream: Route | None = None,
    ) -> None:
        self.app, self._settings, self._keys, self._metrics = app, settings, keys, metrics
        self._first, self._stream = first, stream
        self._in_work = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        headers = _first_of_each(scope)
        request_id = headers.get(b"x-request-id", b"")
        if not REQUEST_ID.fullmatch(request_id):
            request_id = b"%016x" % random.getrandbits(64)
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                complete = message["headers"] = [*message.get("headers", ()), *_SAFE_HEADERS]
                complete.append((b"x-request-id", request_id))
                names = {name for name, _ in complete}
                complete += [header for header in _UNLESS_SET if header[0] not in names]
            await send(message)

        self._in_work += 1
        self._metrics.in_work.inc()
        try:
            receive = await self._admit(scope, headers, receive)
            await self._pass_on(scope, receive, send_with_headers)
        except Exception as error:
            failure = as_api_error(error)
            if status or failure.code == INTERNAL:  # with a status its headers were sent, and no answer can tell
                _log.error("a request failed", exc_info=error, extra={"fields": {"request_id": request_id.decode()}})
            if not status:
                await error_response(failure)(scope, receive, send_with_headers)
        finally:
            self._in_work -= 1
            self._metrics.in_work.dec()
            seconds = time.perf_counter() - began
            method = scope["method"] if scope["method"] in METHODS else "other"
            route = getattr(scope.get("route"), "path", "none")
            self._metrics.finished(method, route, status, seconds)
            if self._settings.log_requests:
                fields = {"request_id": request_id.decode(), "method": method, "route": route, "status": status}
                fields |= {"ms": round(1000 * seconds, 2), "client": (scope.get("client") or ("",))[0]}
                fields |= {"variant": scope["firstday.variant"]} if "firstday.variant" in scope else {}
                _requests.info("request", extra={"fields": fields})

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request to the first route, or to that of streams, if it is for that, else to the application."""
        route = self._first if scope["method"] == "GET" else self._stream if scope.get("firstday.is_stream") else None
        if route is not None:
            match, child_scope = route.matches(scope)
            if match is Match.FULL:
                scope.update(child_scope, app=self.app)
                await route.handle(scope, receive, send)
                return
        await self.app(scope, receive, send)

    async def _admit(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive) -> Receive:
        """Check what can be checked before the path is known; return what hands over the body.

        Raises
        ------
        ApiError
            The request is refused.
        """
        authorization = headers.get(b"authorization", b"")
        rights = self._keys.rights_of(authorization) if authorization and self._keys.any else frozenset()
        scope["firstday.rights"] = rights
        if not self._keys.any and not _is_local(headers.get(b"host", b"")):
            self._refuse("host")
            raise ApiError(
                403,
                "host_not_allowed",
                "Without keys only requests to localhost are answered; set keys to change this.",
            )
        if scope["path"] in PROBES:
            return receive
        if self._in_work > self._settings.max_concurrent:
            self._refuse("overload")
            raise ApiError(
                503, "overloaded", "Too many requests are in work; try again in a second.", headers={"Retry-After": "1"}
            )
        if b"content-length" not in headers and b"transfer-encoding" not in headers:
            return receive
        unknown = self._keys.any and not rights
        refusal = unauthorized("a write or read key", is_given=bool(authorization)) if unknown else None
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        is_stream = scope["path"] == EVENTS_PATH and scope["method"] == "POST" and kind in STREAM_TYPES
        scope["firstday.is_stream"] = is_stream
        body = _Body(receive, self._settings, self._metrics, refusal, is_stream=is_stream)
        if int(headers.get(b"content-length", b"0")) > body.max_bytes:
            await body.refuse()
        return body

    def _refuse(self, why: str) -> None:
        self._metrics.refused.labels(why).inc()


class _Body:
    """Hands over a body as long as it is small and prompt enough; raises `refusal` instead where there is one.

    A stream may be larger, and take any time as long as it is never silent for too long.

    So nothing is read from who has no key: FastAPI reads a body before its dependencies check keys.
    """

    def __init__(
        self,
        receive: Receive,
        settings: ServeSettings,
        metrics: Metrics,
        refusal: ApiError | None,
        *,
        is_stream: bool = False,
    ) -> None:
        self._receive, self._settings, self._metrics, self._refusal = receive, settings, metrics, refusal
        self._is_stream = is_stream
        self.max_bytes = settings.max_stream_bytes if is_stream else settings.max_body_bytes
        self._n_bytes = 0
        self._until = asyncio.get_running_loop().time() + settings.body_timeout_s

    async def __call__(self) -> Message:
        if self._refusal is not None:
            raise self._refusal
        message = await self._next()
        if self._n_bytes > self.max_bytes:
            await self.refuse(more=bool(message.get("more_body")))
        return message

    async def _next(self) -> Message:
        if self._is_stream:
            self._until = asyncio.get_running_loop().time() + self._settings.body_timeout_s
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError:
            raise ApiError(
                408,
                "timeout",
                f"{'More of the stream' if self._is_stream else 'The body'} did not arrive within "
                f"{self._settings.body_timeout_s:g} s; send it faster.",
                headers={"Connection": "close"},
            ) from None
        self._n_bytes += len(message.get("body", b""))
        return message

    async def refuse(self, *, more: bool = True) -> None:
        """Read the rest away, then say that it was too much."""
        while more and self._n_bytes < self.max_bytes + READ_AWAY * self._settings.max_body_bytes:
            message = await self._next()
            more = bool(message.get("more_body"))
        self._metrics.refused.labels("body").inc()
        raise ApiError(
            413,
            "body_too_large",
            f"The body has more than {self.max_bytes:,} bytes; send less at once.",
            headers={"Connection": "close"},
        )


def _first_of_each(scope: Scope) -> dict[bytes, bytes]:
    """Return the headers by name, the first where one is repeated."""
    headers: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name, value)
    return headers


def _is_local(host: bytes) -> bool:
    """Tell whether a Host header names this machine: another name means that a web page was tricked into asking."""
    name = re.sub(rb":\d+$", b"", host).strip(b"[]").decode("latin-1").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
