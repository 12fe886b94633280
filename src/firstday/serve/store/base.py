"""The store interface: a log of users' raw signals and of the lists they were shown.

The store contains no vectors, so a new model needs no migration. A log entry is (owner, kind, id, time, body). The
owner is a user or the service, the body is a record in JSON, and times increase strictly. `Store` converts between
records and entries; a `Log`, in SQLite, Redis or Postgres, persists the entries.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import chain, groupby, repeat
from operator import itemgetter
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Protocol

import pydantic_core
from pydantic import (
    AwareDatetime,
    ConfigDict,
    Field,
    PlainSerializer,
    TypeAdapter,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from firstday.errors import FirstdayError
from firstday.features.signals import (
    Id,
    Impression,
    Interaction,
    ListId,
    ListPosition,
    Policy,
    Propensity,
    Signals,
)

DAY_US = 86_400_000_000
NOT_USERS = SERVICE, LISTS, ITEMS, ITEM_USE = "", "\x01item_lists", "\x01new_items", "\x01item_use"
"""Owners that are not users: of facts about the service, of item lists, of new items, and of counts of their use."""
USERS_AT_ONCE = 20
"""Number of users that a scan reads at once; requests wait that long."""
MAX_STORED_ITEMS = 10_000
"""Maximum number of new items to keep, including deleted ones; the most recently put ones are kept."""


class StoreError(FirstdayError):
    """The store is unavailable; the call has not been acknowledged."""


class MergeError(FirstdayError):
    """A guest cannot be merged; `code` says why."""


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_time(us: int) -> datetime:
    """Convert microseconds since 1970 to a UTC datetime."""
    return _EPOCH + timedelta(microseconds=us)


def to_us(time: datetime) -> int:
    """Convert a datetime to microseconds since 1970."""
    return (time - _EPOCH) // timedelta(microseconds=1)


ANSWERED = ConfigDict(json_schema_serialization_defaults_required=True)
"""Pydantic configuration of records that are part of responses: all fields are required."""
Time = Annotated[int, PlainSerializer(to_time), Field(validation_alias="us")]
"""Time of the log entry, in microseconds since 1970; not part of its body."""


def _read_time(value: Any, read: ValidatorFunctionWrapHandler) -> datetime:
    """Parse the time of an event in UTC; refuse numbers, times without offset and times of the future."""
    if isinstance(value, str) and re.match(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:", value):
        time: datetime = read(value)
        if 0 <= to_us(time) < now_us() + DAY_US:
            return time.astimezone(UTC)
    raise ValueError("give a date and time with an offset, from 1971 to now, such as 2026-01-31T12:00:00Z")


EventId = Annotated[Id, Field(description="Your event id, unique per user.")]
EventTime = Annotated[
    Annotated[
        AwareDatetime,
        WrapValidator(_read_time),
        Field(json_schema_extra={"pattern": r"^(197[1-9]|19[89][0-9]|20[0-9][0-9])-"}),
    ]
    | None,
    Field(description="Time of the event, from 1971 to tomorrow, with UTC offset. Stored, but does not affect lists."),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(Interaction):
    """A user action to store.

    If a list has events with the signal shown, these define which of its items were seen.
    """

    event_id: EventId
    timestamp: EventTime = None
    list_id: ListId = None
    position: ListPosition = None
    propensity: Propensity = None
    policy: Policy = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent(Event):
    """A stored user action."""

    __pydantic_config__ = ANSWERED

    received_us: Annotated[Time, Field(serialization_alias="received_at")]

    @property
    def time_us(self) -> int:
        """The caller's timestamp if there is one, else the time of receipt, in microseconds since 1970."""
        return to_us(self.timestamp) if self.timestamp else self.received_us


@dataclass(frozen=True, slots=True)
class ShownList:
    """A recorded list: items, best first; None as propensities if all are 1.

    Once the caller has reported impressions of the list as events, `is_told` is set. From then on, even after these
    events expire, the list itself provides propensities only, no impressions. `after` is the number of items on
    previous pages; `as_of` is the time of the newest entry that the ranking is based on.
    """

    list_id: str
    policy: str
    items: tuple[str, ...]
    propensities: tuple[float, ...] | None = None
    received_us: Time = 0
    is_told: bool = False
    after: int = 0
    as_of: int | None = None

    @property
    def impressions(self) -> list[Impression]:
        """One impression per item."""
        ranked = enumerate(zip(self.items, self.propensities or repeat(1.0), strict=False), self.after + 1)
        return [
            Impression(item, position, self.list_id, propensity, self.policy) for position, (item, propensity) in ranked
        ]


