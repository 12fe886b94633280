"""A store with what a test needs around it: entries that age, an event loop, and short calls."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from firstday.serve.store.log import Log, Retention
from firstday.serve.store.records import Assignment, Event, Record, StoredUser
from firstday.serve.store.sqlite import SqliteLog
from firstday.serve.store.store import Store

T = TypeVar("T")

CAP = 5
DAY_US = 86_400_000_000
RETENTION_US = 10 * DAY_US


MakeLog = Callable[[Retention], Log]


async def age(log: Any, us: int) -> None:
    """Move everything that a log has into the past, as if time had passed; by a negative number, into the future."""
    where = "WHERE id != 'retention'"
    if isinstance(log, SqliteLog):
        log._latest_us -= us
        body = "CASE kind WHEN 'user' THEN CAST(CAST(body AS INTEGER) - ?1 AS TEXT) ELSE body END"
        change = f"UPDATE log SET us = us - ?1, body = {body} {where}"
        await log._commits.write([lambda connection: connection.execute(change, (us,))])
        return
    if hasattr(log, "_connect"):
        body = "CASE kind WHEN 'user' THEN (body::bigint - %(us)s)::text ELSE body END"
        change = f"UPDATE firstday_log SET us = us - %(us)s, body = {body} {where}"
        await log._write(
            {"us": us}, change, "SELECT setval('firstday_latest', last_value - %(us)s) FROM firstday_latest"
        )
        return
    keys = [key for key in await log._redis.keys() if key.startswith(f"{log._prefix}:")]
    change = log._redis.pipeline()
    change.decrby(log._facts[0], us)
    for key in keys:
        kind = await log._redis.type(key)
        if kind == "zset":
            for member in await log._redis.zrange(key, 0, -1):
                change.zincrby(key, -us, member)
        if kind == "hash":
            for field, text in (await log._redis.hgetall(key)).items():
                time, name, is_told, body = text.split(" ", 3)
                body = str(int(body) - us) if name == "user" else body
                change.hset(key, field, f"{int(time) - us} {name} {is_told} {body}")
    await change.execute()


def copy_store(url: str, target: Path) -> str:
    """Copy a SQLite store, which may be in use; return the URL of the copy."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
    return f"sqlite:///{target}"


def make_event(event_id: str, entity_id: str = "i1", **fields: Any) -> Event:
    return Event(event_id=event_id, entity_id=entity_id, **fields)


def make_shown(event_id: str, entity_id: str = "i1", **fields: Any) -> Event:
    return make_event(event_id, entity_id, signal="shown", **fields)


class Harness:
    """A store with what a test needs around it."""

    def __init__(self, make: MakeLog) -> None:
        self._make = make
        self._loop = asyncio.new_event_loop()
        self.open()

    def open(self, max_events_per_user: int = CAP, retention_us: int = RETENTION_US, **caps: int) -> None:
        self.store = Store(self._make(Retention(max_events_per_user, retention_us, **caps)))

    def reopen(self, **rules: int) -> None:
        """Close the store and open it again, as a process that starts again does."""
        self.run(self.store.close())
        self.open(**rules)

    def run(self, call: Awaitable[T]) -> T:
        async def wait() -> T:
            return await call

        return self._loop.run_until_complete(wait())

    def age(self, us: int) -> None:
        self.run(age(self.store.log, us))

    def append(self, user_id: str, *records: Record) -> int:
        return self.run(self.store.append([(user_id, record) for record in records]))

    def add(self, *events: tuple[str, str], entity_id: str = "i1") -> int:
        records = [(user, make_event(identity, entity_id)) for user, identity in events]
        return self.run(self.store.append(records))

    def assign(self, user_id: str, experiment: str, variant: str) -> Assignment:
        return self.run(self.store.assign(user_id, Assignment(experiment, variant)))

    def merge(self, user_id: str, guest_id: str) -> bool:
        return self.run(self.store.merge(user_id, guest_id))

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
