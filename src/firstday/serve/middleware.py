"""The outermost layer of every request: keys, tokens and rights, limits, headers, request log and metrics."""

from __future__ import annotations

import asyncio
import hmac
import logging
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Literal, get_args

from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from firstday.serve.http_errors import INTERNAL, METHODS, ApiError, as_api_error, error_response, overloaded
from firstday.serve.settings import ServeSettings, is_loopback
from firstday.serve.telemetry import Metrics
from firstday.serve.tokens import RateLimit, read_token

Right = Literal["read", "write", "items", "admin"]

STREAM_TYPES = ("application/x-ndjson", "application/ndjson", "application/jsonl")
"""Content types of event streams."""
STREAM_PATHS = ("/v1/events", "/v1/items")
OPEN_PATH = re.compile(r"/healthz|/readyz|/v1/openapi\.json|/|/page/[^/]+")
"""Paths that need no key."""
MAX_TOKEN_BYTES = 2**16
"""Maximum size of a body sent with a token."""
MAX_TOKEN_QUERY_BYTES = 2**13
"""Maximum size of a query string sent with a token."""
MAX_TOKEN_REQUESTS = 8
"""Maximum concurrent requests with tokens of one user."""
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
MAX_DISCARDED_BYTES = 2**25
"""Maximum bytes of a too large body to read and discard before responding. A client that is still sending could not
read the response."""
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
"""Default response headers; a route may override them."""
TOKEN_PATH = re.compile(r"/v1/events|/v1/users/[^/]+/recommendations")
"""Paths that tokens open, if the user is theirs, and that pages of the listed origins may request."""
CORS = (
    (b"vary", b"Origin"),
    (b"access-control-allow-methods", b"GET, POST"),
    (b"access-control-allow-headers", b"authorization, content-type"),
    (b"access-control-expose-headers", b"retry-after, x-request-id"),
    (b"access-control-max-age", b"7200"),
)

_log = logging.getLogger("firstday.serve")
_requests = logging.getLogger("firstday.serve.requests")


class Keys:
    """API keys of each right, compared in constant time."""

    def __init__(self, settings: ServeSettings) -> None:
        self.any = settings.has_keys
        self._keys = [
            (right, key.get_secret_value().encode())
            for right in get_args(Right)
            for key in getattr(settings, f"{right}_keys")
        ]
        self.token_keys = [key.get_secret_value() for key in settings.token_keys]

    def rights_of(self, authorization: str) -> frozenset[Right]:
        """Return the rights of the key in an Authorization header, in constant time."""
        scheme, _, key = authorization.partition(" ")
        sent = key.strip().encode("latin-1") if scheme.lower() == "bearer" else b""
        return frozenset(right for right, key_bytes in self._keys if hmac.compare_digest(sent, key_bytes))

    def opens(self, request: Request, right: Right) -> bool:
        """Return whether a request has a right; without configured keys, every request does."""
        return not self.any or right in request.scope["firstday.rights"]

    def check(self, request: Request, right: Right) -> None:
        """Require a right: 401 if the key is missing or unknown, 403 if it lacks the right."""
        if self.opens(request, right):
            return
        if request.scope["firstday.rights"]:
            raise ApiError(403, "forbidden", f"The key does not grant {right} access; use another key.")
        raise unauthorized(f"a {right} key", request.headers)


def unauthorized(key: str, headers: Headers) -> ApiError:
    """Return the 401 error for a missing or unknown key; `key` names the required one."""
    return ApiError(
        401,
        "unauthorized",
        f"The key {'is unknown, or the token has expired' if headers.get('authorization') else 'is missing'}; "
        f"send {key} as Authorization: Bearer KEY.",
        headers={"WWW-Authenticate": "Bearer"},
    )


def require_right(keys: Keys, right: Right) -> list[Any]:
    """Return the dependencies of an endpoint that requires a right: the OpenAPI security scheme and the check."""

    async def check(request: Request) -> None:
        keys.check(request, right)

    return [Depends(HTTPBearer(scheme_name=right, description=f"A {right} key.", auto_error=False)), Depends(check)]


def too_many(wait_s: int) -> ApiError:
    """Return the 429 error for a user of tokens who may try again in `wait_s` seconds."""
    text = f"The user has sent too many requests; try again in {wait_s} s."
    return ApiError(429, "too_many_requests", text, headers={"Retry-After": str(wait_s)})