@dataclass(frozen=True, slots=True)
class Assignment:
    """The permanent experiment variant of a user."""

    __pydantic_config__ = ANSWERED

    experiment: str
    variant: str
    assigned_us: Annotated[Time, Field(serialization_alias="assigned_at")] = 0


@dataclass(frozen=True)
class Profile:
    """What a user provided at registration, in the form that `Signals.of` reads."""

    signals: Mapping[str, Any]
    put_us: Time = 0


@dataclass(frozen=True)
class NewItem:
    """An item added since training: its row of the table `items`, and when its id was first put."""

    values: Mapping[str, Any]
    first_us: int


@dataclass(frozen=True)
class ItemUse:
    """Numbers of impressions of each new item, of users who used it, ..., by column of `items`, up to a time."""

    until_us: int = 0
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Alias:
    """The person that a guest became.

    It is in the guest's log, and in the person's next to those of other guests and an alias of the person itself. It
    counts only if the logs agree: that the one is a person and names the guest, and that the other names the person.
    """

    guest_id: str
    person_id: str


Record = Profile | Event | ShownList | Assignment | Alias


@dataclass(frozen=True)
class StoredUser:
    """Everything stored about a user, in order of receipt.

    `first_us` is the time of first contact, None if unknown, and `seen_us` that of the newest entry. If guests were
    merged, these are the records of all ids, `person_id` names the person, and `n_left_out` counts events and lists
    beyond the caps. Each field of the profile is the one put last; of several assignments in an experiment, the first
    applies.
    """

    profile: Profile | None = None
    events: tuple[StoredEvent, ...] = ()
    lists: tuple[ShownList, ...] = ()
    assignments: tuple[Assignment, ...] = ()
    first_us: int | None = None
    seen_us: int = 0
    person_id: str | None = None
    guest_ids: tuple[str, ...] = ()
    n_left_out: int = 0
    entries: Sequence[StoredEntry] = ()

    @property
    def received_us(self) -> list[int]:
        """Times of the events and lists, in microseconds since 1970."""
        records: tuple[StoredEvent | ShownList, ...] = (*self.events, *self.lists)
        return [one.received_us for one in records]

    @property
    def newest_us(self) -> int:
        """Time of the newest entry that affects recommendations, in microseconds since 1970; 0 without any."""
        put_us = self.profile.put_us if self.profile else 0
        return max([put_us, *self.received_us])

    def received_between(self, since_us: int, until_us: int) -> set[int]:
        """Return the times of the events and lists received after one time and until another."""
        return {us for us in self.received_us if since_us < us <= until_us}

    def as_of(self, us: int) -> StoredUser:
        """Return the user without the events and lists received after a time."""
        events = tuple(event for event in self.events if event.received_us <= us)
        reported = {event.list_id for event in events if event.is_impression}
        lists = (replace(one, is_told=one.list_id in reported) for one in self.lists if one.received_us <= us)
        return replace(self, events=events, lists=tuple(lists))

    def find_impressions(self) -> Iterator[tuple[ShownList | StoredEvent, Impression]]:
        """Yield the impressions of recorded lists, then those reported as events, which replace those of their list.

        Missing propensities and policies are taken from the recorded list. An impression without a position counts as
        certainly seen.
        """
        listed: dict[Any, Impression] = {}
        for shown in self.lists:
            for impression in shown.impressions:
                if shown.is_told:
                    listed[shown.list_id, impression.item_id] = impression
                else:
                    yield shown, impression
        for event in self.events:
            if event.is_impression:
                recorded = listed.get((event.list_id, event.entity_id))
                how = event.position, event.list_id, event.propensity, event.policy
                impression = Impression(event.entity_id, *how)
                if recorded and event.propensity is None and event.policy in (None, recorded.policy):
                    impression = replace(recorded, position=event.position)
                yield event, impression

    def to_signals(self, user_id: str | None = None) -> Signals:
        """Convert to `Signals`; impressions are not interactions."""
        registered = self.profile.signals if self.profile else {}
        actions = [
            Interaction(signal=event.signal, entity=event.entity, entity_id=event.entity_id)
            for event in self.events
            if not event.is_impression
        ]
        impressions = (impression for _, impression in self.find_impressions())
        return Signals.of({**registered, "user_id": user_id}).extend(actions, impressions)


