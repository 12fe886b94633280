"""The model that answers now, and how another one takes its place while requests are in work."""

from __future__ import annotations

import asyncio
import logging
import time
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from firstday.artifact.folder import MANIFEST, read_manifest
from firstday.artifact.trained_model import TrainedModel
from firstday.errors import ArtifactError, FirstdayError
from firstday.features.signals import Signals
from firstday.recommend.questionnaire import Answers, Questionnaire
from firstday.recommend.recommender import Recommender, open_model
from firstday.recommend.spec import strategies_of
from firstday.serve.segment_map import SegmentMap, make_segment_map

_log = logging.getLogger("firstday.serve")


@dataclass(frozen=True, eq=False)
class ServedModel:
    """A model with what only the service needs.

    Parameters
    ----------
    recommender
        The model.
    version
        Its version, named in each answer.
    manifest
        What its folder says of it.
    loaded_at
        UTC.
    """

    recommender: Recommender
    version: str
    manifest: Mapping[str, Any]
    loaded_at: datetime

    @property
    def trained(self) -> TrainedModel:
        """The arrays and names."""
        return self.recommender.model

    @cached_property
    def item_ids(self) -> list[Any]:
        """The caller's ids by index, as JSON values."""
        return self.trained.catalogue.items.values.to_list()

    @cached_property
    def titles(self) -> tuple[str, ...]:
        """Titles by index, "" where there is none."""
        return self.trained.catalogue.titles or ("",) * len(self.item_ids)

    @cached_property
    def questionnaire(self) -> Questionnaire:
        """What newcomers can be asked about items."""
        return Questionnaire.of(self.trained)

    @cached_property
    def segment_map(self) -> SegmentMap:
        """The segments in two dimensions; made when it is first asked for, since only the page needs it."""
        return make_segment_map(self.trained)

    @cached_property
    def _searched(self) -> tuple[str, list[int]]:
        """All titles in one text, a line each, most popular first, and where each line begins."""
        lines = [self.titles[ix].replace("\n", " ").casefold() for ix in self.trained.popular_items.tolist()]
        starts, at = [], 0
        for line in lines:
            starts.append(at)
            at += len(line) + 1
        return "\n".join(lines), starts

    def find_items(self, text: str) -> Iterator[int]:
        """Return indexes of the item of that very id, then of those whose titles hold the text, most popular first."""
        exact = self.trained.catalogue.items.index_of(text)
        if exact >= 0:
            yield exact
        needle = text.replace("\n", " ").casefold()
        lines, starts = self._searched
        at = lines.find(needle)
        while 0 <= at < len(lines):
            row = bisect_right(starts, at) - 1
            item = int(self.trained.popular_items[row])
            if item != exact:
                yield item
            if row + 1 == len(starts):
                return
            at = lines.find(needle, starts[row + 1])


def load_served(path: Path) -> ServedModel:
    """Open a model's folder, verify every file, and answer once by each strategy, so that the first user need not wait.

    Raises
    ------
    ArtifactError
        The folder holds no model, or one that is damaged or cannot answer.
    """
    try:
        while True:
            manifest = read_manifest(path)
            recommender = open_model(path)
            if read_manifest(path)["version"] == manifest["version"]:  # else it was replaced in between
                break
        served = ServedModel(recommender, manifest["version"], manifest, datetime.now(UTC))
        _warm(served)
    except FirstdayError:
        raise
    except Exception as error:
        _log.error("a model cannot be used", exc_info=error)
        raise ArtifactError(
            f"{path}: cannot be used ({type(error).__name__}: {error}); train or copy the model again."
        ) from error
    return served


def _warm(served: ServedModel) -> None:
    """Fill every cache."""
    popular = [served.item_ids[ix] for ix in served.trained.popular_items[:3].tolist()]
    users = [
        Signals(age=30, interactions=[(signal, "item", item) for item in popular])
        for signal in (*served.trained.config.signals.liked, "")
    ]
    for strategy in strategies_of(served.trained):
        for group in (users, users[:1]):
            served.recommender.recommend_users(group, 50, strategy)
    next(served.find_items(""), None)
    served.questionnaire.next_question(Answers())
    if served.questionnaire.warm is not None:
        served.questionnaire.warm.score(Answers(yes=(0,)))


class ModelHolder:
    """Holds the model that answers.

    Who takes `current` keeps it for as long as it needs: a swap changes what the next one gets.

    Parameters
    ----------
    path
        The model's folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.current = load_served(path)
        self._turn = asyncio.Lock()

    async def reload(self) -> bool:
        """Load what the folder holds now, in a thread, and swap it in; return whether it is another version.

        Raises
        ------
        ArtifactError
            It cannot be used; the old one goes on answering.
        """
        async with self._turn:
            began = time.perf_counter()
            loaded = await asyncio.to_thread(load_served, self.path)
            if loaded.version == self.current.version:
                return False
            old, self.current = self.current, loaded
            fields = {"from": old.version, "to": loaded.version, "seconds": round(time.perf_counter() - began, 3)}
            _log.info("model swapped", extra={"fields": fields})
            return True

    def has_news(self) -> bool:
        """Tell whether the folder holds another version than the one that answers."""
        try:
            return bool(read_manifest(self.path)["version"] != self.current.version)
        except FirstdayError:
            return (self.path / MANIFEST).exists()  # damaged: loading it says why
