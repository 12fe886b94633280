"""Batching of list requests, and enrolment of users in experiments."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from math import inf
from typing import Any, TypeVar

from pydantic_core import from_json

from firstday.errors import ConfigError
from firstday.features.signals import Signals
from firstday.recommend.recommendation import Recommendation
from firstday.recommend.recommender import find_item
from firstday.recommend.rules.list_rules import NO_RULES, Row, Rules
from firstday.recommend.variants import Experiment, Variant
from firstday.serve.http_errors import STORE_UNAVAILABLE, ApiError, overloaded
from firstday.serve.models import ModelHolder, ServedModel
from firstday.serve.schemas import ListOptions, Source
from firstday.serve.store.log import ALWAYS, StoreError
from firstday.serve.store.records import Assignment, ShownList, StoredUser
from firstday.serve.store.store import Store
from firstday.serve.stored_items import StoredItems

BATCH_SIZE = 32
"""Maximum requests per batch; bounds how long a request waits for the others."""
MAX_RULES_TEXT = 4_000
"""Maximum characters of rules that are kept with a recorded list, as text."""
MAX_ON_LOOP_S = 0.05
"""If the last batch of a strategy took longer, the next one leaves the event loop: some score all items."""

T = TypeVar("T")


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
    has_token: bool = False  # whether a page sends the request
    enrol: bool = False  # whether a new variant assignment of the user may be stored
    arrived_s: float = field(default_factory=time.monotonic)
    source: Source = "request"
    as_of: int = 0  # time of the newest stored entry that the list is based on, in microseconds since 1970
    visit_us: int = 0  # see `ShownList`
    own_rules: Rules = NO_RULES  # as the caller gave them
    variant: Variant | None = None
    model: ServedModel = field(init=False)
    key: tuple[Any, ...] = ()  # see `_key_of`
    recommendations: Sequence[Recommendation] = ()  # one list, or one per row
    error: Exception | None = None
    list_ids: Sequence[str] = ()  # of the recorded lists
    not_recorded: str | None = None  # why recording failed
    done: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def n_comparisons(self) -> int:
        """Approximate number of comparisons of all items that the rules need, see `Rules.n_comparisons`."""
        return max(1, len(self.rows)) * self.rules.n_comparisons + sum(row.n_comparisons for row in self.rows)

    @property
    def strategy(self) -> str | None:
        """Strategy of the variant or of the request."""
        return self.variant.strategy if self.variant else self.options.strategy

    def finish(self, recommendations: Sequence[Recommendation] = (), error: Exception | None = None) -> None:
        """Set the outcome."""
        self.recommendations, self.error = recommendations, error
        self.done.set()


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
    """Answers requests in batches.

    There is no batching delay: a request that arrives alone is answered alone. Under load, requests that arrive during
    one batch form the next, so the cost per request falls with the load. A batch begins once all requests that have
    arrived are part of it: most of its cost does not depend on their number, so smaller batches delay everybody. A
    request that has waited `max_wait_s` is refused, so that a burst delays later requests no longer than that. Rows,
    rules that are not compiled, and strategies that took long, are left to a thread.
    """

    def __init__(
        self, holder: ModelHolder, store: Store, items: StoredItems, max_wait_s: float, enrolment: Enrolment | None
    ) -> None:
        self._holder, self._store, self._items, self._enrolment = holder, store, items, enrolment
        self._max_wait_s = max_wait_s
        self._pool = ThreadPoolExecutor(1, "lists")  # more would take turns with the event loop
        self._waiting: list[ListRequest] = []
        self._prepared: list[ListRequest] = []
        self._n_arrived = 0
        self._is_answering = False
        self._last_s: dict[str | None, float] = {}
        self._tasks = set[asyncio.Task[None]]()

    async def make(self, request: ListRequest) -> ListRequest:
        """Answer a request and return it; raise `ConfigError` if the model does not support the strategy."""
        if len(self._waiting) % BATCH_SIZE == 0:
            self._waiting = []
            self._start(self._prepare(self._waiting))
        self._waiting.append(request)
        self._n_arrived += 1
        await request.done.wait()
        if request.error is not None:
            raise request.error
        if request.record:
            await self._record(request)
        return request

    async def run(self, work: Callable[[], T], arrived_s: float) -> T:
        """Return the result of work in the thread, or refuse a request that it would make late."""
        future = asyncio.get_running_loop().run_in_executor(self._pool, work)
        try:
            return await asyncio.wait_for(future, arrived_s + self._max_wait_s - time.monotonic())
        except TimeoutError:
            raise overloaded() from None

    async def read_signals(self, user_id: str) -> tuple[Signals, Source]:
        """Return a user's stored signals and their source; no signals if the store fails."""
        (user,), source = await self._read_users([user_id])
        return self._to_signals(user, user.person_id or user_id, self._find_visit(user)), source

    def _find_visit(self, user: StoredUser) -> int:
        """Return the time from which on impressions of a user do not count yet, in microseconds since 1970."""
        minutes = self._holder.current.trained.config.signals.visit_minutes
        return user.find_visit(self._store.log.now_us, minutes)

    def _to_signals(self, user: StoredUser, user_id: str, visit_us: int) -> Signals:
        return user.to_signals(user_id, visit_us, self._holder.current.trained.config.signals.visit_minutes)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)  # the event loop has only weak references
        task.add_done_callback(self._tasks.discard)

    async def _read_users(self, user_ids: list[str]) -> tuple[list[StoredUser], Source]:
        try:
            return await self._store.read(user_ids), "store"
        except StoreError:
            return [StoredUser()] * len(user_ids), "store_unavailable"

    async def _prepare(self, requests: list[ListRequest]) -> None:
        """Read what is stored about users, and pass the requests on to `_answer`."""
        if requests is self._waiting:
            self._waiting = []
        try:
            await self._read(requests)
            for request in requests:
                request.model = self._holder.current
                request.key = _key_of(request)
                self._check_rules(request)
        except Exception as error:
            for request in requests:
                request.finish(error=error)
        self._prepared += requests
        if not self._is_answering:
            self._is_answering = True
            self._start(self._answer())

    def _check_rules(self, request: ListRequest) -> None:
        """Refuse a request whose rules read a value that this user cannot have."""
        try:
            request.model.recommender.check_user_values([request.signals], [request.rules, *request.rows])
        except ConfigError as error:
            request.finish(error=error)

    async def _answer(self) -> None:
        """Answer prepared requests, those with equal options together."""
        while self._prepared:
            n_arrived = -1
            while n_arrived != self._n_arrived and len(self._prepared) < BATCH_SIZE:
                n_arrived = self._n_arrived
                await asyncio.sleep(0)
            groups: defaultdict[tuple[Any, ...], list[ListRequest]] = defaultdict(list)
            for request in self._prepared[:BATCH_SIZE]:
                groups[request.key].append(request)
            self._prepared = self._prepared[BATCH_SIZE:]
            for group in groups.values():
                self._start(self._answer_group(group))
                await asyncio.sleep(0)  # probes must not wait for all
        self._is_answering = False

    async def _answer_group(self, together: list[ListRequest]) -> None:
        """Answer requests with equal options."""
        group = self._refuse_late(together)
        if not group:
            return
        first = group[0]
        try:
            layers = [] if first.rules == NO_RULES and not first.rows else [self._items.rules, first.rules]
            signals = [request.signals for request in group]
            is_ready = not first.rows and first.model.recommender.has_compiled(signals, layers)
            make = partial(self._make_lists, group, layers, is_ready=is_ready)
            is_quick = is_ready and self._last_s.get(first.strategy, inf) < MAX_ON_LOOP_S
            lists = make() if is_quick else await self.run(make, first.arrived_s)
        except Exception as error:
            for request in group:
                request.finish(error=error)
        else:
            for request, of_request in zip(group, lists, strict=True):
                request.finish(of_request)

    async def _read(self, requests: list[ListRequest]) -> None:
        """Set the signals and variants of stored users."""
        stored = [request for request in requests if request.user_id]
        if not stored:
            return
        users, source = await self._read_users([request.user_id for request in stored])
        for request, user in zip(stored, users, strict=True):
            try:
                request.source = source
                self._read_signals(request, user)
            except Exception as error:  # fails this request only
                request.finish(error=error)
        if self._enrolment is not None and source == "store":
            await asyncio.gather(*map(self._enrolment.enrol, stored, users))

    def _make_lists(
        self, group: Sequence[ListRequest], layers: Sequence[Rules], *, is_ready: bool
    ) -> list[Sequence[Recommendation]]:
        """Return the lists of requests with equal options, or the rows of a single one."""
        first = group[0]
        recommender, options, strategy = first.model.recommender, first.options, first.strategy
        if first.rows:
            page = recommender.recommend_rows(
                first.signals, first.rows, options.k, strategy, keep_used=options.keep_used, rules=layers
            )
            return [list(page.values())]
        item = None if first.item is None else find_item(recommender.catalogue, first.item)
        signals = [request.signals for request in group]
        lists = [(options.k, layers)]
        began_s = time.perf_counter()
        answers = next(recommender.answer_lists(signals, lists, strategy, keep_used=options.keep_used, item=item))
        if is_ready:  # nothing had to be compiled
            self._last_s[strategy] = time.perf_counter() - began_s
        return [[answers.row(row)] for row in range(len(group))]

    def _refuse_late(self, requests: list[ListRequest]) -> list[ListRequest]:
        """Refuse requests that have waited too long; return the others."""
        earliest_s = time.monotonic() - self._max_wait_s
        for request in requests:
            if request.arrived_s < earliest_s:
                request.finish(error=overloaded())
        return [request for request in requests if not request.done.is_set()]

    def _read_signals(self, request: ListRequest, user: StoredUser) -> None:
        """Set the signals of a stored user; a continued list uses the signals and items of its first page."""
        person_id = user.person_id or request.user_id
        if request.has_token and person_id != request.user_id:
            raise ApiError(403, "merged", "This guest has logged in; ask for a token of the user.")
        request.user_id = person_id
        served = self._holder.current
        request.as_of = max(user.newest_us, served.newest_us)
        request.visit_us = self._find_visit(user)
        request.own_rules = request.rules
        if request.after:
            previous = next((one for one in user.lists if one.list_id == request.after), None)
            if previous is None or previous.as_of is None:
                raise ConfigError(
                    "the user has no recorded list with this id; give that of the previous page.", where="after"
                )
            request.rules = _read_rules(request.rules, previous.rules)
            request.own_rules = request.rules
            request.as_of = previous.as_of
            request.visit_us = ALWAYS if previous.visit_us is None else previous.visit_us
            user = user.as_of(previous.as_of)
            later = [item_id for item_id, us in served.put_us.items() if us > previous.as_of]
            request.rules = request.rules.override("after", previous.after + len(previous.items))
            request.rules = request.rules.override("deny", (*request.rules.deny, *later))
        request.signals = self._to_signals(user, request.user_id, request.visit_us)

    async def _record(self, request: ListRequest) -> None:
        """Record the lists as shown; on failure set `not_recorded`."""
        shown = []
        is_under_both = bool(request.rows) and request.own_rules != NO_RULES
        layers: Sequence[Rules] = request.rows or [request.own_rules]
        for rules, recommendation in zip(layers, request.recommendations, strict=True):
            propensities = tuple(item.propensity for item in recommendation)
            shown.append(
                ShownList(
                    secrets.token_urlsafe(15),
                    recommendation.route,
                    tuple(str(item.item_id) for item in recommendation),
                    None if set(propensities) <= {1.0} else propensities,
                    after=request.rules.after,
                    as_of=request.as_of,
                    visit_us=request.visit_us,
                    rules=None if is_under_both else write_rules(rules),
                )
            )
        try:
            await self._store.append([(request.user_id, one) for one in shown])
            request.list_ids = [one.list_id for one in shown]
        except StoreError:
            request.not_recorded = f"{STORE_UNAVAILABLE} The list is not recorded."


def write_rules(rules: Rules) -> str:
    """Return the rules of a list as JSON, or a digest of it beyond `MAX_RULES_TEXT` characters."""
    text = json.dumps(
        rules.model_dump(mode="json", exclude_defaults=True, exclude={"after", "name", "k"}), sort_keys=True
    )
    return text if len(text) <= MAX_RULES_TEXT else hashlib.sha256(text.encode()).hexdigest()


def _read_rules(given: Rules, text: str | None) -> Rules:
    """Return the rules of the next page, given those that the caller sent again, if any, and the text of the first."""
    given_text = write_rules(given)
    if given_text == "{}":
        if text is None or not text.startswith("{"):
            raise ConfigError("the rules of this list are not kept as text; send them again.", where="after")
        return Rules.of(from_json(text))
    if text not in (None, given_text):
        raise ConfigError("the list was recorded under other rules; send the same rules, or none.", where="after")
    return given


def _key_of(request: ListRequest) -> tuple[Any, ...]:
    """Return what requests must have in common to be answered together."""
    options = request.options
    unshared = id(request) if request.rows else 0
    return request.model, options.k, request.strategy, options.keep_used, request.item, request.rules.text, unshared
