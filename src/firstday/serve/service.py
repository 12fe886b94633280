"""Service: what the endpoints share; lists that are asked for at the same time are made in one pass for all of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import pydantic_core
from fastapi import Request, Response

from firstday.errors import FirstdayError
from firstday.features.encoder import understand_picks
from firstday.features.signals import Signals
from firstday.serve.auth import Keys
from firstday.serve.model_holder import ModelHolder, ServedModel
from firstday.serve.schemas import Source
from firstday.serve.settings import ServeSettings
from firstday.serve.store.base import Store, StoreError
from firstday.serve.telemetry import Metrics

_log = logging.getLogger("firstday.serve")

BATCH_SIZE = 32
"""Users answered in one pass, at most: bounds how long others wait."""


@dataclass(frozen=True)
class Ask:
    """One request for a list.

    Parameters
    ----------
    user_id
        Whose stored signals to use; None where the request has the signals in it.
    signals
        What is in the request.
    k, strategy, keep_used
        See `Recommender.recommend`.
    """

    user_id: str | None = None
    signals: Signals | None = None
    k: int | None = None
    strategy: str | None = None
    keep_used: bool = False


@dataclass(frozen=True, eq=False)
class Reply:
    """The list for one request.

    Parameters
    ----------
    model
        What answered.
    signals
        What it was made from.
    source
        Where the signals came from; ``store_unavailable``: nowhere, since the store did not answer.
    strategy, route
        What was asked for and what answered.
    segment
        The predicted segment; None where nothing is known.
    items
        Indexes, best first.
    scores
        Beside them.
    ignored
        A sentence for each signal that the model does not understand.
    """

    model: ServedModel
    signals: Signals
    source: Source
    strategy: str
    route: str
    segment: int | None
    items: list[int]
    scores: list[float]
    ignored: tuple[str, ...]


class Batcher:
    """Collects what arrives in one turn of the event loop, and answers it in one pass.

    Nothing waits for company: a request that is alone is answered alone. Under load the requests that arrive during one
    pass are the next one, so that the cost of each falls as more arrive.

    Parameters
    ----------
    holder
        The model.
    store
        Users' signals.
    metrics
        Where sizes and routes are counted.
    """

    def __init__(self, holder: ModelHolder, store: Store, metrics: Metrics) -> None:
        self._holder, self._store, self._metrics = holder, store, metrics
        self._waiting: list[tuple[Ask, asyncio.Future[Reply]]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, ask: Ask) -> Reply:
        """Return the list for a request.

        Raises
        ------
        ConfigError
            The model cannot answer by this strategy.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Reply] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._begin)
        self._waiting.append((ask, future))
        return await future

    def _begin(self) -> None:
        """Take what waits, in parts."""
        waiting, self._waiting = self._waiting, []
        for at in range(0, len(waiting), BATCH_SIZE):
            task = asyncio.get_running_loop().create_task(self._answer(waiting[at : at + BATCH_SIZE]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, waiting: Sequence[tuple[Ask, asyncio.Future[Reply]]]) -> None:
        """Answer some requests; each gets its reply or its error."""
        try:
            signals = await self._collect([ask for ask, _ in waiting])
        except Exception as error:
            for _, future in waiting:
                _settle(future, error)
            return
        model = self._holder.current  # one for all of them, whatever is swapped in meanwhile
        groups: dict[tuple[Any, ...], list[int]] = {}
        for place, (ask, _) in enumerate(waiting):
            groups.setdefault((ask.k, ask.strategy, ask.keep_used), []).append(place)
        for places in groups.values():
            try:
                replies = self._recommend(model, [(waiting[place][0], *signals[place]) for place in places])
            except Exception as error:
                for place in places:
                    _settle(waiting[place][1], error)
                continue
            for place, reply in zip(places, replies, strict=True):
                _settle(waiting[place][1], reply)

    async def _collect(self, asks: Sequence[Ask]) -> list[tuple[Signals, Source]]:
        """Return the signals of each request: its own, or the store's."""
        stored = [ask.user_id for ask in asks if ask.user_id is not None]
        read, source = await self.read_signals(stored) if stored else ([], "store")
        of_users = iter(read)
        return [
            (next(of_users), source) if ask.user_id is not None else (ask.signals or Signals(), "request")
            for ask in asks
        ]

    async def read_signals(self, user_ids: Sequence[str]) -> tuple[list[Signals], Source]:
        """Return what the store knows of users; nothing, and that it is unavailable, where it does not answer."""
        try:
            users = await self._store.read(user_ids)
        except StoreError as error:
            self._metrics.store_failed("read", error)
            return [Signals()] * len(user_ids), "store_unavailable"
        self._metrics.store_answered("read")
        return [user.to_signals() for user in users], "store"

    def _recommend(self, model: ServedModel, asks: Sequence[tuple[Ask, Signals, Source]]) -> list[Reply]:
        """Answer requests that differ in their users alone."""
        first = asks[0][0]
        asks = [(ask, understand_picks(model.trained.encoder, signals), source) for ask, signals, source in asks]
        strategy = first.strategy or model.trained.config.recommend.strategy
        answers = model.recommender.recommend_users(
            [signals for _, signals, _ in asks], first.k, strategy, keep_used=first.keep_used
        )
        lists = answers.answer
        routes, items, scores = lists.routes.tolist(), lists.items.tolist(), lists.scores.tolist()
        segments = answers.segments.tolist()
        self._metrics.batch_users.observe(len(asks))
        replies = []
        for row, (_, signals, source) in enumerate(asks):
            places = items[row]
            if places and places[-1] < 0:
                places = [item for item in places if item >= 0]
            replies.append(
                Reply(
                    model=model,
                    signals=signals,
                    source=source,
                    strategy=strategy,
                    route=routes[row],
                    segment=segments[row] if segments[row] >= 0 else None,
                    items=places,
                    scores=scores[row][: len(places)],
                    ignored=answers.ignored[row],
                )
            )
            self._metrics.answered(strategy, routes[row])
        return replies


def _settle(future: asyncio.Future[Reply], result: Reply | Exception) -> None:
    """Hand a result over, unless nobody waits any more."""
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)


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