@dataclass(frozen=True)
class Retention:
    """Maximum age of entries (0: unlimited), and numbers per user; the most recently received ones are kept."""

    max_events_per_user: int
    retention_us: int
    max_lists_per_user: int = 20
    max_shown_per_user: int = 500

    def oldest_us(self, now_us: int) -> int:
        """Return the time before which entries have expired; 0 if retention is unlimited."""
        return now_us - self.retention_us if self.retention_us else 0

    @property
    def caps(self) -> dict[str, int]:
        """Maximum number of entries per owner, for each capped kind."""
        return {
            "use": self.max_events_per_user,
            "shown": self.max_shown_per_user,
            "list": self.max_lists_per_user,
            ITEMS: MAX_STORED_ITEMS,
        }


def now_us() -> int:
    """Return the current time, in microseconds since 1970."""
    return time.time_ns() // 1000


class Entry(NamedTuple):
    """An entry to append; the log sets its time.

    Kinds are ``use`` and ``shown`` (events), ``list``, ``profile``, ``assignment``, ``alias`` and ``guest`` (an alias
    in the log of its person). An assignment owned by the service marks the start of an experiment. The log itself
    maintains one ``user`` entry per user: its time is approximately that of the last write, its body is the time of the
    first write. Assignments and aliases live as long as the user.
    """

    owner: str
    kind: str
    id: str  # unique per owner
    body: str
    replace_before_us: int  # an existing entry with this id is replaced only if it is older, or has expired
    list_key: str | None = None  # id of the list entry whose impressions this entry reports, which sets its `is_told`


NEVER, ALWAYS = 0, 2**53
"""Values of `replace_before_us`: an existing entry is never replaced, or always."""
EXPIRING = ("use", "shown", "list", "profile", ITEMS)
"""Kinds of entries that expire by their own time."""
EXPIRING_SQL = "'{}'".format("', '".join(EXPIRING))
FIELDS = {
    "use": "events",
    "shown": "events",
    "list": "lists",
    "profile": "profile",
    "assignment": "assignments",
    "alias": "person_id",
    "guest": "guest_ids",
}
"""Field of `StoredUser` for each kind of record; the entries of a field share an id namespace."""


StoredEntry = tuple[str, int, bool, str]
"""An entry as read: kind, time, whether impressions of it were reported, body."""
Reader = Callable[[Sequence[str]], Awaitable[list[list[StoredEntry]]]]
"""A call to `Log.read`."""


def keep_unexpired(owner: str, entries: list[StoredEntry], oldest_us: int) -> list[StoredEntry]:
    """Return the unexpired entries of an owner, given all in order of time; none of a user who has expired."""
    if entries and entries[-1][1] < oldest_us and owner not in NOT_USERS:
        return []
    return [entry for entry in entries if entry[1] >= oldest_us or entry[0] not in EXPIRING]


class Log(Protocol):
    """A log of entries that supports scans during writes.

    When a call returns, its changes are durable; when it raises `StoreError`, nothing has changed. Times of entries,
    and what has expired, follow the clock of the store, not that of a worker. `now_us` is its time at the last read.
    """

    rules: Retention
    now_us: int

    async def read(self, owners: Sequence[str], since_us: int = -1) -> list[list[StoredEntry]]:
        """Return the unexpired entries of each owner in order of time.

        With `since_us`, only those after this time; the owners have one kind each, which is capped and named like them.
        """
        ...

    async def append(self, entries: Sequence[Entry]) -> list[bool]:
        """Append all entries or none; return which are new. Removes the owners' entries beyond the caps."""
        ...

    async def delete(self, owners: Sequence[str], until_us: int) -> bool:
        """Remove all entries of owners, unless one was merged after a time; return whether they were removed."""
        ...

    async def purge(self) -> None:
        """Remove expired entries."""
        ...

    async def back_up(self, target: Path) -> None:
        """Copy the log to a file atomically, without blocking reads and writes."""
        raise StoreError(f"store: cannot be copied to {target}; use the backups of Redis or Postgres instead.")

    async def find_facts(self) -> tuple[int, int]:
        """Return the time up to which all entries are readable (0: none), and the retention; both in microseconds."""
        ...

    async def find_owners(self, since_us: int) -> list[str]:
        """Return all users with entries after `since_us`, and possibly others."""
        ...

    async def close(self) -> None:
        """Finish pending calls and close."""
        ...


