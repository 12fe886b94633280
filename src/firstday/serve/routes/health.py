"""Liveness, readiness and metrics."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from firstday.serve.http_errors import ApiError
from firstday.serve.schemas import ReadyAnswer
from firstday.serve.service import ServiceDep

watching = APIRouter(tags=["health"])
counting = APIRouter(tags=["health"])

_TEXT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Metrics in Prometheus format.",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
}


@watching.get("/healthz", summary="Check liveness")
async def is_alive() -> dict[str, str]:
    """Return 200 while the process is alive. Needs no key."""
    return {"status": "ok"}


@watching.get("/readyz", summary="Check readiness")
async def is_ready(service: ServiceDep) -> ReadyAnswer:
    """Return 200 while the model is served and 503 once shutdown begins. Needs no key.

    A store that fails is reported, as of its last read and its last write, at most ten seconds ago. It does not make
    the service unready: lists are still served.
    """
    if service.is_draining:
        raise ApiError(503, "draining", "The process is shutting down; send requests elsewhere.")
    store = {f"store_{use}": "ok" if is_up else "unavailable" for use, is_up in service.metrics.store_up.items()}
    return ReadyAnswer.model_validate({"model": service.holder.current.version, **store})


@counting.get("/metrics", summary="Read metrics", response_class=Response, responses=_TEXT)
async def render_metrics(service: ServiceDep) -> Response:
    """Return all metrics."""
    return Response(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)
