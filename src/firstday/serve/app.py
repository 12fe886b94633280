"""The application: endpoints behind the gate, and what runs beside them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.types import ASGIApp

import firstday
from firstday.errors import FirstdayError
from firstday.recommend.registry import strategies_of
from firstday.serve.auth import Keys
from firstday.serve.http_errors import ErrorBody, add_error_handlers
from firstday.serve.middleware import Gate
from firstday.serve.model_holder import ModelHolder
from firstday.serve.quick import QuickPath
from firstday.serve.routes import health, lists, model, newcomers, onboarding, users
from firstday.serve.routes.page import PageFiles, page_routes
from firstday.serve.service import Service
from firstday.serve.settings import ServeSettings
from firstday.serve.store.base import Store, StoreError
from firstday.serve.telemetry import Metrics

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


_log = logging.getLogger("firstday.serve")


def make_service(settings: ServeSettings, holder: ModelHolder, store: Store) -> Service:
    """Put together what the endpoints share."""
    return Service(settings, holder, store, Metrics(), Keys(settings))


def make_app(service: Service) -> ASGIApp:
    """Return the application.

    Parameters
    ----------
    service
        What the endpoints share; its store is closed when the application ends.
    """
    app = FastAPI(
        title="firstday",
        docs_url=None,  # these pages load scripts from elsewhere
        redoc_url=None,
        openapi_url="/v1/openapi.json",
        redirect_slashes=False,
        lifespan=_lifespan,
    )
    app.state.service = service
    for part in (
        lists.quick,  # asked for most: found first
        lists.router,
        users.writing,
        users.reading,
        model.reading,
        onboarding.router,
        model.admin,
        newcomers.reading,
        health.watching,
        health.counting,
    ):
        app.router.routes.extend(part.routes)  # as they are: including a router would add a layer to each request
    if service.settings.page:
        app.router.routes.extend(page_routes(PageFiles.read(needs_keys=service.settings.has_keys)))
    add_error_handlers(app)
    app.openapi = document(app, service.holder)  # type: ignore[method-assign]
    return Gate(QuickPath(app, lists.quick.routes), service.settings, service.keys, service.metrics)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Remove what has expired and look for a new model, from time to time; close the store at the end."""
    service: Service = app.state.service
    beside = [asyncio.create_task(_purge(service))]
    if service.settings.backup_file:
        beside.append(asyncio.create_task(_back_up(service)))
    if service.settings.model_poll_s:
        beside.append(asyncio.create_task(_watch_model(service)))
    try:
        yield
    finally:
        for task in beside:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await service.store.close()


async def _purge(service: Service) -> None:
    """Remove what has expired, now and then."""
    while True:
        try:
            removed = await service.store.purge()
            if removed:
                _log.info("removed what has expired", extra={"fields": {"rows": removed}})
        except StoreError as error:
            service.metrics.store_failed("purge", error)
        await asyncio.sleep(service.settings.purge_every_s)


async def _back_up(service: Service) -> None:
    """Copy the store, now and then."""
    target = Path(service.settings.backup_file)
    while True:
        try:
            await service.store.back_up(target)
            service.metrics.backups.labels("done").inc()
        except StoreError as error:
            service.metrics.backups.labels("failed").inc()
            _log.error("backup failed", extra={"fields": {"error": str(error)}})
        await asyncio.sleep(service.settings.backup_every_s)


async def _watch_model(service: Service) -> None:
    """Load a new model where the folder holds one."""
    while True:
        await asyncio.sleep(service.settings.model_poll_s)
        if service.holder.has_news():
            with suppress(FirstdayError):  # it is logged and counted
                await service.reload()