class Store:
    """Store of users' signals.

    If the underlying log fails, every method raises `StoreError` and acknowledges nothing. When a call returns, its
    changes are durable: they survive a killed process. An event whose id the user already has is ignored. The first
    new ``shown`` event about a recorded list sets the list's ``is_told``. Expired entries are never returned. The time
    of first contact, the assignments and the aliases of a user are kept until retention has passed since the last
    write. Each call to the log runs in the context manager that `watch` returns for its name.

    A merged guest and its person are one user under either id: for `read`, `assign` and `delete`. `append` keeps the
    id that it is given.
    """

    def __init__(self, log: Log, watch: Callable[[str], AbstractContextManager[Any]] = nullcontext) -> None:
        self.log, self.watch = log, watch
        self.back_up, self.close = log.back_up, log.close

    async def append(self, records: Iterable[tuple[str, Record]]) -> int:
        """Append (owner, record) pairs, all or none; return how many are new.

        A profile replaces the previous one. An event, a list or an assignment that the owner already has is ignored.
        """
        return sum(await self._append([_to_entry(owner, record) for owner, record in records]))

    async def _append(self, entries: Sequence[Entry]) -> list[bool]:
        with self.watch("append"):
            return await self.log.append(entries)

    async def _read(self, owners: Sequence[str], since_us: int = -1) -> list[list[StoredEntry]]:
        with self.watch("read"):
            return await self.log.read(owners, since_us)

    async def read(self, user_ids: Sequence[str]) -> list[StoredUser]:
        """Return what is stored about each user."""
        users = []
        for members in await read_members(self._read, user_ids):
            users.append(unite(members, self.log.rules.caps))
            if len(members) > 1:
                await self._renew(members)
        return users

    async def _renew(self, members: Mapping[str, StoredUser]) -> None:
        """Keep all members as long as one of them, by a write once a member has half expired."""
        now_us = self.log.now_us
        seen_us = [member.seen_us for member in members.values()]
        if min(seen_us) < (self.log.rules.oldest_us(now_us) + now_us) // 2 < max(seen_us):
            person_id, *guest_ids = members
            with suppress(StoreError):  # already counted; the next read tries again
                links = chain.from_iterable(_link(person_id, guest_id) for guest_id in guest_ids)
                if await self.append(links):  # they were deleted meanwhile
                    await self.delete(person_id)

    async def merge(self, user_id: str, guest_id: str) -> bool:
        """Make a guest's records those of a user; return whether they were not before.

        Both aliases are written only if they are as they were read, and again each time, so that a merge that came
        between makes this one start again. Raises `MergeError` if the merge is not allowed.
        """
        links = [_to_entry(owner, alias) for owner, alias in _link(user_id, guest_id)]
        is_new = False
        while True:
            members, others = await read_members(self._read, [user_id, guest_id])
            (person_id, *_), (owner_id, *guest_ids) = members, others
            code = ""
            if user_id == guest_id:
                code = "itself"
            elif person_id != user_id:
                code = "is_guest"
            elif owner_id == guest_id and guest_ids:
                code = "has_guests"
            elif owner_id not in (user_id, guest_id):
                code = "has_person"
            if code:
                raise MergeError(REFUSED_MERGES[code], code=code)
            is_new |= guest_id not in members
            read_us = members[user_id].seen_us, NEVER, others[guest_id].seen_us
            entries = [link._replace(replace_before_us=us + 1) for link, us in zip(links, read_us, strict=True)]
            is_person, _, is_guest = await self._append(entries)
            if is_person and is_guest:
                return is_new

    async def start_experiment(self, experiment: str) -> int:
        """Return the start of an experiment, in microseconds since 1970; a new experiment starts now."""
        start = Assignment(experiment, "")
        await self.append([(SERVICE, start)])
        (entries,) = await self._read([SERVICE])
        return next(us for _, us, _, body in entries if body == _dump(start))

    async def put(self, owner: str, values: Mapping[str, Any]) -> None:
        """Set values of an owner that is not a user, by name, all or none; None deletes one."""
        entries = [
            Entry(owner, owner, name, pydantic_core.to_json((name, value)).decode(), ALWAYS)
            for name, value in values.items()
        ]
        await self._append([*entries, Entry(SERVICE, owner, owner, "", ALWAYS)])

    async def find_changes(self) -> Mapping[str, int]:
        """Return when the values of each owner last changed, in microseconds."""
        (entries,) = await self._read([SERVICE])
        return {kind: us for kind, us, *_ in entries}

    async def read_lists(self) -> dict[str, Any]:
        """Return the item lists by name."""
        (entries,) = await self._read([LISTS])
        return _read_values(entries)

    async def read_items(self, since_us: int) -> list[StoredEntry]:
        """Return the new items that were put or deleted after a time, in this order."""
        (entries,) = await self._read([ITEMS], since_us)
        return entries

    async def read_item_use(self) -> ItemUse:
        """Return the counts of the use of new items."""
        (entries,) = await self._read([ITEM_USE])
        return ItemUse(**_read_values(entries))

    async def assign(self, user_id: str, new: Assignment) -> Assignment:
        """Assign a variant to a user who has none; return the assignment that applies."""
        await self.append([(user_id, new)])
        (user,) = await self.read([user_id])
        return next((old for old in user.assignments if old.experiment == new.experiment), new)

    async def delete(self, user_id: str) -> None:
        """Delete a user with all guests; again if one of them was merged meanwhile."""
        is_deleted = False
        with self.watch("delete"):
            while not is_deleted:
                until_us, _ = await self.log.find_facts()
                (members,) = await read_members(self.log.read, [user_id])
                is_deleted = await self.log.delete(list(members), until_us)

    async def purge(self) -> None:
        """Remove expired entries."""
        with self.watch("purge"):
            await self.log.purge()

    async def probe(self) -> None:
        """Write an entry of the service, to find out whether the store accepts writes."""
        await self._append([Entry(SERVICE, "probe", "probe", "", ALWAYS)])


