"""The store's contract: one log of users' raw signals and of what they were shown, never vectors.

A new model needs no migration. An entry of the log is (owner, kind, id, time, body): the owner is a user or the
service, the body is a record as JSON, and each time is later than all before it. `Store` turns records into entries
and back; a `Log`, in SQLite or in Redis, keeps entries.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Protocol

import pydantic_core
from pydantic import ConfigDict, Field, PlainSerializer, TypeAdapter

from firstday.config import SHOWN
from firstday.data.events import ITEM
from firstday.errors import FirstdayError
from firstday.features.impressions import Impression
from firstday.features.signals import PICK_SIGNAL, Signals

DAY_US = 86_400_000_000
RETENTION_DAYS = 90.0
"""How long a service keeps things unless its settings say otherwise."""
SERVICE = ""
"""Owner of the entries that belong to no user."""


class StoreError(FirstdayError):
    """The store cannot be reached, read or written now; nothing of the call was acknowledged."""


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_time(us: int) -> datetime:
    """Return microseconds since 1970 as a time in UTC."""
    return _EPOCH + timedelta(microseconds=us)


def to_us(time: datetime) -> int:
    """Return a time as microseconds since 1970."""
    return (time - _EPOCH) // timedelta(microseconds=1)


Time = Annotated[int, PlainSerializer(to_time), Field(validation_alias="us")]
"""When the log took a record, microseconds since 1970: the entry's time, not a part of its body."""


