"""Records of users and of new items, and their conversion to log entries and back."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import accumulate, pairwise, repeat
from typing import Annotated, Any

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

from firstday.features.signals import Signals
from firstday.features.wire_types import Id, Impression, Interaction, ListId, ListPosition, Policy, Propensity
from firstday.serve.store.log import ALWAYS, FIELDS, NEVER, Entry, StoredEntry, now_us

MIN_YEAR = 1971
"""First year of an event; a time of 1970 was 0 or had another unit."""
MAX_AHEAD_US = 3_600_000_000
"""Maximum time by which the clock of a caller may be ahead."""
_TIMES = f"from {MIN_YEAR} to an hour from now"
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
        if time.year >= MIN_YEAR and to_us(time) < now_us() + MAX_AHEAD_US:
            return time.astimezone(UTC)
    raise ValueError(f"give a date and time with an offset, {_TIMES}, such as 2026-01-31T12:00:00Z")


EventId = Annotated[Id, Field(description="Your event id, unique per user.")]


EventTime = Annotated[
    Annotated[
        AwareDatetime,
        WrapValidator(_read_time),
        Field(json_schema_extra={"pattern": r"^(197[1-9]|19[89][0-9]|20[0-9][0-9])-"}),
    ]
    | None,
    Field(description=f"Time of the event, {_TIMES}, with UTC offset. Stored, but does not affect lists."),
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
    previous pages; `as_of` is the time of the newest entry that the ranking is based on, `visit_us` that from which on
    impressions do not count, and `rules` what `write_rules` returned, None for a row under rules of its page.
    """

    list_id: str
    policy: str
    items: tuple[str, ...]
    propensities: tuple[float, ...] | None = None
    received_us: Time = 0
    is_told: bool = False
    after: int = 0
    as_of: int | None = None
    visit_us: int | None = None
    rules: str | None = None

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
class StoredItem:
    """What was put of an item: columns of the table `items`, when its id was first put, and withdrawn (0: not)."""

    values: Mapping[str, Any]
    first_us: int
    withdrawn_us: int = 0

    @property
    def row(self) -> dict[str, Any]:
        """The values of a new item, which was added when it was first put, unless they say otherwise."""
        return {"added_at": to_time(self.first_us).isoformat(), **self.values}


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

    def find_visit(self, now_us: int, visit_minutes: float) -> int:
        """Return when the current visit began, in microseconds since 1970; `now_us` if none is under way."""
        start_us = now_us
        for us in sorted(self.received_us, reverse=True):
            if start_us - us >= 6e7 * visit_minutes:
                break
            start_us = us
        return start_us

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

    def to_signals(self, user_id: str | None = None, visit_us: int = ALWAYS, visit_minutes: float = 0) -> Signals:
        """Convert to `Signals`, with the impressions received before `visit_us`, which are not interactions."""
        registered = self.profile.signals if self.profile else {}
        actions = [
            Interaction(signal=event.signal, entity=event.entity, entity_id=event.entity_id)
            for event in self.events
            if not event.is_impression
        ]
        found = [(source.received_us, one) for source, one in self.find_impressions() if source.received_us < visit_us]
        times = sorted({us for us, _ in found})
        begins = (later - us >= 6e7 * visit_minutes for us, later in pairwise(times))
        visits = dict(zip(times, accumulate(begins, initial=0), strict=False))
        impressions = [replace(impression, visit=visits[us]) for us, impression in found]
        return Signals.of({**registered, "user_id": user_id}).extend(actions, impressions)


def to_entry(owner: str, record: Record) -> Entry:
    """Convert a record to an entry; a profile replaces the previous one, an assignment never does."""
    body = dump(record)
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


def dump(record: Record) -> str:
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
