"""Batched recommendation for stored users and for signals in requests, and enrolment in experiments."""

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
"""Maximum requests per batch; bounds how long a request waits for the others."""
LIST_ID_BYTES = 15
"""Random bytes in the id of a recorded list: 20 characters of base64."""


@dataclass(eq=False)
class Ask:
    """A request for a list, and its result once answered.

    Parameters
    ----------
    user_id
        User whose stored signals to use; None if the request contains the signals.
    signals
        Signals in the request.
    k, strategy, keep_used
        See `Recommender.recommend`.
    record
        Whether to record the list as shown.
    enrol
        Whether a new variant assignment of the user may be stored.
    user, source
        The stored user, and where the signals come from: request, store, or a store that failed.
    variant
        Experiment variant that answers; None: the user does not participate.
    result
        The reply, or the exception to raise; None while pending.
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
        Model that made the list.
    ask
        The request.
    signals
        Signals that the list is based on.
    strategy, route, segment, score_scale, n_ranked, ignored, notes
        See `firstday.recommend.recommendation.Recommendation`.
    items, scores
        Item indexes, best first, and their scores.
    propensities
        Probability of each item at its position; None: all are 1.
    list_id
        Id of the recorded list; None if it is not recorded.
    not_recorded
        Why recording failed; None if it succeeded or was not requested.
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
    """Assigns experiment variants to users at their first request with write access.

    An experiment starts when the store first sees its name. Users already in the store at that time do not participate.
    An assignment is permanent, even if the weights change. While the store is unavailable, nobody participates.
    """

    def __init__(self, experiment: Experiment, store: Store) -> None:
        self.experiment, self._store = experiment, store
        self._variants = {variant.name: variant for variant in experiment.variants}
        self._started_us: int | None = None

    async def start(self) -> int:
        """Return when the experiment started, in microseconds since 1970."""
        if self._started_us is None:
            self._started_us = await self._store.start_experiment(self.experiment.name)
        return self._started_us

    async def enrol(self, asks: Iterable[Ask]) -> None:
        """Set the variant of each participant; store new assignments where `Ask.enrol` is set."""
        name = self.experiment.name
        new: list[tuple[Ask, tuple[str, Assignment]]] = []
        with suppress(StoreError):  # already counted
            started_us = await self.start()
            for ask in asks:
                if ask.user_id is None or ask.strategy is not None:  # an explicit strategy has no variant
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
    """Batches requests that arrive in the same turn of the event loop.

    There is no batching delay: a request that arrives alone is answered alone. Under load, requests that arrive during
    one batch form the next, so the cost per request falls with the load.
    """

    def __init__(self, holder: ModelHolder, store: Store, metrics: Metrics, enrolment: Enrolment | None = None) -> None:
        self._holder, self._store, self._metrics, self._enrolment = holder, store, metrics, enrolment
        self._waiting: list[Ask] = []
        self._pass: asyncio.Task[None]

    async def make(self, ask: Ask) -> Reply:
        """Return the list for a request; raise `ConfigError` if the model does not support the strategy."""
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
        """Return a user's stored signals and their source; no signals if the store fails."""
        (user,), source = await self._read_users([user_id])
        return user.to_signals(user_id), source

    async def _read_users(self, user_ids: Sequence[str]) -> tuple[list[StoredUser], Source]:
        try:
            return await self._store.read(user_ids), "store"
        except StoreError:
            return [StoredUser()] * len(user_ids), "store_unavailable"

    async def _answer(self, asks: list[Ask]) -> None:
        """Answer each group of equal k, strategy and keep_used in one pass; set each result or error."""
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
            except Exception as error:  # fails this request only
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
        """Build the reply for one row of the batch, and count it."""
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
        """Record a list as shown; on failure set `Reply.not_recorded`."""
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
    """Return float32 propensities as shortest exact decimals; None if all are 1."""
    return None if (chances == 1).all() else tuple(float(str(chance)) for chance in chances)