def _answered_as(description: str) -> ConfigDict:
    """Configure a record that answers hold with all its fields."""
    return ConfigDict(json_schema_serialization_defaults_required=True, json_schema_extra={"description": description})


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a user did, or, with the signal ``shown``, saw.

    Parameters
    ----------
    event_id
        The caller's id, unique for one user.
    signal, entity, entity_id
        What was done to what, in the caller's ids.
    timestamp_ms
        When it happened, as the caller says: milliseconds since 1970, or None.
    received_us
        When the store took it, microseconds since 1970; orders a user's events.
    list_id
        The list that it came from, or None.
    position, propensity, policy
        See `Impression`; None where the caller did not say.
    """

    __pydantic_config__ = _answered_as("An event as it is kept.")

    event_id: str
    signal: str
    entity: str
    entity_id: str
    timestamp_ms: Annotated[
        Annotated[int, PlainSerializer(lambda ms: to_time(1000 * ms), return_type=datetime)] | None,
        Field(serialization_alias="timestamp", description="When it happened, as the caller said."),
    ] = None
    received_us: Annotated[Time, Field(serialization_alias="received_at")] = 0
    list_id: str | None = None
    position: int | None = None
    propensity: float | None = None
    policy: str | None = None

    @property
    def is_impression(self) -> bool:
        """Whether an item was shown; that never counts as use."""
        return self.signal == SHOWN and self.entity == ITEM

    def to_impression(self) -> Impression:
        """Return what it means where it is an impression."""
        return Impression(self.entity_id, self.position, self.list_id, self.propensity, self.policy)

    @property
    def time_us(self) -> int:
        """When it happened, or else when the store took it, microseconds since 1970."""
        return self.received_us if self.timestamp_ms is None else 1000 * self.timestamp_ms


@dataclass(frozen=True, slots=True)
class ShownList:
    """A list that the service gave a user, and recorded.

    Parameters
    ----------
    list_id
        Drawn at random for this list.
    policy
        What made it.
    items
        The caller's ids as text, best first: the first has position 1.
    propensities
        How likely the policy was to show each item there; None: each was certain.
    received_us
        When the store took it, microseconds since 1970.
    is_told
        Whether the caller has said what was seen of it. Then it says how that was chosen, and no longer what was seen,
        even if what the caller said is forgotten.
    """

    list_id: str
    policy: str
    items: tuple[str, ...]
    propensities: tuple[float, ...] | None = None
    received_us: Time = 0
    is_told: bool = False

    @property
    def impressions(self) -> list[Impression]:
        """An impression for each item."""
        return [
            Impression(item, position, self.list_id, self._propensity_at(position), self.policy)
            for position, item in enumerate(self.items, 1)
        ]

    def complete(self, event: Event) -> Event:
        """Return an impression on one of the items with propensity and policy, where the caller gave none."""
        is_open = event.propensity is None and event.policy in (None, self.policy) and event.entity_id in self.items
        if not is_open:
            return event
        position = self.items.index(event.entity_id) + 1
        return replace(event, propensity=self._propensity_at(position), policy=self.policy)

    def _propensity_at(self, position: int) -> float:
        return self.propensities[position - 1] if self.propensities else 1.0


@dataclass(frozen=True, slots=True)
class Assignment:
    """The variant of an experiment that a user has for good.

    Parameters
    ----------
    experiment, variant
        Their names.
    assigned_us
        When the user first asked for a list, microseconds since 1970.
    """

    __pydantic_config__ = _answered_as("A variant that a user has for good.")

    experiment: str
    variant: str
    assigned_us: Annotated[Time, Field(serialization_alias="assigned_at")] = 0


@dataclass(frozen=True)
class Profile:
    """What a user said while registering.

    Parameters
    ----------
    age
        Years, or None.
    columns
        Categorical columns, such as country.
    picks
        Pairs (entity, id) chosen in the questionnaire.
    friends
        Ids of other users.
    put_us
        When it was put, microseconds since 1970.
    interactions
        Triples (signal, entity, id), put with it.
    shown
        What was shown, put with it.
    """

    age: int | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    picks: tuple[tuple[str, str], ...] = ()
    friends: tuple[str, ...] = ()
    put_us: Time = 0
    interactions: tuple[tuple[str, str, str], ...] = ()
    shown: tuple[Impression, ...] = ()

    @property
    def actions(self) -> list[tuple[str, str, str]]:
        """Picks and interactions, as (signal, entity, id)."""
        return [*((PICK_SIGNAL, *pick) for pick in self.picks), *self.interactions]


Record = Profile | Event | ShownList | Assignment


@dataclass(frozen=True)
class StoredUser:
    """Everything known of a user.

    Parameters
    ----------
    profile
        None where none was put.
    events
        In the order of receipt.
    lists
        What was shown and recorded, in the order of receipt.
    assignments
        By experiment, the first one first.
    first_us
        When the store first heard of the user, microseconds since 1970; None where it has not.
    """

    profile: Profile | None = None
    events: tuple[Event, ...] = ()
    lists: tuple[ShownList, ...] = ()
    assignments: tuple[Assignment, ...] = ()
    first_us: int | None = None

    @property
    def is_known(self) -> bool:
        """Whether anything is."""
        return self.profile is not None or bool(self.events or self.lists or self.assignments)

    def find_recorded(self) -> list[ShownList]:
        """Return the recorded lists of which the caller did not say what was seen."""
        return [shown for shown in self.lists if not shown.is_told]

    def find_seen(self) -> list[Event]:
        """Return the events that say what was seen.

        Propensity and policy of the recorded list stand where the caller gave none. Without a position it was seen for
        certain.
        """
        events = [event for event in self.events if event.is_impression]
        lists = {shown.list_id: shown for shown in self.lists}
        return [lists[event.list_id].complete(event) if event.list_id in lists else event for event in events]

    def find_impressions(self) -> list[Impression]:
        """Return what was shown, in the order of receipt.

        A caller who sends `shown` knows better what was seen: where such events name a list, they count, and the list
        as it was recorded does not.
        """
        dated = [(shown.received_us, one) for shown in self.find_recorded() for one in shown.impressions]
        dated += [(event.received_us, event.to_impression()) for event in self.find_seen()]
        return [impression for _, impression in sorted(dated, key=lambda entry: entry[0])]

    def to_signals(self, user_id: str | None = None) -> Signals:
        """Return what is known in the form that every strategy takes; an impression is no interaction."""
        profile = self.profile or Profile()
        actions = [(event.signal, event.entity, event.entity_id) for event in self.events if not event.is_impression]
        return Signals(
            age=profile.age,
            interactions=[*profile.actions, *actions],
            friends=profile.friends,
            shown=[*profile.shown, *self.find_impressions()],
            user_id=user_id,
            **profile.columns,
        )


@dataclass(frozen=True)
class Rules:
    """What is kept.

    Parameters
    ----------
    max_events_per_user
        The newest so many by receipt, impressions not counted.
    retention_us
        How long, microseconds; 0: for good.
    max_lists_per_user
        The newest so many recorded lists by receipt.
    max_shown_per_user
        The newest so many events of the signal ``shown`` by receipt.
    """

    max_events_per_user: int
    retention_us: int
    max_lists_per_user: int = 20
    max_shown_per_user: int = 500

    def oldest_us(self, now_us: int) -> int:
        """Return the time before which everything has expired."""
        return now_us - self.retention_us if self.retention_us else 0

    @property
    def caps(self) -> dict[str, int]:
        """How many entries of a kind are kept of one owner: the newest."""
        return {"use": self.max_events_per_user, "shown": self.max_shown_per_user, "list": self.max_lists_per_user}


class Clock:
    """Microseconds since 1970."""

    def __init__(self) -> None:
        self.last_us = 0

    def now_us(self) -> int:
        """Return the time."""
        return time.time_ns() // 1000

    def next_us(self) -> int:
        """Return the time, later than the one returned before, so that entries have an order."""
        self.last_us = max(self.last_us + 1, self.now_us())
        return self.last_us


class Entry(NamedTuple):
    """An entry to append.

    Kinds are ``use`` and ``shown`` (events), ``list``, ``profile`` and ``assignment``; an assignment of the service is
    the start of an experiment. A log itself keeps an entry ``user`` of each user: its time is about that of the last
    write, its body is the time of the first. Assignments live as long as the user.

    Parameters
    ----------
    owner, kind, id, body
        The id is unique for its owner; the time is given by the log.
    known_since_us
        An older entry of this id is replaced; any other stays as it is, whatever the new one says.
    tells
        Id of the owner's list whose impressions it reports: the list's ``is_told`` becomes true.
    """

    owner: str
    kind: str
    id: str
    body: str
    known_since_us: int
    tells: str | None = None


EXPIRING = ("use", "shown", "list", "profile")
"""Kinds of entries that expire each by its own time."""
FIELDS = {
    "use": "events",
    "shown": "events",
    "list": "lists",
    "profile": "profile",
    "assignment": "assignments",
    "user": "first_us",
}
"""Where each kind of entry goes in `StoredUser`."""


StoredEntry = tuple[str, int, str]
"""An entry that was read: kind, time, body."""


class Log(Protocol):
    """A log, which can be scanned while others write to it.

    A call that returns is durable; one that raises `StoreError` changed nothing.
    """

    rules: Rules
    clock: Clock

    async def read(self, owners: Sequence[str]) -> list[list[StoredEntry]]:
        """Return the entries of each owner, ordered by time; some may have expired."""
        ...

    async def append(self, entries: Sequence[Entry], oldest_us: int) -> list[bool]:
        """Append all entries or none, apply the caps, and return which are new; before `oldest_us` all has expired."""
        ...

    async def delete(self, owner: str) -> None:
        """Remove all entries of an owner."""
        ...

    async def purge(self, oldest_us: int) -> int:
        """Remove older entries; return their number."""
        ...

    async def back_up(self, target: Path) -> None:
        """Copy the log to a file, in one step, without blocking reads and writes."""
        ...

    async def find_facts(self) -> tuple[int, int]:
        """Return the time up to which all entries can be read now (0: there are none), and the retention, in us."""
        ...

    def find_owners(self, since_us: int) -> AsyncIterator[list[str]]:
        """Yield the users with entries since a time, perhaps others too, in parts, each user once."""
        ...

    async def close(self) -> None:
        """Finish pending calls and close."""
        ...


class Store:
    """Keeps users' signals. Every method raises `StoreError` where the store fails, and then has acknowledged nothing.

    A call that returned is durable: it outlives a killed process. An event whose id the user has already is left as
    it is. The first new event `shown` that names a recorded list marks it as told. What has expired is never returned.
    When the store first heard of a user, and the user's assignments, are kept for as long as anything else of the user
    is, or would be if it had been written last.

    Parameters
    ----------
    name
        What it keeps its log in.
    log
        Keeps the entries.

    Attributes
    ----------
    watch
        Makes the context in which each call to the log is done, from the call's name.
    """

    watch: Callable[[str], AbstractContextManager[Any]] = nullcontext

    def __init__(self, name: str, log: Log) -> None:
        self.name, self.log = name, log
        self.back_up, self.close = log.back_up, log.close

    def _oldest_us(self) -> int:
        return self.log.rules.oldest_us(self.log.clock.now_us())

    async def _append(self, records: Iterable[tuple[str, Record]]) -> list[bool]:
        """Append records of owners, all or none; return which are new."""
        oldest_us = self._oldest_us()
        entries = [_to_entry(owner, record, oldest_us) for owner, record in records]
        with self.watch("append"):
            return await self.log.append(entries, oldest_us)

    async def _read(self, owners: Sequence[str]) -> list[list[StoredEntry]]:
        with self.watch("read"):
            return await self.log.read(owners)

    async def read(self, user_ids: Sequence[str]) -> list[StoredUser]:
        """Return what is known of each user."""
        oldest_us = self._oldest_us()
        return [assemble(entries, oldest_us) for entries in await self._read(user_ids)]

    async def put(self, user_id: str, profile: Profile) -> None:
        """Replace a user's profile, picks and friends."""
        await self._append([(user_id, profile)])

    async def add(self, events: Sequence[tuple[str, Event]]) -> int:
        """Add events of users, all or none; return how many were new."""
        return sum(await self._append(events))

    async def record(self, lists: Sequence[tuple[str, ShownList]]) -> None:
        """Add lists that are shown to users, all or none."""
        await self._append(lists)

    async def start_experiment(self, experiment: str) -> int:
        """Return when the store first saw an experiment's name, microseconds since 1970: now, if it never has."""
        start = Assignment(experiment, "")
        await self._append([(SERVICE, start)])
        (entries,) = await self._read([SERVICE])
        return next(us for _, us, body in entries if body == _dump(start))

    async def assign(self, users: Sequence[tuple[str, Assignment]]) -> list[Assignment]:
        """Give users variants, all or none; return what each has now: the first that was given for an experiment."""
        await self._append(users)
        found = await self.read([user_id for user_id, _ in users])
        return [
            next((given for given in user.assignments if given.experiment == new.experiment), new)
            for (_, new), user in zip(users, found, strict=True)
        ]

    async def delete(self, user_id: str) -> None:
        """Forget a user."""
        with self.watch("delete"):
            await self.log.delete(user_id)

    async def purge(self) -> int:
        """Remove expired entries; return their number."""
        with self.watch("purge"):
            return await self.log.purge(self._oldest_us())

    async def ping(self) -> None:
        """Find out whether the store can be reached."""
        await self._read([SERVICE])


