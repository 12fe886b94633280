"""The FastAPI application: routers, access rights and background tasks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import cache
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.responses import JSONResponse

import firstday
from firstday.errors import FirstdayError
from firstday.serve.http_errors import add_error_handlers
from firstday.serve.middleware import Gate, Right, require_right
from firstday.serve.routes import health, id_lists, lists, model, new_items, onboarding, page, profile, users
from firstday.serve.schemas import ErrorBody
from firstday.serve.service import Service
from firstday.serve.store.log import StoreError
from firstday.serve.stored_items import COUNT_EVERY_US, POLL_S

PROBE_S = 10.0
"""Seconds between writes that find out whether the store accepts any."""

DESCRIPTION = """\
Recommendations for users never seen before: user -> segment -> items. Every list names the model version that made it.
Every error has the body `{status, code, message, errors: [{field, message}]}`. If keys are set, send one as
`Authorization: Bearer KEY`. Read, write, items and admin access have separate keys. Pages send a token of their user,
which opens only the user's lists and events.
"""

ERRORS: dict[int | str, dict[str, Any]] = {
    422: {"model": ErrorBody, "description": "Invalid request; every invalid field is named."},
    "default": {"model": ErrorBody, "description": "Any other error."},
}
"""Error responses common to all endpoints."""

ROUTERS: tuple[tuple[APIRouter, Right | None], ...] = (
    (lists.router, "read"),
    (users.writing, "write"),
    (users.reading, "read"),
    (id_lists.writing, "write"),
    (id_lists.reading, "read"),
    (new_items.writing, "items"),
    (new_items.reading, "read"),
    (model.reading, "read"),
    (onboarding.router, "read"),
    (model.admin, "admin"),
    (profile.router, "read"),
    (health.watching, None),
    (health.counting, "read"),
)
"""Routers of the API, each with the right it requires where keys are set; None: no key."""

_log = logging.getLogger("firstday.serve")


def make_app(service: Service) -> Gate:
    """Return the ASGI application; on shutdown it closes the store of `service`."""
    app = FastAPI(
        title="firstday",
        version=firstday.__version__,
        description=DESCRIPTION,
        docs_url=None,  # these pages load scripts from a CDN
        redoc_url=None,
        openapi_url=None,  # would be rendered for each request
        redirect_slashes=False,
        responses=ERRORS,
        lifespan=_lifespan,
        routes=[*page.make_routes(needs_keys=service.keys.any)] if service.settings.page else [],
    )
    app.state.service = service
    for router, right in ROUTERS:
        app.include_router(
            router, dependencies=require_right(service.keys, right) if right and service.keys.any else []
        )

    @cache
    def render_document() -> asyncio.Task[Response]:
        return asyncio.create_task(asyncio.to_thread(lambda: JSONResponse(app.openapi())))

    async def send_document(_request: Request) -> Response:
        return await asyncio.shield(render_document())

    app.add_route("/v1/openapi.json", send_document)
    add_error_handlers(app)
    return Gate(app, service.settings, service.keys, service.metrics, lists.quick_route)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Run the background tasks; close the store on shutdown."""
    service: Service = app.state.service
    settings = service.settings
    if service.enrolment is not None:
        with suppress(StoreError):  # already counted; the next list request tries again
            await service.enrolment.start()
    with suppress(StoreError):  # already counted; the background task tries again
        await service.items.poll()
    jobs = (
        (service.items.poll, POLL_S),
        (service.items.count, COUNT_EVERY_US / 10_000_000),
        (service.store.purge, settings.purge_every_s),
        (service.store.probe, PROBE_S),
        (service.holder.poll, settings.model_poll_s),
    )
    tasks = [asyncio.create_task(repeat(job, every_s)) for job, every_s in jobs if every_s]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await service.store.close()


async def repeat(job: Callable[[], Awaitable[object]], every_s: float) -> None:
    """Run `job`, then sleep `every_s` seconds, forever.

    Code that raises a `FirstdayError` has already logged and counted it. Other exceptions are logged here.
    """
    while True:
        try:
            await job()
        except FirstdayError:
            pass
        except Exception as error:
            _log.error("background work failed", exc_info=error)
        await asyncio.sleep(every_s)
