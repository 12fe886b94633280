"""The application: endpoints behind the gate, and what runs beside them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends, FastAPI

import firstday
from firstday.data.events import ITEM
from firstday.errors import FirstdayError
from firstday.recommend.spec import strategies_of
from firstday.serve.http_errors import ErrorBody, add_error_handlers
from firstday.serve.middleware import Gate, Right, need, refuse_repeats
from firstday.serve.routes import health, lists, model, newcomers, onboarding, page, store, users
from firstday.serve.service import Service
from firstday.serve.store.base import StoreError

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

ROUTERS: tuple[tuple[APIRouter, Right | None], ...] = (
    (lists.router, "read"),
    (users.writing, "write"),
    (users.reading, "read"),
    (model.reading, "read"),
    (onboarding.router, "read"),
    (model.admin, "admin"),
    (store.admin, "admin"),
    (newcomers.router, "read"),
    (health.watching, None),
    (health.counting, "read"),
)
"""All endpoints but the page, with the right that they need where keys are set."""

_log = logging.getLogger("firstday.serve")


class Application(FastAPI):
    """FastAPI, with a document that names the strategies and entities of the model that answers."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document."""
        document = super().openapi()
        model = self.state.service.holder.current.trained
        document["components"]["schemas"]["StrategyName"]["enum"] = list(strategies_of(model))
        asked_about = [ITEM, *(model.members_of_items if model.warm is not None else ())]
        for parameter in document["paths"]["/v1/onboarding"]["get"]["parameters"]:
            if parameter["name"] == "entity":
                parameter["schema"]["enum"] = asked_about
        return document


def make_app(service: Service) -> Gate:
    """Return the application.

    Parameters
    ----------
    service
        What the endpoints share; its store is closed when the application ends.
    """
    app = Application(
        title="firstday",
        version=firstday.__version__,
        description=DESCRIPTION,
        docs_url=None,  # these pages load scripts from elsewhere
        redoc_url=None,
        openapi_url="/v1/openapi.json",
        redirect_slashes=False,
        responses=ERRORS,
        lifespan=_lifespan,
    )
    app.state.service = service
    for router, right in ROUTERS:
        key = need(right) if right is not None and service.keys.any else []
        app.include_router(router, dependencies=[*key, Depends(refuse_repeats)])
    if service.settings.page:
        files = page.read_files(needs_keys=service.keys.any)
        app.include_router(page.make_router(files), dependencies=[Depends(refuse_repeats)])
    add_error_handlers(app)
    return Gate(app, service.settings, service.keys, service.metrics, lists.quick_route, users.stream_route)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Remove what has expired and look for a new model, from time to time; close the store at the end."""
    service: Service = app.state.service
    if service.enrolment is not None:
        with suppress(StoreError):  # it is counted, and tried again with the next list
            await service.enrolment.start()
    tasks = [asyncio.create_task(_purge(service))]
    if service.settings.backup_file:
        tasks.append(asyncio.create_task(_back_up(service)))
    if service.settings.model_poll_s:
        tasks.append(asyncio.create_task(_watch_model(service)))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await service.store.close()


async def _purge(service: Service) -> None:
    """Remove what has expired, now and then."""
    while True:
        with suppress(StoreError), service.metrics.store_call("purge"):
            removed = await service.store.purge()
            if removed:
                _log.info("removed what has expired", extra={"fields": {"rows": removed}})
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
