"""Service: what the endpoints share."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any, cast

import pydantic_core
from fastapi import Request, Response

from firstday.errors import FirstdayError
from firstday.serve.auth import Keys
from firstday.serve.batching import Batcher
from firstday.serve.model_holder import ModelHolder
from firstday.serve.settings import ServeSettings
from firstday.serve.store.base import Store
from firstday.serve.telemetry import Metrics

_log = logging.getLogger("firstday.serve")


@dataclass
class Service:
    """Everything that lives as long as the process.

    Parameters
    ----------
    settings
        How it runs.
    holder
        The model.
    store
        Users' signals.
    metrics
        What is counted.
    keys
        Who may do what.
    batcher
        Answers requests for lists.
    is_draining
        Whether the process is about to end.
    """

    settings: ServeSettings
    holder: ModelHolder
    store: Store
    metrics: Metrics
    keys: Keys
    batcher: Batcher = field(init=False)
    is_draining: bool = False

    def __post_init__(self) -> None:
        self.batcher = Batcher(self.holder, self.store, self.metrics)
        self.note_model()

    def note_model(self) -> None:
        """Name the model that answers from now on among the counters."""
        current = self.holder.current
        self.metrics.serves(current.version, current.loaded_at.timestamp())

    async def reload(self) -> bool:
        """Load the model's folder again; return whether another version answers now.

        Raises
        ------
        FirstdayError
            What the folder holds cannot be used; the old model goes on answering.
        """
        try:
            changed = await self.holder.reload()
        except FirstdayError as error:
            self.metrics.reloads.labels("refused").inc()
            _log.error("model refused", extra={"fields": {"error": str(error)}})
            raise
        self.metrics.reloads.labels("swapped" if changed else "unchanged").inc()
        self.note_model()
        return changed


def service_of(request: Request) -> Service:
    """Return the service that a request came to."""
    return cast("Service", request.app.state.service)


def json_response(values: Any, status: int = 200) -> Response:
    """Return JSON values as a response, without another look at their types."""
    return Response(pydantic_core.to_json(values), status, media_type="application/json")
