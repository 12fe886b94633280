"""A store with what a test needs around it: a clock to set, an event loop, and short calls."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from firstday.serve.store.base import Assignment, Event, Log, Record, Retention, Store, StoredUser

T = TypeVar("T")

CAP = 5
DAY_US = 86_400_000_000
RETENTION_US = 10 * DAY_US


class SetClock:
    """A clock that the test sets."""

    us = 1_700_000_000_000_000

    def __call__(self) -> int:
        return self.us


MakeLog = Callable[[Retention, SetClock], Log]


def make_event(event_id: str, entity_id: str = "i1", **fields: Any) -> Event:
    return Event(event_id=event_id, entity_id=entity_id, **fields)


def make_shown(event_id: str, entity_id: str = "i1", **fields: Any) -> Event:
    return make_event(event_id, entity_id, signal="shown", **fields)


class Harness:
    """A store with what a test needs around it."""

    def __init__(self, make: MakeLog) -> None:
        self.clock = SetClock()
        self._make = make
        self._loop = asyncio.new_event_loop()
        self.open()

    def open(self, max_events_per_user: int = CAP, retention_us: int = RETENTION_US, **caps: int) -> None:
        self.store = Store(self._make(Retention(max_events_per_user, retention_us, **caps), self.clock))

    def reopen(self, **rules: int) -> None:
        """Close the store and open it again, as a process that starts again does."""
        self.run(self.store.close())
        self.open(**rules)

    def run(self, call: Awaitable[T]) -> T:
        async def wait() -> T:
            return await call

        return self._loop.run_until_complete(wait())

    def append(self, user_id: str, *records: Record) -> int:
        return self.run(self.store.append([(user_id, record) for record in records]))

    def add(self, *events: tuple[str, str], entity_id: str = "i1") -> int:
        records = [(user, make_event(identity, entity_id)) for user, identity in events]
        return self.run(self.store.append(records))

    def assign(self, user_id: str, experiment: str, variant: str) -> Assignment:
        return self.run(self.store.assign(user_id, Assignment(experiment, variant)))

    def delete(self, user_id: str) -> None:
        self.run(self.store.delete(user_id))

    def purge(self) -> None:
        self.run(self.store.purge())

    def read(self, user_id: str) -> StoredUser:
        return self.run(self.store.read([user_id]))[0]

    def ids(self, user_id: str) -> list[str]:
        return [event.event_id for event in self.read(user_id).events]

    def close(self) -> None:
        self.run(self.store.close())
        self._loop.close()
