"""Batching of list requests, and enrolment of users in experiments."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from firstday.errors import ConfigError
from firstday.features.signals import Signals
from firstday.recommend.recommendation import Recommendation
from firstday.recommend.recommender import find_item
from firstday.recommend.rules.list_rules import NO_RULES, Row, Rules
from firstday.recommend.variants import Experiment, Variant
from firstday.serve.http_errors import STORE_UNAVAILABLE, overloaded
from firstday.serve.models import ModelHolder, ServedModel
from firstday.serve.schemas import ListOptions, Source
from firstday.serve.store.base import Assignment, ShownList, Store, StoredUser, StoreError
from firstday.serve.stored_items import StoredItems

BATCH_SIZE = 32
"""Maximum requests per batch; bounds how long a request waits for the others."""


@dataclass(eq=False)
class ListRequest:
    """A request for a list or for the rows of a page, with the lists once it is answered."""

    user_id: str = ""  # whose stored signals to use; empty: the request contains the signals
    options: ListOptions = field(default_factory=ListOptions)
    rules: Rules = NO_RULES
    rows: Sequence[Row] = ()
    after: str = ""  # id of the recorded list that this list continues
    record: bool = False
    signals: Signals = field(default_factory=Signals)
    item: str | None = None  # item whose similar items are listed
    enrol: bool = False  # whether a new variant assignment of the user may be stored
    arrived_s: float = field(default_factory=time.monotonic)
    source: Source = "request"
    as_of: int = 0  # time of the newest stored entry that the list is based on, in microseconds since 1970
    variant: Variant | None = None
    model: ServedModel = field(init=False)
    recommendations: Sequence[Recommendation] = ()  # one list, or one per row
    error: Exception | None = None
    list_ids: Sequence[str] = ()  # of the recorded lists
    not_recorded: str | None = None  # why recording failed


class Enrolment:
    """Assigns experiment variants to users at their first request with write access.

    An experiment starts when the store first sees its name. Users already in the store at that time do not participate.
    An assignment is permanent, even if the weights change. While the store is unavailable, nobody participates.
    """

    def __init__(self, experiment: Experiment, store: Store) -> None:
        self.experiment, self._store = experiment, store
        self._started_us: int | None = None

    async def start(self) -> int:
        """Return when the experiment started, in microseconds since 1970."""
        if self._started_us is None:
            self._started_us = await self._store.start_experiment(self.experiment.name)
        return self._started_us

    async def enrol(self, request: ListRequest, user: StoredUser) -> None:
        """Set the variant of a participant; store a new assignment if `ListRequest.enrol` is set."""
        if request.options.strategy is not None or request.item is not None:  # has no variant
            return
        experiment = self.experiment
        with suppress(StoreError):  # already counted
            started_us = await self.start()
            name = next((one.variant for one in user.assignments if one.experiment == experiment.name), "")
            if not name and (user.first_us is None or user.first_us >= started_us):
                variant = experiment.assign(request.user_id)
                name = variant.name if variant else ""
                if name and request.enrol:
                    new = Assignment(experiment.name, name)
                    name = (await self._store.assign(request.user_id, new)).variant
            request.variant = next((variant for variant in experiment.variants if variant.name == name), None)


class ListBatcher:
    """Batches requests that arrive in the same turn of the event loop.

    There is no batching delay: a request that arrives alone is answered alone. Under load, requests that arrive during
    one batch form the next, so the cost per request falls with the load. A request that has waited `max_wait_s` is
    refused, so that a burst delays later requests no longer than that.
    """

    def __init__(
        self, holder: ModelHolder, store: Store, items: StoredItems, max_wait_s: float, enrolment: Enrolment | None
    ) -> None:
        self._holder, self._store, self._items, self._enrolment = holder, store, items, enrolment
        self._max_wait_s = max_wait_s
        self._waiting: list[ListRequest] = []
        self._batch: asyncio.Task[None]

    async def make(self, request: ListRequest) -> ListRequest:
        """Answer a request and return it; raise `ConfigError` if the model does not support the strategy."""
        if len(self._waiting) % BATCH_SIZE == 0:
            self._waiting = []
            self._batch = asyncio.create_task(self._answer(self._waiting))
        self._waiting.append(request)
        await asyncio.shield(self._batch)
        if request.error is not None:
            raise request.error
        if request.record:
            await self._record(request)
        return request

    async def read_signals(self, user_id: str) -> tuple[Signals, Source]:
        """Return a user's stored signals and their source; no signals if the store fails."""
        (user,), source = await self._read_users([user_id])
        return user.to_signals(user.person_id or user_id), source

    async def _read_users(self, user_ids: list[str]) -> tuple[list[StoredUser], Source]:
        try:
            return await self._store.read(user_ids), "store"
        except StoreError:
            return [StoredUser()] * len(user_ids), "store_unavailable"

    async def _answer(self, requests: list[ListRequest]) -> None:
        """Answer requests with equal options together; set the recommendations or the error of each request."""
        if requests is self._waiting:
            self._waiting = []
        stored = [request for request in requests if request.user_id]
        if stored:
            users, source = await self._read_users([request.user_id for request in stored])
            for request, user in zip(stored, users, strict=True):
                try:
                    request.source = source
                    self._read_signals(request, user)
                except Exception as error:  # fails this request only
                    request.error = error
            if self._enrolment is not None and source == "store":
                await asyncio.gather(*map(self._enrolment.enrol, stored, users))
        model = self._holder.current
        groups: defaultdict[tuple[Any, ...], list[ListRequest]] = defaultdict(list)
        for request in requests:
            if request.error is None:
                request.model = model
                options = request.options
                unshared = id(request) if request.rows else 0
                strategy = request.variant.strategy if request.variant else options.strategy
                key = (options.k, strategy, options.keep_used, request.item, request.rules.text, unshared)
                groups[key].append(request)
        for (k, strategy, keep_used, item_id, _, _), together in groups.items():
            if len(groups) > 1:
                await asyncio.sleep(0)  # rules may take long to compile; probes must not wait for all
            group = self._refuse_late(together)
            if not group:
                continue
            first = group[0]
            layers = [] if first.rules == NO_RULES and not first.rows else [self._items.rules, first.rules]
            try:
                if first.rows:
                    page = model.recommender.recommend_rows(
                        first.signals, first.rows, k, strategy, keep_used=keep_used, rules=layers
                    )
                    first.recommendations = list(page.values())
                else:
                    signals = [request.signals for request in group]
                    lists = [(k, layers)]
                    item = None if item_id is None else find_item(model.recommender.listed_items, item_id)
                    answers = next(
                        model.recommender.answer_lists(signals, lists, strategy, keep_used=keep_used, item=item)
                    )
                    for row, request in enumerate(group):
                        request.recommendations = [answers.row(row)]
            except Exception as error:
                for request in group:
                    request.error = error

    def _refuse_late(self, requests: list[ListRequest]) -> list[ListRequest]:
        """Set the error of requests that have waited too long; return the others."""
        earliest_s = time.monotonic() - self._max_wait_s
        for request in requests:
            if request.arrived_s < earliest_s:
                request.error = overloaded()
        return [request for request in requests if request.error is None]

    def _read_signals(self, request: ListRequest, user: StoredUser) -> None:
        """Set the signals of a stored user; a continued list uses the signals and items of its first page."""
        request.user_id = user.person_id or request.user_id
        served = self._holder.current
        request.as_of = max(user.newest_us, served.newest_us)
        if request.after:
            previous = next((one for one in user.lists if one.list_id == request.after), None)
            if previous is None or previous.as_of is None:
                raise ConfigError(
                    "the user has no recorded list with this id; give that of the previous page.", where="after"
                )
            request.as_of = previous.as_of
            user = user.as_of(previous.as_of)
            later = [item_id for item_id, us in served.put_us.items() if us > previous.as_of]
            request.rules = request.rules.override("after", previous.after + len(previous.items))
            request.rules = request.rules.override("deny", (*request.rules.deny, *later))
        request.signals = user.to_signals(request.user_id)

    async def _record(self, request: ListRequest) -> None:
        """Record the lists as shown; on failure set `not_recorded`."""
        shown = []
        for recommendation in request.recommendations:
            propensities = tuple(item.propensity for item in recommendation)
            shown.append(
                ShownList(
                    secrets.token_urlsafe(15),
                    recommendation.route,
                    tuple(str(item.item_id) for item in recommendation),
                    None if set(propensities) <= {1.0} else propensities,
                    after=request.rules.after,
                    as_of=request.as_of,
                )
            )
        try:
            await self._store.append([(request.user_id, one) for one in shown])
            request.list_ids = [one.list_id for one in shown]
        except StoreError:
            request.not_recorded = f"{STORE_UNAVAILABLE} The list is not recorded."