REFUSED_MERGES = {
    "itself": "The user and from are the same id; name a guest in from.",
    "is_guest": "The user was merged into another one; merge into that one instead.",
    "has_guests": "Guests were merged into the user named in from; merge the other way round, or keep both users.",
    "has_person": "The guest was merged into another user before; give the new person another guest id.",
}


async def read_new_items(log: Log) -> tuple[dict[str, NewItem], ItemUse]:
    """Return all new items by id, the most recently put last, and the counts of their use."""
    items, counts = map(_read_values, await log.read([ITEMS, ITEM_USE]))
    return {item_id: NewItem(**item) for item_id, item in items.items()}, ItemUse(**counts)


def _read_values(entries: Iterable[StoredEntry]) -> dict[str, Any]:
    """Return values set by `Store.put`, by name."""
    named = (pydantic_core.from_json(body) for *_, body in entries)
    return {name: value for name, value in named if value is not None}


async def scan_changed(log: Log, since_us: int) -> AsyncIterator[tuple[str, dict[str, StoredUser], StoredUser]]:
    """Yield each user with entries after a time: the id, the logs of its person as from `read_members`, the person."""
    changed = await log.find_owners(since_us)
    for first in range(0, len(changed), USERS_AT_ONCE):
        owners = changed[first : first + USERS_AT_ONCE]
        for owner, members in zip(owners, await read_members(log.read, owners), strict=True):
            yield owner, members, unite(members, {})
        await asyncio.sleep(0)


def _link(person_id: str, guest_id: str) -> list[tuple[str, Alias]]:
    """Return the aliases, with their owners, that merge a guest, in the order in which they are written."""
    alias = Alias(guest_id, person_id)
    return [(person_id, Alias(person_id, person_id)), (person_id, alias), (guest_id, alias)]


def _to_entry(owner: str, record: Record) -> Entry:
    """Convert a record to an entry; a profile replaces the previous one, an assignment never does."""
    body = _dump(record)
    match record:
        case Assignment():
            return Entry(owner, "assignment", f"assignments {record.experiment}", body, NEVER)
        case ShownList():
            return Entry(owner, "list", f"lists {record.list_id}", body, NEVER)
        case Event():
            key = f"events {record.event_id}"
            if not record.is_impression:
                return Entry(owner, "use", key, body, NEVER)
            list_key = f"lists {record.list_id}" if record.list_id else None
            return Entry(owner, "shown", key, body, NEVER, list_key)
        case Profile():
            return Entry(owner, "profile", "profile", body, ALWAYS)
        case Alias(guest_id=guest_id):
            if guest_id == owner:
                return Entry(owner, "alias", "alias", body, NEVER)
            return Entry(owner, "guest", f"guest {guest_id}", body, NEVER)


