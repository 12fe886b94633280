"""Lists for users in the store and for signals in requests."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from firstday.features.encoder import understand_picks
from firstday.features.signals import Signals
from firstday.recommend.recommendation import UserAnswers
from firstday.recommend.variants import Variant
from firstday.serve.batching import Batcher
from firstday.serve.enrolment import Enrolment
from firstday.serve.models import ModelHolder, ServedModel
from firstday.serve.schemas import Source
from firstday.serve.store.base import ShownList, Store, StoredUser, StoreError
from firstday.serve.telemetry import Metrics

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


class Lists:
    """Makes lists, many in one pass.

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
        self._batcher = Batcher(self._answer)

    async def make(self, ask: Ask) -> Reply:
        """Return the list for a request.

        Raises
        ------
        ConfigError
            The model cannot answer by this strategy.
        """
        reply = await self._batcher.ask(ask)
        return await self._record(ask.user_id or "", reply) if ask.record else reply

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

    async def _answer(self, asks: Sequence[Ask]) -> list[Reply | Exception]:
        """Answer requests in one pass for each strategy, by one model, whatever is swapped in meanwhile."""
        places = {at: ask.user_id for at, ask in enumerate(asks) if ask.user_id is not None}
        source: Source = "request"
        users: dict[int, StoredUser] = {}
        variants: dict[int, Variant] = {}
        if places:
            read, source = await self._read_users([*places.values()])
            users = dict(zip(places, read, strict=True))
            if self._enrolment is not None and source == "store":
                # Who asks for a strategy by its name is not answered by a variant.
                open_places = [at for at in places if asks[at].strategy is None]
                found = await self._enrolment.find_variants(
                    [(places[at], users[at], asks[at].enrol) for at in open_places]
                )
                variants = {at: variant for at, variant in zip(open_places, found, strict=True) if variant is not None}
        model = self._holder.current
        results: dict[int, Reply | Exception] = {}
        groups: defaultdict[tuple[int | None, str | None, bool], dict[int, Signals]] = defaultdict(dict)
        for at, ask in enumerate(asks):
            strategy = variants[at].strategy if at in variants else ask.strategy
            try:
                signals = users[at].to_signals(ask.user_id) if at in users else ask.signals or Signals()
                groups[ask.k, strategy, ask.keep_used][at] = understand_picks(model.trained.encoder, signals)
            except Exception as error:  # it costs nobody else the list
                results[at] = error
        for (k, strategy, keep_used), group in groups.items():
            try:
                answers = model.recommender.answer_users([*group.values()], k, strategy, keep_used=keep_used)
            except Exception as error:
                results |= dict.fromkeys(group, error)
                continue
            self._metrics.batch_users.observe(len(group))
            for row, (at, signals) in enumerate(group.items()):
                reply = Reply(model, signals, source if at in users else "request", variants.get(at), answers, row)
                self._metrics.lists.labels(answers.strategy, reply.route).inc()
                if self._enrolment is not None and reply.variant is not None:
                    names = (self._enrolment.experiment.name, reply.variant.name, reply.route)
                    self._metrics.of_variants.labels(*names).inc()
                results[at] = reply
        return [results[at] for at in range(len(asks))]

    async def _record(self, user_id: str, reply: Reply) -> Reply:
        """Keep what a user is shown, and name the list; where the store fails, say that it was not recorded."""
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
