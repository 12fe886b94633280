"""The store's contract: users' raw signals and what they were shown, never vectors: a new model needs no migration."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Protocol

from firstday.config import SHOWN
from firstday.data.events import ITEM
from firstday.errors import FirstdayError
from firstday.features.impressions import Impression
from firstday.features.signals import PICK_SIGNAL, Signals

DAY_US = 86_400_000_000
RETENTION_DAYS = 90.0
"""How long a service keeps things unless its settings say otherwise."""


class StoreError(FirstdayError):
    """The store cannot be reached, read or written now; nothing of the call was acknowledged."""


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

    event_id: str
    signal: str
    entity: str
    entity_id: str
    timestamp_ms: int | None = None
    received_us: int = 0
    list_id: str | None = None
    position: int | None = None
    propensity: float | None = None
    policy: str | None = None

    @property
    def is_impression(self) -> bool:
        """Whether an item was shown; that never counts as use."""
        return self.signal == SHOWN and self.entity == ITEM


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
    received_us: int = 0
    is_told: bool = False

    def to_impressions(self) -> list[Impression]:
        """Return an impression for each item."""
        chances = self.propensities or (1.0,) * len(self.items)
        return [
            Impression(item, position, self.list_id, chance, self.policy)
            for position, (item, chance) in enumerate(zip(self.items, chances, strict=True), 1)
        ]


def write_list(shown: ShownList) -> str:
    """Write a recorded list as JSON; its id and when it was taken stand beside it."""
    return json.dumps([shown.policy, shown.items, shown.propensities], ensure_ascii=False, separators=(",", ":"))


def read_list(text: str | bytes, list_id: str, received_us: int, is_told: int = 0) -> ShownList:
    """Read a recorded list from JSON."""
    policy, items, propensities = json.loads(text)
    chances = None if propensities is None else tuple(propensities)
    return ShownList(list_id, policy, tuple(items), chances, received_us, bool(is_told))


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

    experiment: str
    variant: str
    assigned_us: int = 0


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
    put_us: int = 0
    interactions: tuple[tuple[str, str, str], ...] = ()
    shown: tuple[Impression, ...] = ()


def write_profile(profile: Profile) -> str:
    """Write a profile as JSON; when it was put stands beside it."""
    shown = [astuple(one) for one in profile.shown]
    values = [profile.age, dict(profile.columns), profile.picks, profile.friends, profile.interactions, shown]
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def read_profile(text: str | bytes, put_us: int) -> Profile:
    """Read a profile from JSON."""
    age, columns, picks, friends, done, shown = json.loads(text)
    return Profile(
        age,
        columns,
        tuple((entity, identity) for entity, identity in picks),
        tuple(friends),
        put_us,
        tuple((signal, entity, identity) for signal, entity, identity in done),
        tuple(Impression(*one) for one in shown),
    )


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

    def find_seen(self) -> list[tuple[Event, Impression]]:
        """Return what the caller says was seen, each event with what it means.

        Propensity and policy of the recorded list stand where the caller gave none. Without a position it was seen for
        certain.
        """
        events = [event for event in self.events if event.is_impression]
        seen = {event.list_id for event in events}
        ways: dict[tuple[str | None, str], Impression] = {
            (shown.list_id, impression.item_id): impression
            for shown in self.lists
            if shown.list_id in seen
            for impression in shown.to_impressions()
        }
        impressions = []
        for event in events:
            way = ways.get((event.list_id, event.entity_id))
            propensity, policy = event.propensity, event.policy
            if way is not None and propensity is None and policy in (None, way.policy):
                propensity, policy = way.propensity, way.policy
            impressions.append((event, Impression(event.entity_id, event.position, event.list_id, propensity, policy)))
        return impressions

    def find_impressions(self) -> list[Impression]:
        """Return what was shown, in the order of receipt.

        A caller who sends `shown` knows better what was seen: where such events name a list, they count, and the list
        as it was recorded does not.
        """
        dated = [(shown.received_us, one) for shown in self.find_recorded() for one in shown.to_impressions()]
        dated += [(event.received_us, impression) for event, impression in self.find_seen()]
        return [impression for _, impression in sorted(dated, key=lambda entry: entry[0])]

    def to_signals(self, user_id: str | None = None) -> Signals:
        """Return what is known in the form that every strategy takes; an impression is no interaction."""
        actions = [(event.signal, event.entity, event.entity_id) for event in self.events if not event.is_impression]
        shown = self.find_impressions()
        if self.profile is None:
            return Signals(interactions=actions, shown=shown, user_id=user_id)
        profile = self.profile
        picks = [(PICK_SIGNAL, entity, identity) for entity, identity in profile.picks]
        return Signals(
            age=profile.age,
            interactions=[*picks, *profile.interactions, *actions],
            friends=profile.friends,
            shown=[*profile.shown, *shown],
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


class Clock:
    """Microseconds since 1970, each read later than the one before, so that events have an order."""

    def __init__(self) -> None:
        self._last = 0

    def now_us(self) -> int:
        """Return the time."""
        return time.time_ns() // 1000

    @property
    def last_us(self) -> int:
        """The last time that was told by `next_us`, or that it has to go on from; 0: none."""
        return self._last

    def start_after(self, us: int) -> None:
        """Tell only later times from now on, also where the machine's clock was put back."""
        self._last = max(self._last, us)

    def next_us(self) -> int:
        """Return the time, and never the same twice."""
        self._last = max(self._last + 1, self.now_us())
        return self._last


