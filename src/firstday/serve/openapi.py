"""What the OpenAPI document says beyond the endpoints themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

import firstday
from firstday.serve.errors import ErrorBody

DESCRIPTION = """\
A good list for a user never seen before: user -> segment -> items. Every list names the version of the model that made
it. Every error has the body `{status, code, message, errors: [{field, message}]}`. Where keys are set, send one as
`Authorization: Bearer KEY`: reading, writing and administration have their own.
"""

ERRORS: dict[int | str, dict[str, Any]] = {
    422: {"model": ErrorBody, "description": "Something in the request is wrong; each field is named."},
    "default": {"model": ErrorBody, "description": "Any other error."},
}
"""Responses of every endpoint beside its own."""


def document(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """Return what makes an application's OpenAPI document, once."""

    def make() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = get_openapi(
                title="firstday", version=firstday.__version__, description=DESCRIPTION, routes=app.routes
            )
            found["components"]["securitySchemes"] = {
                right: {"type": "http", "scheme": "bearer", "description": f"A {right} key, where keys are set."}
                for right in ("read", "write", "admin")
            }
            app.openapi_schema = found
        return app.openapi_schema

    return make