def is_foreign(scope: Scope, headers: Headers) -> bool:
    """Return whether a browser sends a request for a page of another site, which has no token."""
    return headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not scope["firstday.token_user"]


def _content_type(headers: Headers) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


async def require_json(request: Request) -> None:
    """Refuse a body whose content type is not JSON."""
    if _content_type(request.headers) != "application/json":
        raise ApiError(415, "unsupported_media_type", "The body must be JSON; send Content-Type: application/json.")


class Gate:
    """Outermost ASGI layer. Requests that match the route `quick` bypass the middleware of `app`.

    The Host header is checked here because Starlette's `TrustedHostMiddleware` answers in plain text, does not accept
    every loopback address and, in older versions, does not parse IPv6.
    """

    def __init__(self, app: ASGIApp, settings: ServeSettings, keys: Keys, metrics: Metrics, quick: Route) -> None:
        self.app, self.settings, self._keys, self._metrics, self._quick = app, settings, keys, metrics, quick
        self._rate_limit = RateLimit(settings.token_requests)
        self._n_current = Counter[str]()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or refuse a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        headers = Headers(scope=scope)
        status = 0
        request_id = headers.get("x-request-id", "")
        if not REQUEST_ID.fullmatch(request_id):
            request_id = f"{random.getrandbits(64):016x}"
        origin = headers.get("origin", "")
        is_for_pages = origin in self.settings.origins and TOKEN_PATH.fullmatch(scope["path"])
        cors = [(b"access-control-allow-origin", origin.encode()), *CORS] if is_for_pages else []

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                names = dict(message["headers"])
                missing = [header for header in HEADERS if header[0] not in names]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode()), *cors, *missing]
            await send(message)

        try:
            self._check_host(headers)
            if cors and scope["method"] == "OPTIONS":
                await Response(status_code=204)(scope, receive, send_with_headers)
            else:
                await self._answer(scope, headers, receive, send_with_headers)
        except Exception as error:
            failure = as_api_error(error)
            if status or failure.code == INTERNAL:  # status set: headers are sent, only the log can report it
                _log.error("a request failed", exc_info=error, extra={"fields": {"request_id": request_id}})
            if not status:
                await error_response(failure)(scope, receive, send_with_headers)
        finally:
            self._log_request(scope, request_id, status, time.perf_counter() - began)

    def _check_host(self, headers: Headers) -> None:
        host = re.sub(r":\d+$", "", headers.get("host", "")).strip("[]").lower()
        if not self._keys.any and not is_loopback(host):  # any other name indicates DNS rebinding
            raise ApiError(
                403,
                "host_not_allowed",
                "No keys are set, so only requests to localhost are answered; set keys to allow others.",
            )

    async def _answer(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        """Identify the caller, read the body, and pass the request on.

        What needs no key is exempt from `max_concurrent`, so that an overloaded process does not appear dead.
        """
        scope["firstday.token_user"] = user_id = self._admit_token(scope, headers)
        token_rights: frozenset[Right] = frozenset(("read", "write") if user_id else ())
        scope["firstday.rights"] = rights = self._keys.rights_of(headers.get("authorization", "")) | token_rights
        if OPEN_PATH.fullmatch(scope["path"]):
            await self._pass_on(scope, receive, send)
            return
        if self._keys.any and not rights:
            raise unauthorized("a write or read key", headers)
        if is_foreign(scope, headers) and scope["method"] not in ("GET", "HEAD", "OPTIONS"):
            raise ApiError(403, "forbidden", "Pages of other sites cannot change anything; use your own server.")
        with ExitStack() as stack:
            if user_id:
                stack.enter_context(self._count(f"token {user_id}", MAX_TOKEN_REQUESTS, partial(too_many, 1)))
                stack.enter_context(self._count("tokens", self.settings.max_concurrent, overloaded))
            if "content-length" in headers or "transfer-encoding" in headers:
                receive = await self._read_body(scope, headers, receive)
            stack.enter_context(self._count("all", self.settings.max_concurrent, overloaded))
            await self._pass_on(scope, receive, send)

    @contextmanager
    def _count(self, whose: str, most: int, refusal: Callable[[], ApiError]) -> Iterator[None]:
        """Count a request as current, or refuse it if there are `most` already."""
        if self._n_current[whose] >= most:
            raise refusal()
        self._n_current[whose] += 1
        try:
            yield
        finally:
            self._n_current[whose] -= 1
            if not self._n_current[whose]:
                del self._n_current[whose]

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request by the quick route if it matches, else by the application."""
        match, child_scope = self._quick.matches(scope)
        if match is Match.FULL:
            scope.update(child_scope, app=self.app)
            await self._quick.handle(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _log_request(self, scope: Scope, request_id: str, status: int, seconds: float) -> None:
        """Count and log a request. The only text from the client is the request id, which is validated."""
        method = scope["method"] if scope["method"] in METHODS else "other"
        route = getattr(scope.get("route"), "path", "none")
        self._metrics.count_request(method, route, status, seconds)
        if self.settings.log_requests:
            fields = {
                "request_id": request_id,
                "method": method,
                "route": route,
                "status": status,
                "ms": round(1000 * seconds, 2),
                "client": (scope.get("client") or ("",))[0],
            }
            _requests.info("request", extra={"fields": fields})

    def _admit_token(self, scope: Scope, headers: Headers) -> str | None:
        """Return the user of a valid token; refuse its other uses, and too many."""
        claims = read_token(headers.get("authorization", ""), self._keys.token_keys)
        if claims is None:
            return None
        if headers.get("origin", claims.aud[0]) not in claims.aud:
            raise ApiError(403, "origin_not_allowed", "The token is for pages of other origins; list this one in aud.")
        if scope["path"] not in ("/v1/events", f"/v1/users/{claims.sub}/recommendations"):
            raise ApiError(403, "forbidden", "A token opens only its user's lists and events; ask your own server.")
        if len(scope["query_string"]) > MAX_TOKEN_QUERY_BYTES:
            raise ApiError(431, "head_too_large", f"The query has more than {MAX_TOKEN_QUERY_BYTES:,} bytes; use POST.")
        wait_s = self._rate_limit.wait_s(claims.sub)
        if wait_s:
            raise too_many(wait_s)
        return claims.sub

    async def _read_body(self, scope: Scope, headers: Headers, receive: Receive) -> Receive:
        """Receive a body, or the start of a stream, within the limits on size and time; return a callable for it."""
        settings, user_id = self.settings, scope["firstday.token_user"]
        is_stream = not user_id and scope["path"] in STREAM_PATHS and _content_type(headers) in STREAM_TYPES
        scope["firstday.is_stream"] = is_stream
        if is_stream:
            return _limit_body(receive, headers, settings.max_stream_bytes, settings.client_timeout_s, is_stream=True)
        has_ids = scope["path"].startswith("/v1/lists/") or scope["path"].endswith("/recommendations")
        max_bytes = settings.max_rules_bytes if has_ids else settings.max_body_bytes
        max_bytes = min(MAX_TOKEN_BYTES, settings.max_body_bytes) if user_id else max_bytes
        receive_limited = _limit_body(receive, headers, max_bytes, settings.client_timeout_s, is_stream=False)
        message = await receive_limited()
        parts = [message.get("body", b"")]
        while message.get("more_body"):
            message = await receive_limited()
            parts.append(message.get("body", b""))
        whole = iter([{**message, "body": b"".join(parts)}])

        async def receive_whole() -> Message:
            return next(whole, None) or await receive()

        return receive_whole


def _limit_body(receive: Receive, headers: Headers, max_bytes: int, timeout_s: float, *, is_stream: bool) -> Receive:
    """Return a callable that receives a body and enforces the limits on size and time.

    For a stream, the time limit applies to each part, not to the whole body.
    """
    bytes_left = -1 if int(headers.get("content-length", "0")) > max_bytes else max_bytes
    loop = asyncio.get_running_loop()
    until = loop.time() + timeout_s

    async def receive_in_time() -> Message:
        nonlocal bytes_left
        try:
            async with asyncio.timeout_at(loop.time() + timeout_s if is_stream else until):
                message = await receive()
        except TimeoutError:
            what = "More of the stream" if is_stream else "The body"
            raise ApiError(
                408,
                "timeout",
                f"{what} did not arrive within {timeout_s:g} s; send it faster.",
                headers={"Connection": "close"},
            ) from None
        bytes_left -= len(message.get("body", b""))
        return message

    async def receive_limited() -> Message:
        message = await receive_in_time()
        if bytes_left >= 0:
            return message
        while message.get("more_body") and bytes_left > -MAX_DISCARDED_BYTES:
            message = await receive_in_time()
        raise ApiError(
            413,
            "body_too_large",
            f"The body has more than {max_bytes:,} bytes; send a smaller one.",
            headers={"Connection": "close"},
        )

    return receive_limited
