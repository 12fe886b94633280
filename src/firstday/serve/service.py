"""State shared by all requests, and the dependencies that give endpoints access to it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request

from firstday.recommend.variants import Experiment
from firstday.serve.batching import Enrolment, ListBatcher
from firstday.serve.middleware import Keys
from firstday.serve.models import ModelHolder, ServedModel
from firstday.serve.settings import ServeSettings
from firstday.serve.store.open import open_log
from firstday.serve.store.store import Store
from firstday.serve.stored_items import StoredItems
from firstday.serve.telemetry import Metrics


class Service:
    """Process-wide state: settings, metrics, keys, model, store, stored items and experiment."""

    def __init__(self, model: Path, settings: ServeSettings) -> None:
        experiment = Experiment.parse(settings.experiment) if settings.experiment else None
        needed = [variant.strategy for variant in experiment.variants] if experiment else []
        self.settings, self.metrics, self.keys = settings, Metrics(), Keys(settings)
        self.holder = ModelHolder(model, self.metrics, settings.strategy, needed)
        self.store = Store(open_log(settings), self.metrics.store_call)
        self.enrolment = Enrolment(experiment, self.store) if experiment else None
        self.items = StoredItems(self.store, self.holder, settings.max_items_bytes)
        self.lists = ListBatcher(self.holder, self.store, self.items, settings.max_wait_s, self.enrolment)
        self.is_draining = False
        """Whether the process is shutting down."""


async def service_of(request: Request) -> Service:
    """Return the service of a request's application."""
    return request.app.state.service


async def model_of(request: Request) -> ServedModel:
    """Return the current model."""
    return (await service_of(request)).holder.current


ServiceDep = Annotated[Service, Depends(service_of)]
ModelDep = Annotated[ServedModel, Depends(model_of)]
"""Parameter types for injection into endpoints."""
