"""Loading and reloading of the served model."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from firstday.data.events import ITEM
from firstday.errors import ArtifactError, FirstdayError
from firstday.features.signals import Signals
from firstday.model.folder import read_manifest, version_in
from firstday.model.trained_model import TrainedModel
from firstday.recommend.new_items.current_items import CurrentItems
from firstday.recommend.recommender import Recommender, open_model
from firstday.recommend.support import find_supported, strategies_of
from firstday.serve.model_views import ModelViews
from firstday.serve.store.log import StoreError
from firstday.serve.telemetry import Metrics

STORE_TRIES = 5
"""Number of times that a reload reads the stored items, a second apart, before it gives up."""

_log = logging.getLogger("firstday.serve")


@dataclass(frozen=True, eq=False)
class ServedModel:
    """A model with its manifest, the time it was loaded (UTC), and derived data that only the service needs.

    `put_us` has the time when each stored new item was first put, in microseconds since 1970.
    """

    recommender: Recommender
    manifest: Mapping[str, Any]
    loaded_at: datetime
    views: ModelViews
    put_us: Mapping[str, int] = field(default_factory=dict)

    def with_items(self, current: CurrentItems | None, put_us: Mapping[str, int]) -> ServedModel:
        """Return the model with items as they are now, and when each stored new one was first put."""
        return replace(self, recommender=replace(self.recommender, current_items=current), put_us=put_us)

    @cached_property
    def newest_us(self) -> int:
        """Time when the last new item was first put, in microseconds since 1970; 0 without any."""
        return max(self.put_us.values(), default=0)

    @property
    def version(self) -> str:
        """Model version, part of each response."""
        return str(self.manifest["version"])

    @property
    def trained(self) -> TrainedModel:
        """Arrays and names of the model."""
        return self.recommender.model


def load_served(path: Path, strategy: str = "", needed: Sequence[str] = (), *, verify: bool = True) -> ServedModel:
    """Open a model folder and warm up every strategy; raise `FirstdayError` if this fails.

    `verify` checks every file, which the first start leaves out: whoever published the model did. `strategy` is the
    default strategy ("": the model's own); the model must also support the strategies in `needed`.
    """
    try:
        while True:
            manifest = read_manifest(path)
            recommender = open_model(path, verify=verify)
            if version_in(path) == manifest["version"]:  # otherwise replaced while loading
                break
        if strategy:
            config = recommender.model.config.override("recommend.strategy", strategy)
            recommender = replace(recommender, model=replace(recommender.model, config=config))
        for name in (recommender.model.config.recommend.strategy, *needed):
            find_supported(name, recommender.model)
        views = ModelViews(recommender.model)
        served = ServedModel(recommender, manifest, datetime.now(UTC), views)
        _warm(served)
    except FirstdayError:
        raise
    except Exception as error:
        _log.error("model cannot be used", exc_info=error)
        raise ArtifactError(
            f"{path}: cannot be used ({type(error).__name__}: {error}); train or copy the model again."
        ) from error
    return served


def _warm(served: ServedModel) -> None:
    """Fill the caches, so that the first list is not slow."""
    catalogue = served.trained.catalogue
    signals = served.trained.config.signals
    popular = [catalogue.items[ix] for ix in served.trained.popular_items[:3].tolist()]
    liked = [(signal, ITEM, item) for signal in signals.liked for item in popular]
    users = [Signals(age=30, interactions=liked), Signals(user_id="")]
    for strategy in strategies_of(served.trained):
        next(served.recommender.answer_lists(users, [(50, [])], strategy, keep_used=False))
    served.views.find_items("")


class ModelHolder:
    """Holds the current model.

    A request reads `current` once and uses that model throughout: a swap affects only later requests.
    """

    def __init__(self, path: Path, metrics: Metrics, strategy: str = "", needed: Sequence[str] = ()) -> None:
        self._path, self.metrics, self._strategies = path, metrics, (strategy, needed)
        self._turn = asyncio.Lock()
        self.serve: Callable[
            [ServedModel], Awaitable[None]
        ]  # makes a model the current one, with items as they are now
        self.current = load_served(path, *self._strategies, verify=False)
        self._report()

    def _report(self) -> None:
        self.metrics.set_model(self.current.version, self.current.loaded_at.timestamp())

    async def reload(self) -> None:
        """Load the folder in a thread and swap the model in if its version differs.

        Raises `FirstdayError` if the new model is unusable or lacks a required strategy, or if the store fails; the old
        one stays in use.
        """
        async with self._turn:
            old = self.current.version
            try:
                loaded = await asyncio.to_thread(load_served, self._path, *self._strategies)
                changed = loaded.version != old
                for n_left in reversed(range(STORE_TRIES if changed else 0)):
                    try:
                        await self.serve(loaded)
                        break
                    except StoreError:
                        if not n_left:
                            raise
                        await asyncio.sleep(1)
            except FirstdayError as error:
                self.metrics.reloads.labels("refused").inc()
                _log.error("model refused", extra={"fields": {"error": str(error)}})
                raise
            self.metrics.reloads.labels("swapped" if changed else "unchanged").inc()
            if changed:
                self._report()
                _log.info("model swapped", extra={"fields": {"from": old, "to": loaded.version}})

    async def poll(self) -> None:
        """Reload if the folder's version differs from the current one."""
        if version_in(self._path) != self.current.version:
            await self.reload()
