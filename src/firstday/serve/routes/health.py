"""Liveness, readiness and metrics."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from firstday.serve.http_errors import ApiError
from firstday.serve.schemas import HealthAnswer, ReadyAnswer
from firstday.serve.service import ServiceDep
from firstday.serve.store.base import StoreError

PING_TIMEOUT_S = 1.0

watching = APIRouter(tags=["health"])
counting = APIRouter(tags=["health"])

_TEXT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Counters in the format of Prometheus.",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
}


@watching.get("/healthz", summary="Is the process there")
async def is_alive() -> HealthAnswer:
    """Answer as long as the process can; needs no key."""
    return HealthAnswer()


@watching.get("/readyz", summary="Should requests be sent here")
async def is_ready(service: ServiceDep) -> ReadyAnswer:
    """Answer 200 while the model answers, 503 once the process is about to end; needs no key.

    A store that cannot be reached does not make it unready, since lists are still given; it is named.
    """
    if service.is_draining:
        raise ApiError(503, "draining", "The process is about to end; send requests elsewhere.")
    try:
        async with asyncio.timeout(PING_TIMEOUT_S):
            await service.store.ping()
        reached = True
    except (StoreError, TimeoutError):
        reached = False
    return ReadyAnswer(model=service.holder.current.version, store="ok" if reached else "unavailable")


@counting.get("/metrics", summary="Counters for Prometheus", response_class=Response, responses=_TEXT)
async def render_metrics(service: ServiceDep) -> Response:
    """Return every counter."""
    return Response(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)
