"""Service: what the endpoints share."""

from __future__ import annotations

import logging
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


class Service:
    """Everything that lives as long as the process.

    Parameters
    ----------
    settings
        How it runs.
    holder
        The model.
    store
        Users' signals; closed when the application ends.
    """

    def __init__(self, settings: ServeSettings, holder: ModelHolder, store: Store) -> None:
        self.settings, self.holder, self.store = settings, holder, store
        self.metrics, self.keys = Metrics(), Keys(settings)
        self.batcher = Batcher(holder, store, self.metrics)
        self.is_draining = False
        """Whether the process is about to end."""
        self._note_model()

    def _note_model(self) -> None:
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
        self._note_model()
        return changed


def service_of(request: Request) -> Service:
    """Return the service that a request came to."""
    return cast("Service", request.app.state.service)


def json_response(values: Any, status: int = 200) -> Response:
    """Return JSON values as a response, without another look at their types."""
    return Response(pydantic_core.to_json(values), status, media_type="application/json")
