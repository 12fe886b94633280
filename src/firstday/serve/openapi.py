"""What the OpenAPI document says beyond the endpoints themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

import firstday
from firstday.recommend.strategies import strategies_of
from firstday.serve.errors import ErrorBody
from firstday.serve.model_holder import ModelHolder

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


def document(app: FastAPI, holder: ModelHolder) -> Callable[[], dict[str, Any]]:
    """Return what makes an application's OpenAPI document, once for each model, with the strategies of that model."""
    made_for = ""

    def make() -> dict[str, Any]:
        nonlocal made_for
        current = holder.current
        if app.openapi_schema is None or made_for != current.version:
            found = get_openapi(
                title="firstday", version=firstday.__version__, description=DESCRIPTION, routes=app.routes
            )
            found["components"]["securitySchemes"] = {
                right: {"type": "http", "scheme": "bearer", "description": f"A {right} key, where keys are set."}
                for right in ("read", "write", "admin")
            }
            found["components"]["schemas"]["StrategyName"]["enum"] = list(strategies_of(current.trained))
            app.openapi_schema, made_for = found, current.version
        return app.openapi_schema

    return make