class ReadableStore(Protocol):
    """What can be read of a store from one end to the other, while others may write to it."""

    async def find_latest_us(self) -> int:
        """Return a time up to which all that was taken can be read now, microseconds since 1970; 0: it has nothing."""
        ...

    def scan(self, since_us: int) -> AsyncIterator[list[tuple[str, StoredUser]]]:
        """Give all users of whom something was taken after a time, perhaps others too, a part at a time, each once.

        What has expired by now is left out, by the retention of the service that wrote to the store last.
        """
        ...

    async def close(self) -> None:
        """Let go."""
        ...


class Store(Protocol):
    """Keeps users' signals. Every method raises `StoreError` where the store fails, and then has acknowledged nothing.

    A call that returned is durable: it outlives a killed process. An event whose id the user has already is left as
    it is. The first new event `shown` that names a recorded list marks it as told. What has expired is never returned.
    When the store first heard of a user, and the user's assignments, are kept for as long as anything else of the user
    is, or would be if it had been written last.
    """

    name: str

    async def read(self, user_ids: Sequence[str]) -> list[StoredUser]:
        """Return what is known of each user."""
        ...

    async def put(self, user_id: str, profile: Profile) -> None:
        """Replace a user's profile, picks and friends."""
        ...

    async def add(self, events: Sequence[tuple[str, Event]]) -> int:
        """Add events of users, all or none; return how many were new."""
        ...

    async def record(self, lists: Sequence[tuple[str, ShownList]]) -> None:
        """Add lists that are shown to users, all or none."""
        ...

    async def start_experiment(self, experiment: str) -> int:
        """Return when the store first saw an experiment's name, microseconds since 1970: now, if it never has."""
        ...

    async def assign(self, users: Sequence[tuple[str, Assignment]]) -> list[Assignment]:
        """Give users variants, all or none; return what each has now: the first that was given for an experiment."""
        ...

    async def delete(self, user_id: str) -> None:
        """Forget a user."""
        ...

    async def purge(self) -> int:
        """Remove what has expired; return how many rows that were."""
        ...

    async def back_up(self, target: Path) -> None:
        """Write a copy of everything to a file."""
        ...

    async def ping(self) -> None:
        """Find out whether the store can be reached."""
        ...

    async def close(self) -> None:
        """Finish what is under way and let go."""
        ...
