"""What lives as long as the process, and how endpoints reach it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request

from firstday.recommend.variants import Experiment
from firstday.serve.batching import Enrolment, Lists
from firstday.serve.middleware import Keys
from firstday.serve.models import ModelHolder, ServedModel
from firstday.serve.settings import ServeSettings
from firstday.serve.store.base import StoreError
from firstday.serve.store.open import open_store
from firstday.serve.telemetry import Metrics

_log = logging.getLogger("firstday.serve")


class Service:
    """Everything that lives as long as the process.

    Parameters
    ----------
    model
        The model's folder.
    settings
        How it runs.

    Raises
    ------
    ConfigError
        The experiment cannot be, or the model cannot answer by a strategy of it, or the store cannot be opened.
    ArtifactError
        The model cannot be used.
    """

    def __init__(self, model: Path, settings: ServeSettings) -> None:
        experiment = Experiment.parse(settings.experiment) if settings.experiment else None
        needed = [variant.strategy for variant in experiment.variants] if experiment else []
        self.settings, self.metrics, self.keys = settings, Metrics(), Keys(settings)
        self.holder = ModelHolder(model, self.metrics, settings.strategy, needed)
        self.store = open_store(settings)
        self.store.watch = self.metrics.store_call
        self.enrolment = Enrolment(experiment, self.store) if experiment else None
        self.lists = Lists(self.holder, self.store, self.metrics, self.enrolment)
        self.is_draining = False
        """Whether the process is about to end."""

    async def purge(self) -> None:
        """Remove what has expired."""
        removed = await self.store.purge()
        if removed:
            _log.info("removed what has expired", extra={"fields": {"rows": removed}})

    async def back_up(self) -> int:
        """Copy the store to the file that the settings name; return the size of the copy in bytes."""
        target = Path(self.settings.backup_file)
        try:
            await self.store.back_up(target)
        except StoreError as error:
            self.metrics.backups.labels("failed").inc()
            _log.error("backup failed", extra={"fields": {"error": str(error)}})
            raise
        self.metrics.backups.labels("done").inc()
        return target.stat().st_size


async def service_of(request: Request) -> Service:
    """Return the service that a request came to."""
    service: Service = request.app.state.service
    return service


async def model_of(request: Request) -> ServedModel:
    """Return the model that answers a request."""
    return (await service_of(request)).holder.current


ServiceDep = Annotated[Service, Depends(service_of)]
ModelDep = Annotated[ServedModel, Depends(model_of)]
"""Types of what endpoints are given of the service."""