NOT_IN_BODY = ("user_id", "received_us", "put_us", "assigned_us", "is_told")
"""Fields of records that entries have outside their body."""


def _dump(record: Record) -> str:
    """Serialize a record to JSON without None values."""
    values = asdict(record).items()
    body = {name: value for name, value in values if value is not None and name not in NOT_IN_BODY}
    return pydantic_core.to_json(body).decode()


def _read_event(text: str) -> StoredEvent:
    """Build an event, which was validated when it was stored."""
    values = pydantic_core.from_json(text)
    time = values.pop("timestamp", None)
    return StoredEvent(received_us=values.pop("us"), timestamp=time and datetime.fromisoformat(time), **values)


_READERS: Mapping[str, Callable[[str], Any]] = {
    "events": _read_event,
    "lists": TypeAdapter(ShownList).validate_json,
    "profile": TypeAdapter(Profile).validate_json,
    "assignments": TypeAdapter(Assignment).validate_json,
    "person_id": lambda text: pydantic_core.from_json(text)["person_id"],
    "guest_ids": lambda text: pydantic_core.from_json(text)["guest_id"],
}


def assemble(entries: Sequence[StoredEntry]) -> StoredUser:
    """Build a user from log entries."""
    fields: defaultdict[str, list[Any]] = defaultdict(list)
    contacts = []
    for kind, us, is_told, body in entries:
        if kind == "user":
            contacts.append(int(body))
        else:
            name = FIELDS[kind]
            record = _READERS[name](f'{{"us":{us},{body[1:]}')
            fields[name].append(replace(record, is_told=True) if is_told else record)
    if not contacts:
        return StoredUser()
    records: dict[str, Any] = {name: tuple(of_field) for name, of_field in fields.items()}
    if profiles := records.pop("profile", ()):
        signals = {name: value for profile in profiles for name, value in profile.signals.items()}
        records["profile"] = replace(profiles[-1], signals=signals)
    (person_id, *_) = records.pop("person_id", (None,))
    return StoredUser(person_id=person_id, first_us=min(contacts), seen_us=entries[-1][1], entries=entries, **records)


async def read_members(read: Reader, user_ids: Sequence[str]) -> list[dict[str, StoredUser]]:
    """Return what each user's log has, by id: of a merged user, those of the person, first, and of the guests.

    Calls `read` again only if some of the users were merged.
    """
    found: dict[str, StoredUser] = {}
    unread = user_ids
    while unread:
        logs = await read(unread)
        found |= zip(unread, map(assemble, logs), strict=True)
        named = chain.from_iterable((user.person_id, *user.guest_ids) for user in found.values() if user.person_id)
        unread = list(set(named) - found.keys())
    all_members = []
    for user_id in user_ids:
        person_id = found[user_id].person_id or user_id
        person = found[person_id]
        names = (person_id, *person.guest_ids) if person.person_id == person_id else ()
        members = {name: found[name] for name in names if found[name].person_id == person_id}
        all_members.append(members if user_id in members else {user_id: found[user_id]})
    return all_members


def unite(members: Mapping[str, StoredUser], caps: Mapping[str, int]) -> StoredUser:
    """Return the user whose members these are, the person first; only the newest records within the caps remain."""
    (person, *guests) = members.values()
    if not guests:
        return replace(person, person_id=None, guest_ids=()) if person.person_id else person
    entries = list(chain.from_iterable(one.entries for one in members.values()))
    kept: list[StoredEntry] = []
    for kind, of_kind in groupby(sorted(entries, key=itemgetter(0, 1)), key=itemgetter(0)):
        kept += list(of_kind)[-caps.get(kind, len(entries)) :]
    user = assemble(sorted(kept, key=itemgetter(1)))
    reported = {event.list_id for event in user.events if event.is_impression}
    return replace(
        user,
        lists=tuple(replace(one, is_told=one.is_told or one.list_id in reported) for one in user.lists),
        guest_ids=tuple(members)[1:],
        n_left_out=len(entries) - len(kept),
    )
