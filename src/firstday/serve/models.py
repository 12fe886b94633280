"""Loading and reloading of the served model."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

import polars as pl

from firstday.data.events import ITEM
from firstday.errors import ArtifactError, FirstdayError
from firstday.features.signals import Signals
from firstday.model.folder import read_manifest, version_in
from firstday.model.trained_model import TrainedModel
from firstday.recommend.new_items.new_items import NewItems
from firstday.recommend.questionnaire import Questionnaire
from firstday.recommend.recommender import Recommender, open_model
from firstday.recommend.rules.filters import describe_columns
from firstday.recommend.support import find_supported, strategies_of
from firstday.serve.segment_map import SegmentMap, make_segment_map
from firstday.serve.telemetry import Metrics

_log = logging.getLogger("firstday.serve")


@dataclass(frozen=True, eq=False)
class ServedModel:
    """A model with its manifest, the time it was loaded (UTC), and derived data that only the service needs.

    `put_us` has the time when each stored new item was first put, in microseconds since 1970, and `newest_us` the last.
    """

    recommender: Recommender
    manifest: Mapping[str, Any]
    loaded_at: datetime
    put_us: Mapping[str, int] = field(default_factory=dict)
    newest_us: int = 0

    def with_items(self, new_items: NewItems | None, put_us: Mapping[str, int]) -> ServedModel:
        """Return the model with new items, and when each stored one was first put."""
        served = copy(self)
        recommender = replace(self.recommender, new_items=new_items)
        vars(served).update(recommender=recommender, put_us=put_us, newest_us=max(put_us.values(), default=0))
        return served

    @cached_property
    def version(self) -> str:
        """Model version, part of each response."""
        return str(self.manifest["version"])

    @cached_property
    def trained(self) -> TrainedModel:
        """Arrays and names of the model."""
        return self.recommender.model

    def name_item(self, item: int) -> dict[str, Any]:
        """Return an item's id and title as JSON values."""
        catalogue = self.trained.catalogue
        return {"item_id": catalogue.items[item], "title": catalogue.title_of(item)}

    @cached_property
    def questionnaire_of(self) -> Callable[[str], Questionnaire]:
        """Function that returns the questionnaire for an entity, built on first use."""
        return cache(partial(Questionnaire.of, self.trained))

    @cached_property
    def segment_map(self) -> SegmentMap:
        """Layout of the segments in two dimensions; built on first use, since only the page needs it."""
        return make_segment_map(self.trained)

    @cached_property
    def item_columns(self) -> list[dict[str, Any]]:
        """Columns of items that filters can read; see `describe_columns`."""
        return describe_columns(self.trained.catalogue.columns)

    @cached_property
    def _titles(self) -> pl.Series:
        """Titles in lower case without accents, most popular first."""
        titles = [self.trained.catalogue.title_of(item) for item in self.trained.popular_items.tolist()]
        return _fold(pl.Series(titles, dtype=pl.String))

    def find_items(self, text: str) -> list[int]:
        """Return the index of the item with this id, then of items with every word in the title, most popular first."""
        exact = self.trained.catalogue.items.index_of(text)
        has_words = self._titles.is_not_null()
        for word in _fold(pl.Series([text])).item().split():
            has_words &= self._titles.str.contains(word, literal=True)
        matches = self.trained.popular_items[has_words.to_numpy()].tolist()
        return list(dict.fromkeys([exact, *matches] if exact >= 0 else matches))


def _fold(texts: pl.Series) -> pl.Series:
    """Return texts in lower case, without accents."""
    return texts.str.to_lowercase().str.normalize("NFKD").str.replace_all(r"\p{M}", "")


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
            recommender = Recommender(replace(recommender.model, config=config))
        for name in (recommender.model.config.recommend.strategy, *needed):
            find_supported(name, recommender.model)
        served = ServedModel(recommender, manifest, datetime.now(UTC))
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
    users = [Signals(age=30, interactions=liked), Signals()]
    for strategy in strategies_of(served.trained):
        next(served.recommender.answer_lists(users, [(50, [])], strategy, keep_used=False))
    served.find_items("")


class ModelHolder:
    """Holds the current model.

    A request reads `current` once and uses that model throughout: a swap affects only later requests.
    """

    def __init__(self, path: Path, metrics: Metrics, strategy: str = "", needed: Sequence[str] = ()) -> None:
        self._path, self._metrics, self._strategies = path, metrics, (strategy, needed)
        self._turn = asyncio.Lock()
        self._swap(load_served(path, *self._strategies, verify=False))

    def _swap(self, served: ServedModel) -> None:
        self.current = served
        self._metrics.set_model(served.version, served.loaded_at.timestamp())

    async def reload(self) -> None:
        """Load the folder in a thread and swap the model in if its version differs.

        Raises `FirstdayError` if the new model is unusable or lacks a required strategy; the old one stays in use.
        """
        async with self._turn:
            try:
                loaded = await asyncio.to_thread(load_served, self._path, *self._strategies)
            except FirstdayError as error:
                self._metrics.reloads.labels("refused").inc()
                _log.error("model refused", extra={"fields": {"error": str(error)}})
                raise
            old = self.current.version
            changed = loaded.version != old
            self._metrics.reloads.labels("swapped" if changed else "unchanged").inc()
            if changed:
                self._swap(loaded)
                _log.info("model swapped", extra={"fields": {"from": old, "to": loaded.version}})

    async def poll(self) -> None:
        """Reload if the folder's version differs from the current one."""
        if version_in(self._path) != self.current.version:
            await self.reload()
