"""The store's contract: users' raw signals, never vectors, so that a new model needs no migration."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from firstday.errors import FirstdayError
from firstday.features.signals import PICK_SIGNAL, Signals


class StoreError(FirstdayError):
    """The store cannot be reached, read or written now; nothing of the call was acknowledged."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a user did.

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
    """

    event_id: str
    signal: str
    entity: str
    entity_id: str
    timestamp_ms: int | None = None
    received_us: int = 0


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
    """

    age: int | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    picks: tuple[tuple[str, str], ...] = ()
    friends: tuple[str, ...] = ()
    put_us: int = 0


def write_profile(profile: Profile) -> str:
    """Write a profile as JSON; when it was put stands beside it."""
    values = [profile.age, dict(profile.columns), profile.picks, profile.friends]
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def read_profile(text: str | bytes, put_us: int) -> Profile:
    """Read a profile from JSON."""
    age, columns, picks, friends = json.loads(text)
    return Profile(age, columns, tuple((entity, identity) for entity, identity in picks), tuple(friends), put_us)


@dataclass(frozen=True)
class StoredUser:
    """Everything known of a user.

    Parameters
    ----------
    profile
        None where none was put.
    events
        In the order of receipt.
    """

    profile: Profile | None = None
    events: tuple[Event, ...] = ()

    @property
    def is_known(self) -> bool:
        """Whether anything is."""
        return self.profile is not None or bool(self.events)

    def to_signals(self) -> Signals:
        """Return what is known in the form that every strategy takes."""
        actions = [(event.signal, event.entity, event.entity_id) for event in self.events]
        if self.profile is None:
            return Signals(interactions=actions)
        profile = self.profile
        picks = [(PICK_SIGNAL, entity, identity) for entity, identity in profile.picks]
        return Signals(age=profile.age, interactions=[*picks, *actions], friends=profile.friends, **profile.columns)


@dataclass(frozen=True)
class Rules:
    """What is kept.

    Parameters
    ----------
    max_events_per_user
        The newest so many by receipt.
    retention_us
        How long, microseconds; 0: for good.
    """

    max_events_per_user: int
    retention_us: int

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

    def next_us(self) -> int:
        """Return the time, and never the same twice."""
        self._last = max(self._last + 1, self.now_us())
        return self._last


class Store(Protocol):
    """Keeps users' signals. Every method raises `StoreError` where the store fails, and then has acknowledged nothing.

    A call that returned is durable: it outlives a killed process. An event whose id the user has already is left as
    it is. What has expired is never returned.
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

    async def delete(self, user_id: str) -> None:
        """Forget a user."""
        ...

    async def purge(self) -> int:
        """Remove what has expired; return how many events and profiles that were."""
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
