"""The service: the model that answers and how another takes its place, and requests answered together."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import pydantic_core
from fastapi import Request, Response

from firstday.artifact.folder import MANIFEST, read_manifest
from firstday.artifact.trained_model import TrainedModel
from firstday.data.events import ITEM
from firstday.errors import ArtifactError, FirstdayError
from firstday.features.encoder import understand_picks
from firstday.features.signals import Signals
from firstday.recommend.questionnaire import Answers, Questionnaire
from firstday.recommend.recommender import Recommender, open_model
from firstday.recommend.registry import find_strategy, refuse_without, strategies_of
from firstday.recommend.variants import Experiment, Variant
from firstday.serve.enrolment import Enrolment
from firstday.serve.middleware import Keys
from firstday.serve.schemas import Source
from firstday.serve.segment_map import SegmentMap, make_segment_map
from firstday.serve.settings import ServeSettings
from firstday.serve.store.base import ShownList, Store, StoredUser, StoreError
from firstday.serve.telemetry import Metrics

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
    def _questionnaires(self) -> dict[str, Questionnaire]:
        return {}

    def questionnaire_of(self, entity: str = ITEM) -> Questionnaire:
        """Return what newcomers can be asked about items, or about another entity; made when first asked for.

        Raises
        ------
        ConfigError
            The model knows no such entity.
        """
        if entity not in self._questionnaires:
            self._questionnaires[entity] = Questionnaire.of(self.trained, entity)
        return self._questionnaires[entity]

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


def load_served(path: Path, strategy: str = "") -> ServedModel:
    """Open a model's folder, verify every file, and answer once by each strategy, so that the first user need not wait.

    Parameters
    ----------
    path
        The folder.
    strategy
        What answers where none is asked for; "": what the model was trained with.

    Raises
    ------
    ArtifactError
        The folder holds no model, or one that is damaged or cannot answer.
    ConfigError
        The model cannot answer by the strategy.
    """
    try:
        while True:
            manifest = read_manifest(path)
            recommender = open_model(path)
            if read_manifest(path)["version"] == manifest["version"]:  # else it was replaced in between
                break
        if strategy:
            refuse_without(strategy, find_strategy(strategy).lacks(recommender.model))
            config = recommender.model.config.override("recommend.strategy", strategy)
            recommender = Recommender(replace(recommender.model, config=config))
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
            served.recommender.answer_users(group, 50, strategy)
    next(served.find_items(""), None)
    questionnaire = served.questionnaire_of()
    questionnaire.next_question(Answers())
    if questionnaire.warm is not None:
        questionnaire.warm.score(Answers(yes=(0,)))


def _refuse_without_strategies(served: ServedModel, strategies: Sequence[str]) -> None:
    for strategy in strategies:
        refuse_without(strategy, find_strategy(strategy).lacks(served.trained))


class ModelHolder:
    """Holds the model that answers.

    Who takes `current` keeps it for as long as it needs: a swap changes what the next one gets.

    Parameters
    ----------
    path, strategy
        See `load_served`.
    """

    def __init__(self, path: Path, strategy: str = "") -> None:
        self.path, self._strategy = path, strategy
        self._needed: tuple[str, ...] = ()
        self.current = load_served(path, strategy)
        self._turn = asyncio.Lock()

    def need(self, strategies: Sequence[str]) -> None:
        """Answer by these strategies from now on: a model that cannot is refused.

        Raises
        ------
        ConfigError
            The one that answers cannot.
        """
        _refuse_without_strategies(self.current, strategies)
        self._needed = tuple(strategies)

    async def reload(self) -> bool:
        """Load what the folder holds now, in a thread, and swap it in; return whether it is another version.

        Raises
        ------
        ArtifactError
            It cannot be used; the old one goes on answering.
        ConfigError
            It cannot answer by a strategy that is needed; the old one goes on answering.
        """
        async with self._turn:
            began = time.perf_counter()
            loaded = await asyncio.to_thread(load_served, self.path, self._strategy)
            if loaded.version == self.current.version:
                return False
            _refuse_without_strategies(loaded, self._needed)
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


_log = logging.getLogger("firstday.serve")

LIST_ID_BYTES = 15
"""Random bytes of a recorded list's id, 20 characters of text."""
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
    record
        Whether to keep that the user is shown the list.
    enrol
        Whether to keep the user's variant where there is none yet.
    """

    user_id: str | None = None
    signals: Signals | None = None
    k: int | None = None
    strategy: str | None = None
    keep_used: bool = False
    record: bool = False
    enrol: bool = False


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
    scores, score_scale, n_ranked
        Beside them, what they are, and how many of the items were ranked: the others fill the list up.
    ignored, notes
        See `firstday.recommend.recommender.Recommendation`.
    propensities
        How likely each item was to be there, beside them; None: each was certain.
    list_id
        The recorded list's; None where it is not recorded.
    not_recorded
        Why it is not, where it should have been.
    experiment, variant
        Their names, where the user takes part.
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
    notes: tuple[str, ...]
    score_scale: str
    n_ranked: int
    propensities: tuple[float, ...] | None = None
    list_id: str | None = None
    not_recorded: str | None = None
    experiment: str | None = None
    variant: str | None = None


@dataclass(frozen=True, eq=False)
class _Answerable:
    """A request with all that its list rests on."""

    ask: Ask
    signals: Signals
    source: Source
    variant: Variant | None


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
    enrolment
        Who takes part in an experiment; None: there is none.
    """

    def __init__(self, holder: ModelHolder, store: Store, metrics: Metrics, enrolment: Enrolment | None = None) -> None:
        self._holder, self._store, self._metrics, self._enrolment = holder, store, metrics, enrolment
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
            collected = await self._collect([ask for ask, _ in waiting])
        except Exception as error:
            for _, future in waiting:
                _settle(future, error)
            return
        for known, (_, future) in zip(collected, waiting, strict=True):
            if isinstance(known, Exception):
                _settle(future, known)
        pairs = [(known, future) for known, (_, future) in zip(collected, waiting, strict=True)]
        answerable = [known for known, _ in pairs if not isinstance(known, Exception)]
        waiting = [(known.ask, future) for known, future in pairs if not isinstance(known, Exception)]
        model = self._holder.current  # one for all of them, whatever is swapped in meanwhile
        groups: dict[tuple[Any, ...], list[int]] = {}
        for place, (ask, _) in enumerate(waiting):
            groups.setdefault((ask.k, ask.strategy, ask.keep_used), []).append(place)
        to_record: list[tuple[int, Reply]] = []
        for places in groups.values():
            try:
                replies = self._recommend(model, [answerable[place] for place in places])
            except Exception as error:
                for place in places:
                    _settle(waiting[place][1], error)
                continue
            for place, reply in zip(places, replies, strict=True):
                if waiting[place][0].record:
                    to_record.append((place, reply))
                else:
                    _settle(waiting[place][1], reply)
        if not to_record:
            return
        results: Sequence[Reply | Exception]
        try:
            results = await self._record([(waiting[place][0].user_id or "", reply) for place, reply in to_record])
        except Exception as error:
            results = [error] * len(to_record)
        for (place, _), result in zip(to_record, results, strict=True):
            _settle(waiting[place][1], result)

    async def _collect(self, asks: Sequence[Ask]) -> list[_Answerable | Exception]:
        """Return each request with its signals, its own or the store's; a variant's strategy where none was named.

        Where a user's signals cannot be made, there is the error in the place of that request.
        """
        stored = [ask for ask in asks if ask.user_id is not None]
        user_ids = [ask.user_id for ask in stored if ask.user_id is not None]
        users = await self._read_users(user_ids) if stored else []
        source: Source = "store_unavailable" if users is None else "store"
        pairs = list(zip(user_ids, users or [StoredUser()] * len(stored), strict=True))
        variants: list[Variant | None] = [None] * len(pairs)
        if self._enrolment is not None and users:
            # Who asks for a strategy by its name is not answered by a variant.
            places = [place for place, ask in enumerate(stored) if ask.strategy is None]
            given = await self._enrolment.find_variants([(*pairs[place], stored[place].enrol) for place in places])
            for place, variant in zip(places, given, strict=True):
                variants[place] = variant
        of_users = zip(pairs, variants, strict=True)
        collected: list[_Answerable | Exception] = []
        for ask in asks:
            if ask.user_id is None:
                collected.append(_Answerable(ask, ask.signals or Signals(), "request", None))
                continue
            (user_id, user), variant = next(of_users)
            if variant is not None:
                ask = replace(ask, strategy=variant.strategy)
            try:
                collected.append(_Answerable(ask, user.to_signals(user_id), source, variant))
            except Exception as error:
                collected.append(error)
        return collected

    async def _read_users(self, user_ids: Sequence[str]) -> list[StoredUser] | None:
        """Return what the store knows of users; None where it does not answer."""
        try:
            users = await self._store.read(user_ids)
        except StoreError as error:
            self._metrics.store_failed("read", error)
            return None
        self._metrics.store_answered("read")
        return users

    async def read_signals(self, user_ids: Sequence[str]) -> tuple[list[Signals], Source]:
        """Return what the store knows of users; nothing, and that it is unavailable, where it does not answer."""
        users = await self._read_users(user_ids)
        if users is None:
            return [StoredUser().to_signals(user_id) for user_id in user_ids], "store_unavailable"
        return [user.to_signals(user_id) for user_id, user in zip(user_ids, users, strict=True)], "store"

    async def _record(self, replies: Sequence[tuple[str, Reply]]) -> list[Reply]:
        """Keep what users are shown, and name each list; where the store fails, say that nothing was recorded."""
        lists = [
            (
                user_id,
                ShownList(
                    secrets.token_urlsafe(LIST_ID_BYTES),
                    reply.route,
                    tuple(str(reply.model.item_ids[item]) for item in reply.items),
                    reply.propensities,
                ),
            )
            for user_id, reply in replies
        ]
        try:
            await self._store.record(lists)
        except StoreError as error:
            self._metrics.store_failed("record", error)
            self._metrics.lists_recorded.labels("failed").inc(len(lists))
            return [replace(reply, not_recorded=f"{error} The list is not recorded.") for _, reply in replies]
        self._metrics.store_answered("record")
        self._metrics.lists_recorded.labels("recorded").inc(len(lists))
        self._metrics.impressions.labels("lists").inc(sum(len(shown.items) for _, shown in lists))
        return [replace(reply, list_id=shown.list_id) for (_, reply), (_, shown) in zip(replies, lists, strict=True)]

    def _recommend(self, model: ServedModel, asks: Sequence[_Answerable]) -> list[Reply]:
        """Answer requests that differ in their users alone."""
        first = asks[0].ask
        users = [understand_picks(model.trained.encoder, known.signals) for known in asks]
        strategy = first.strategy or model.trained.config.recommend.strategy
        answers = model.recommender.answer_users(users, first.k, strategy, keep_used=first.keep_used)
        lists = answers.answer
        routes, items, scores = lists.routes.tolist(), lists.items.tolist(), lists.scores.tolist()
        segments, n_ranked = answers.segments.tolist(), lists.count_ranked().tolist()
        assert lists.scales is not None
        scales = lists.scales.tolist()
        chances = (
            [None] * len(asks) if lists.propensities is None else [_propensities(row) for row in lists.propensities]
        )
        self._metrics.batch_users.observe(len(asks))
        replies = []
        for row, (signals, known) in enumerate(zip(users, asks, strict=True)):
            places = items[row]
            if places and places[-1] < 0:
                places = [item for item in places if item >= 0]
            replies.append(
                Reply(
                    model=model,
                    signals=signals,
                    source=known.source,
                    strategy=strategy,
                    route=routes[row],
                    segment=segments[row] if segments[row] >= 0 else None,
                    items=places,
                    scores=scores[row][: len(places)],
                    ignored=answers.ignored[row],
                    notes=answers.notes[row],
                    score_scale=scales[row],
                    n_ranked=n_ranked[row],
                    propensities=None if (certain := chances[row]) is None else certain[: len(places)],
                    experiment=self._enrolment.experiment.name if self._enrolment and known.variant else None,
                    variant=known.variant.name if known.variant else None,
                )
            )
            self._metrics.answered(strategy, routes[row])
            if replies[-1].experiment is not None:
                self._metrics.of_variants.labels(replies[-1].experiment, replies[-1].variant, routes[row]).inc()
        return replies


def _propensities(row: np.ndarray) -> tuple[float, ...] | None:
    """Return a list's propensities, each as short as float32 allows; None where all are 1."""
    return None if (row == 1).all() else tuple(float(str(value)) for value in row)


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

    Raises
    ------
    ConfigError
        The experiment cannot be, or the model cannot answer by a strategy of it.
    """

    def __init__(self, settings: ServeSettings, holder: ModelHolder, store: Store) -> None:
        self.settings, self.holder, self.store = settings, holder, store
        self.metrics, self.keys = Metrics(), Keys(settings)
        self.enrolment: Enrolment | None = None
        if settings.experiment:
            experiment = Experiment.parse(settings.experiment)
            holder.need([variant.strategy for variant in experiment.variants])
            self.enrolment = Enrolment(experiment, store, self.metrics)
        self.batcher = Batcher(holder, store, self.metrics, self.enrolment)
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