def _to_entry(owner: str, record: Record, oldest_us: int) -> Entry:
    """Return a record as an entry: a profile replaces the one before, what was assigned stays."""
    body = _dump(record)
    match record:
        case Profile():
            return Entry(owner, "profile", "profile", body, 2**53)
        case Assignment():
            return Entry(owner, "assignment", f"assignment {record.experiment}", body, 0)
        case ShownList():
            return Entry(owner, "list", _list_key(record.list_id), body, oldest_us)
        case Event() if record.is_impression:
            tells = record.list_id and _list_key(record.list_id)
            return Entry(owner, "shown", f"event {record.event_id}", body, oldest_us, tells)
        case Event():
            return Entry(owner, "use", f"event {record.event_id}", body, oldest_us)


def _list_key(list_id: str) -> str:
    return f"list {list_id}"


def _dump(record: Record) -> str:
    """Write a record as JSON, without its time and without what is None."""
    values = asdict(record).items()
    body = {name: value for name, value in values if value is not None and not name.endswith("_us")}
    return pydantic_core.to_json(body).decode()


_READER = TypeAdapter(StoredUser)


def assemble(entries: Iterable[StoredEntry], oldest_us: int) -> StoredUser:
    """Build a user from entries, without those that have expired."""
    texts: defaultdict[str, list[str]] = defaultdict(list)
    is_alive = False
    for kind, us, body in entries:
        is_alive |= us >= oldest_us
        if us >= oldest_us or kind not in EXPIRING:
            texts[FIELDS.get(kind, kind)].append(body if kind == "user" else f'{{"us":{us},{body[1:]}')
    if not is_alive or "first_us" not in texts:
        return StoredUser()
    values = []
    for name, parts in texts.items():
        text = ",".join(parts)
        values.append(f'"{name}":{text}' if name in ("profile", "first_us") else f'"{name}":[{text}]')
    return _READER.validate_json(f"{{{','.join(values)}}}")


async def scan(log: Log, since_us: int) -> AsyncIterator[list[tuple[str, StoredUser]]]:
    """Yield the users with entries since a time, perhaps others too, in parts, each user once.

    Expired entries are left out, by the retention of the service that wrote to the log last.
    """
    _, retention_us = await log.find_facts()
    oldest_us = Rules(1, retention_us).oldest_us(Clock().now_us())
    async for owners in log.find_owners(since_us):
        read = await log.read(owners)
        yield [(owner, assemble(entries, oldest_us)) for owner, entries in zip(owners, read, strict=True)]
