"""Lists, many in one pass: for users in the store and for signals in requests, and which are part of an experiment."""

from __future__ import annotations

import asyncio
import secrets
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property

from firstday.features.encoder import understand_picks
from firstday.features.signals import Signals
from firstday.recommend.recommendation import UserAnswers
from firstday.recommend.variants import Experiment, Variant
from firstday.serve.models import ModelHolder, ServedModel
from firstday.serve.schemas import Source
from firstday.serve.store.base import Assignment, ShownList, Store, StoredUser, StoreError
from firstday.serve.telemetry import Metrics

BATCH_SIZE = 32
"""Requests answered in one pass, at most: bounds how long others wait."""
LIST_ID_BYTES = 15
"""Random bytes of a recorded list's id, 20 characters of text."""


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
    variant
        By which it was answered, where the user takes part in an experiment.
    answers, row
        The answers of one pass, and which of them this is.
    list_id
        The recorded list's; None where it is not recorded.
    not_recorded
        Why it is not, where it should have been.
    """

    model: ServedModel
    signals: Signals
    source: Source
    variant: Variant | None
    answers: UserAnswers
    row: int
    list_id: str | None = None
    not_recorded: str | None = None

    @property
    def route(self) -> str:
        """What answered."""
        return str(self.answers.answer.routes[self.row])

    @property
    def segment(self) -> int | None:
        """The predicted segment; None where nothing is known."""
        segment = int(self.answers.segments[self.row])
        return segment if segment >= 0 else None

    @cached_property
    def items(self) -> list[int]:
        """Indexes, best first."""
        return [item for item in self.answers.answer.items[self.row].tolist() if item >= 0]

    @property
    def scores(self) -> list[float]:
        """Beside the items."""
        scores: list[float] = self.answers.answer.scores[self.row].tolist()
        return scores[: len(self.items)]

    @property
    def score_scale(self) -> str:
        """What the scores are."""
        scales = self.answers.answer.scales
        assert scales is not None
        return str(scales[self.row])

    @property
    def n_ranked(self) -> int:
        """How many of the items were ranked: the others fill the list up."""
        return int(self.answers.answer.count_ranked()[self.row])

    @property
    def propensities(self) -> tuple[float, ...] | None:
        """How likely each item was to be there, each as short as float32 allows; None: each was certain."""
        all_rows = self.answers.answer.propensities
        if all_rows is None or (all_rows[self.row] == 1).all():
            return None
        return tuple(float(str(value)) for value in all_rows[self.row][: len(self.items)])


@dataclass(eq=False)
class _Work:
    """A request on its way to its reply."""

    ask: Ask
    reply: asyncio.Future[Reply]
    user: StoredUser = field(default_factory=StoredUser)
    source: Source = "request"
    variant: Variant | None = None

    def settle(self, result: Reply | Exception) -> None:
        """Hand the reply or the error over, unless nobody waits any more."""
        if self.reply.done():
            return
        if isinstance(result, Exception):
            self.reply.set_exception(result)
        else:
            self.reply.set_result(result)


class Enrolment:
    """Assigns variants to users at their first request that may write.

    An experiment starts when the store first sees its name. Users whom the store knew before the start do not take
    part. Who was given a variant keeps it, whatever becomes of the weights. While the store does not answer, nobody
    takes part.

    Parameters
    ----------
    experiment
        Its variants.
    store
        Keeps its start and who has which variant.
    metrics
        Where failures are counted.
    """

    def __init__(self, experiment: Experiment, store: Store, metrics: Metrics) -> None:
        self.experiment, self._store, self._metrics = experiment, store, metrics
        self._variants = {variant.name: variant for variant in experiment.variants}
        self._started_us: int | None = None

    async def start(self) -> int:
        """Return when the experiment started, microseconds since 1970.

        Raises
        ------
        StoreError
            The store does not answer.
        """
        if self._started_us is None:
            with self._metrics.store_call("start_experiment"):
                self._started_us = await self._store.start_experiment(self.experiment.name)
        return self._started_us

    async def enrol(self, works: Iterable[_Work]) -> None:
        """Set the variant of each user who takes part, and keep new ones where the request may write."""
        name = self.experiment.name
        new: list[tuple[_Work, Assignment]] = []
        with suppress(StoreError):  # it is counted
            started_us = await self.start()
            for work in works:
                if work.ask.strategy is not None:  # who asks for one by its name is not answered by a variant
                    continue
                user_id, user = work.ask.user_id or "", work.user
                before = [given.variant for given in user.assignments if given.experiment == name]
                if before:
                    work.variant = self._variants.get(before[0])
                elif user.first_us is None or user.first_us >= started_us:
                    variant = self.experiment.assign(user_id)
                    if variant is not None and work.ask.enrol:
                        new.append((work, Assignment(name, variant.name)))
                    else:
                        work.variant = variant
            if new:
                with self._metrics.store_call("assign"):
                    given = await self._store.assign([(work.ask.user_id or "", wanted) for work, wanted in new])
                for (work, _), assignment in zip(new, given, strict=True):
                    work.variant = self._variants.get(assignment.variant)


class Lists:
    """Collects requests that arrive in one turn of the event loop, and makes their lists in one pass.

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
        self._waiting: list[_Work] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def make(self, ask: Ask) -> Reply:
        """Return the list for a request.

        Raises
        ------
        ConfigError
            The model cannot answer by this strategy.
        """
        loop = asyncio.get_running_loop()
        work = _Work(ask, loop.create_future())
        if not self._waiting:
            loop.call_soon(self._begin)
        self._waiting.append(work)
        reply = await work.reply
        return await self._record(ask.user_id or "", reply) if ask.record else reply

    def _begin(self) -> None:
        """Take what waits, in parts."""
        waiting, self._waiting = self._waiting, []
        for at in range(0, len(waiting), BATCH_SIZE):
            task = asyncio.create_task(self._answer(waiting[at : at + BATCH_SIZE]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def read_signals(self, user_id: str) -> tuple[Signals, Source]:
        """Return what the store knows of a user; nothing, and that it is unavailable, where it does not answer."""
        (user,), source = await self._read_users([user_id])
        return user.to_signals(user_id), source

    async def _read_users(self, user_ids: Sequence[str]) -> tuple[list[StoredUser], Source]:
        try:
            with self._metrics.store_call("read"):
                return await self._store.read(user_ids), "store"
        except StoreError:
            return [StoredUser()] * len(user_ids), "store_unavailable"

    async def _answer(self, works: Sequence[_Work]) -> None:
        """Answer requests; each gets its reply or its error."""
        try:
            await self._read(works)
            self._recommend(works)
        except Exception as error:
            for work in works:
                work.settle(error)

    async def _read(self, works: Sequence[_Work]) -> None:
        """Read the users whom requests name, and find their variants."""
        stored = [work for work in works if work.ask.user_id is not None]
        if not stored:
            return
        users, source = await self._read_users([work.ask.user_id or "" for work in stored])
        for work, user in zip(stored, users, strict=True):
            work.user, work.source = user, source
        if self._enrolment is not None and source == "store":
            await self._enrolment.enrol(stored)

    def _recommend(self, works: Sequence[_Work]) -> None:
        """Answer requests in one pass for each strategy, by one model, whatever is swapped in meanwhile."""
        model = self._holder.current
        groups: defaultdict[tuple[int | None, str | None, bool], list[tuple[_Work, Signals]]] = defaultdict(list)
        for work in works:
            ask = work.ask
            strategy = work.variant.strategy if work.variant else ask.strategy
            try:
                signals = ask.signals or work.user.to_signals(ask.user_id)
                signals = understand_picks(model.trained.encoder, signals)
                groups[ask.k, strategy, ask.keep_used].append((work, signals))
            except Exception as error:  # it costs nobody else the list
                work.settle(error)
        for (k, strategy, keep_used), group in groups.items():
            self._metrics.batch_users.observe(len(group))
            users = [signals for _, signals in group]
            try:
                answers = model.recommender.answer_users(users, k, strategy, keep_used=keep_used)
            except Exception as error:
                for work, _ in group:
                    work.settle(error)
                continue
            for row, (work, signals) in enumerate(group):
                reply = Reply(model, signals, work.source, work.variant, answers, row)
                self._metrics.lists.labels(answers.strategy, reply.route).inc()
                if self._enrolment is not None and work.variant is not None:
                    names = (self._enrolment.experiment.name, work.variant.name, reply.route)
                    self._metrics.of_variants.labels(*names).inc()
                work.settle(reply)

    async def _record(self, user_id: str, reply: Reply) -> Reply:
        """Record a list; where the store fails, the reply says so."""
        items = tuple(str(reply.model.item_ids[item]) for item in reply.items)
        shown = ShownList(secrets.token_urlsafe(LIST_ID_BYTES), reply.route, items, reply.propensities)
        try:
            with self._metrics.store_call("record"):
                await self._store.record([(user_id, shown)])
        except StoreError as error:
            self._metrics.lists_recorded.labels("failed").inc()
            return replace(reply, not_recorded=f"{error} The list is not recorded.")
        self._metrics.lists_recorded.labels("recorded").inc()
        self._metrics.impressions.labels("lists").inc(len(items))
        return replace(reply, list_id=shown.list_id)
