"""The error body, and the conversion of exceptions into it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.routing import Match

from firstday.errors import ConfigError, DataError, FirstdayError, describe_fault
from firstday.serve.store.guests import MergeError
from firstday.serve.store.log import StoreError

MAX_ERRORS = 20
"""Maximum field errors per response; a body can have thousands."""

STORE_UNAVAILABLE = "The store is unavailable; try again in a second. The log has the details."
INTERNAL = "internal_error"
"""Code of unexpected errors."""


METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")


class ApiError(HTTPException):
    """An error with an HTTP status, a machine-readable code, a message, and (field, message) pairs."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        errors: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, headers)
        self.code = code
        self.errors = errors


def overloaded() -> ApiError:
    """Return the error of a request that would be answered late."""
    text = "Too many requests are in progress; try again in a second."
    return ApiError(503, "overloaded", text, headers={"Retry-After": "1"})


def error_response(error: ApiError) -> Response:
    """Return the response for an error."""
    body = {
        "status": error.status_code,
        "code": error.code,
        "message": error.detail,
        "errors": [{"field": field, "message": message} for field, message in error.errors],
    }
    return JSONResponse(body, error.status_code, error.headers)


def describe_bytes(error: UnicodeDecodeError) -> str:
    """Name the first byte that is not UTF-8."""
    return f"Byte {error.start + 1:,} (0x{error.object[error.start]:02X}) is not UTF-8; send text in UTF-8"


def as_api_error(error: Exception) -> ApiError:
    """Convert an exception to an `ApiError`; the text of unexpected ones is not disclosed."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, RequestValidationError):
        return _invalid(error)
    if isinstance(error, HTTPException):
        code = HTTPStatus(error.status_code).name.lower()
        if isinstance(error.__cause__, UnicodeDecodeError):
            return ApiError(error.status_code, code, f"{describe_bytes(error.__cause__)}.")
        message = {
            400: "The body cannot be read as JSON; send it without deep nesting and numbers of thousands of digits.",
            404: "This path does not exist; see /v1/openapi.json.",
            405: "This path does not support this method; see the Allow header.",
        }.get(error.status_code, f"{error.detail.rstrip('.')}.")
        return ApiError(error.status_code, code, message, headers=error.headers)
    if isinstance(error, ClientDisconnect):
        return ApiError(400, "cut_off", "The connection was closed before the request was complete.")
    if isinstance(error, StoreError):
        return ApiError(503, "store_unavailable", STORE_UNAVAILABLE, headers={"Retry-After": "1"})
    if isinstance(error, MergeError):
        return ApiError(409, error.code, str(error))
    if isinstance(error, ConfigError | DataError):
        status, code = (404, error.code) if error.code == "not_found" else (422, "invalid")
        return ApiError(status, code, str(error), [(error.where, error.text)] if error.where else [])
    return ApiError(500, INTERNAL, "Unexpected error; the log has the details under this X-Request-ID.")


def _invalid(error: RequestValidationError) -> ApiError:
    """Name each invalid field, never its value."""
    faults = []
    for fault in error.errors():
        source, *path = fault["loc"]  # the source is path, query or body
        field, message = describe_fault({**fault, "loc": [] if fault["type"] == "json_invalid" else path})
        faults.append((field or source, message))
    first = f"{faults[0][0]}: {faults[0][1]}"
    n = len(faults)
    what = "1 field of the request is" if n == 1 else f"{n:,} fields of the request are"
    return ApiError(422, "invalid", f"{what} invalid{', first' if n > 1 else ''}: {first}.", faults[:MAX_ERRORS])


def add_error_handlers(app: FastAPI) -> None:
    """Turn every exception into the error body; unexpected ones also reach `Gate`, which logs them."""

    async def answer(request: Request, error: Exception) -> Response:
        failure = as_api_error(error)
        if failure.status_code == 405:  # Starlette names only the methods of the first matching route
            routes = app.routes
            scope = request.scope
            allowed = [
                name for name in METHODS if any(r.matches({**scope, "method": name})[0] is Match.FULL for r in routes)
            ]
            failure.headers = {"Allow": ", ".join(allowed)}
        return error_response(failure)

    for kind in (HTTPException, RequestValidationError, FirstdayError, Exception):
        app.add_exception_handler(kind, answer)
