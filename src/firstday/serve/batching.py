"""Lists, many in one pass: for users in the store and for signals in requests, and which are part of an experiment."""

from __future__ import annotations

import asyncio
import secrets
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

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


@dataclass(eq=False)
class Ask:
    """One request for a list, on its way to its reply.

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
    user, source
        What the store knows of the user, and whether it was asked and answered.
    variant
        By which the request is answered, where the user takes part in an experiment.
    result
        The reply, or why there is none.
    """

    user_id: str | None = None
    signals: Signals | None = None
    k: int | None = None
    strategy: str | None = None
    keep_used: bool = False
    record: bool = False
    enrol: bool = False
    user: StoredUser = field(default_factory=StoredUser, init=False)
    source: Source = field(default="request", init=False)
    variant: Variant | None = field(default=None, init=False)
    result: Reply | Exception | None = field(default=None, init=False)


@dataclass(eq=False)
class Reply:
    """The list for one request.

    Parameters
    ----------
    model
        What answered.
    ask
        The request.
    signals
        What it was made from.
    strategy, route, segment, score_scale, n_ranked, ignored, notes
        See `firstday.recommend.recommendation.Recommendation`.
    items, scores
        Indexes, best first, and the score of each.
    propensities
        How likely each item was to be there; None: each was certain.
    list_id
        The recorded list's; None where it is not recorded.
    not_recorded
        Why it is not, where it should have been.
    """

    model: ServedModel
    ask: Ask
    signals: Signals
    strategy: str
    route: str
    segment: int | None
    score_scale: str
    n_ranked: int
    ignored: tuple[str, ...]
    notes: tuple[str, ...]
    items: list[int]
    scores: list[float]
    propensities: tuple[float, ...] | None
    list_id: str | None = None
    not_recorded: str | None = None


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
    """

    def __init__(self, experiment: Experiment, store: Store) -> None:
        self.experiment, self._store = experiment, store
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
            self._started_us = await self._store.start_experiment(self.experiment.name)
        return self._started_us

    async def enrol(self, asks: Iterable[Ask]) -> None:
        """Set the variant of each user who takes part, and keep new ones where the request may write."""
        name = self.experiment.name
        new: list[tuple[Ask, tuple[str, Assignment]]] = []
        with suppress(StoreError):  # it is counted
            started_us = await self.start()
            for ask in asks:
                if ask.user_id is None or ask.strategy is not None:  # who asks for one by its name has no variant
                    continue
                before = [given.variant for given in ask.user.assignments if given.experiment == name]
                if before:
                    ask.variant = self._variants.get(before[0])
                elif ask.user.first_us is None or ask.user.first_us >= started_us:
                    variant = self.experiment.assign(ask.user_id)
                    if variant is not None and ask.enrol:
                        new.append((ask, (ask.user_id, Assignment(name, variant.name))))
                    else:
                        ask.variant = variant
            if new:
                given = await self._store.assign([assignment for _, assignment in new])
                for (ask, _), assignment in zip(new, given, strict=True):
                    ask.variant = self._variants.get(assignment.variant)


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
        self._waiting: list[Ask] = []
        self._pass: asyncio.Task[None]

    async def make(self, ask: Ask) -> Reply:
        """Return the list for a request.

        Raises
        ------
        ConfigError
            The model cannot answer by this strategy.
        """
        if len(self._waiting) % BATCH_SIZE == 0:
            self._waiting = []
            self._pass = asyncio.create_task(self._answer(self._waiting))
        self._waiting.append(ask)
        await asyncio.shield(self._pass)
        assert ask.result is not None
        if isinstance(ask.result, Exception):
            raise ask.result
        if ask.record and ask.user_id is not None:
            await self._record(ask.user_id, ask.result)
        return ask.result

    async def read_signals(self, user_id: str) -> tuple[Signals, Source]:
        """Return what the store knows of a user; nothing, and that it is unavailable, where it does not answer."""
        (user,), source = await self._read_users([user_id])
        return user.to_signals(user_id), source

    async def _read_users(self, user_ids: Sequence[str]) -> tuple[list[StoredUser], Source]:
        try:
            return await self._store.read(user_ids), "store"
        except StoreError:
            return [StoredUser()] * len(user_ids), "store_unavailable"

    async def _answer(self, asks: list[Ask]) -> None:
        """Answer requests in one pass for each strategy, by one model; each gets its reply or its error."""
        if asks is self._waiting:
            self._waiting = []
        stored = {ask: ask.user_id for ask in asks if ask.user_id is not None}
        if stored:
            users, source = await self._read_users([*stored.values()])
            for ask, user in zip(stored, users, strict=True):
                ask.user, ask.source = user, source
            if self._enrolment is not None and source == "store":
                await self._enrolment.enrol(stored)
        model = self._holder.current
        groups: defaultdict[tuple[int | None, str | None, bool], list[tuple[Ask, Signals]]] = defaultdict(list)
        for ask in asks:
            strategy = ask.variant.strategy if ask.variant else ask.strategy
            try:
                signals = understand_picks(model.trained.encoder, ask.signals or ask.user.to_signals(ask.user_id))
                groups[ask.k, strategy, ask.keep_used].append((ask, signals))
            except Exception as error:  # it costs nobody else the list
                ask.result = error
        for (k, strategy, keep_used), group in groups.items():
            self._metrics.batch_users.observe(len(group))
            signals_of_group = [signals for _, signals in group]
            try:
                answers = model.recommender.answer_users(signals_of_group, k, strategy, keep_used=keep_used)
                for row, (ask, signals) in enumerate(group):
                    ask.result = self._make_reply(model, ask, signals, answers, row)
            except Exception as error:
                for ask, _ in group:
                    ask.result = error

    def _make_reply(self, model: ServedModel, ask: Ask, signals: Signals, answers: UserAnswers, row: int) -> Reply:
        """Take a request's list out of the answers, and count it."""
        answer, segment = answers.answer, int(answers.segments[row])
        assert answer.scales is not None
        items = [item for item in answer.items[row].tolist() if item >= 0]
        reply = Reply(
            model=model,
            ask=ask,
            signals=signals,
            strategy=answers.strategy,
            route=str(answer.routes[row]),
            segment=segment if segment >= 0 else None,
            score_scale=str(answer.scales[row]),
            n_ranked=int(answer.count_ranked()[row]),
            ignored=answers.ignored[row],
            notes=answers.notes[row],
            items=items,
            scores=answer.scores[row, : len(items)].tolist(),
            propensities=None if answer.propensities is None else shorten(answer.propensities[row, : len(items)]),
        )
        self._metrics.lists.labels(reply.strategy, reply.route).inc()
        if self._enrolment is not None and ask.variant is not None:
            names = (self._enrolment.experiment.name, ask.variant.name, reply.route)
            self._metrics.of_variants.labels(*names).inc()
        return reply

    async def _record(self, user_id: str, reply: Reply) -> None:
        """Record a list; where the store fails, the reply says so."""
        items = tuple(str(reply.model.item_ids[item]) for item in reply.items)
        shown = ShownList(secrets.token_urlsafe(LIST_ID_BYTES), reply.route, items, reply.propensities)
        try:
            await self._store.record([(user_id, shown)])
        except StoreError as error:
            self._metrics.lists_recorded.labels("failed").inc()
            reply.not_recorded = f"{error} The list is not recorded."
            return
        self._metrics.lists_recorded.labels("recorded").inc()
        self._metrics.impressions.labels("lists").inc(len(items))
        reply.list_id = shown.list_id


def shorten(chances: np.ndarray) -> tuple[float, ...] | None:
    """Return propensities, float32, as the shortest numbers that mean them; None where all are 1."""
    return None if (chances == 1).all() else tuple(float(str(chance)) for chance in chances)
