"""The store in a SQLite file: one thread writes, and all that waits is committed together."""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypeVar

from firstday.errors import ConfigError
from firstday.serve.store.base import Clock, Event, Profile, Rules, StoredUser, StoreError, read_profile, write_profile

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], Any]

VERSION = 1
BUSY_TIMEOUT_S = 5.0
GROUP_SIZE = 256
"""Calls that are committed together, at most."""
PURGED_AT_ONCE = 5_000
"""Rows removed in one transaction, so that others' writes need not wait long."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS profiles (
    user_id TEXT PRIMARY KEY, put_us INTEGER NOT NULL, profile TEXT NOT NULL
) WITHOUT ROWID, STRICT;
CREATE TABLE IF NOT EXISTS events (
    user_id TEXT NOT NULL, event_id TEXT NOT NULL, received_us INTEGER NOT NULL, signal TEXT NOT NULL,
    entity TEXT NOT NULL, entity_id TEXT NOT NULL, timestamp_ms INTEGER, PRIMARY KEY (user_id, event_id)
) WITHOUT ROWID, STRICT;
CREATE INDEX IF NOT EXISTS events_by_receipt ON events (received_us);
CREATE INDEX IF NOT EXISTS profiles_by_put ON profiles (put_us);
"""

PURGE = (
    "DELETE FROM events WHERE (user_id, event_id) IN "
    "(SELECT user_id, event_id FROM events WHERE received_us < ? LIMIT ?)",
    "DELETE FROM profiles WHERE user_id IN (SELECT user_id FROM profiles WHERE put_us < ? LIMIT ?)",
)
FORGET = ("DELETE FROM profiles WHERE user_id = ?", "DELETE FROM events WHERE user_id = ?")

_log = logging.getLogger("firstday.serve")


class SqliteStore:
    """Signals in one file, in WAL mode: readers never wait for the writer.

    The file belongs to this process alone. Then SQLite keeps the index of its log in memory of its own; in a mapped
    file, as it does for several processes, a disk that turns read-only would end the process by a signal.

    Reads run where they are called, since a look into the file's cached pages costs less than handing it to a
    thread. Writes go to one thread, which commits all that came in meanwhile at once and only then lets callers go on.

    Parameters
    ----------
    path
        The file; made if missing, readable by its owner alone.
    rules
        What is kept.
    synchronous
        ``full``: a commit waits for the disk; ``normal``: it survives a killed process, not a power cut.
    clock
        Tells the time.

    Raises
    ------
    ConfigError
        The file cannot be opened, is no database of ours, or may not be written to.
    """

    name = "sqlite"

    def __init__(
        self,
        path: str | Path,
        rules: Rules,
        *,
        synchronous: Literal["full", "normal"] = "full",
        clock: Clock | None = None,
    ) -> None:
        self._path, self._rules, self._synchronous = Path(path), rules, synchronous
        self._clock = clock or Clock()
        try:
            self._prepare()
            self._reader = self._connect()
        except (sqlite3.Error, OSError) as error:
            if "locked" in str(error):
                raise ConfigError(
                    f"store: {self._path} is in use by another process; stop that one, or give several workers Redis."
                ) from None
            reason = error.strerror if isinstance(error, OSError) else error
            raise ConfigError(f"store: {self._path} cannot be opened ({reason}); give another file.") from None
        self._waiting: queue.SimpleQueue[tuple[Work, Future[Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write_all, name="store", daemon=True)
        self._thread.start()

    def _prepare(self) -> None:
        """Make the file and its tables."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = self._connect()
        try:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, VERSION):
                raise ConfigError(f"store: {self._path} is of version {version}, not {VERSION}; give another file.")
            connection.execute("BEGIN IMMEDIATE")
            for statement in filter(str.strip, SCHEMA.split(";")):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {VERSION}")
            connection.execute("COMMIT")
        finally:
            connection.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path.absolute().as_uri() + ("?vfs=unix-excl" if os.name == "posix" else ""),
            uri=True,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=64,
        )
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {self._synchronous}")
            connection.execute("PRAGMA secure_delete = ON")  # what was deleted is overwritten, not just unlinked
            connection.execute("PRAGMA journal_size_limit = 67108864")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    async def read(self, user_ids: Sequence[str]) -> list[StoredUser]:
        """Return what is known of each user."""
        oldest = self._rules.oldest_us(self._clock.now_us())
        try:
            return [self._read_one(user_id, oldest) for user_id in user_ids]
        except sqlite3.Error as error:
            raise StoreError(f"store: cannot be read now ({error}); try again.") from error

    def _read_one(self, user_id: str, oldest: int) -> StoredUser:
        profile = self._reader.execute(
            "SELECT profile, put_us FROM profiles WHERE user_id = ? AND put_us >= ?", (user_id, oldest)
        ).fetchone()
        rows = self._reader.execute(
            "SELECT event_id, signal, entity, entity_id, timestamp_ms, received_us FROM events "
            "WHERE user_id = ? AND received_us >= ? ORDER BY received_us",
            (user_id, oldest),
        ).fetchall()
        return StoredUser(read_profile(*profile) if profile else None, tuple(Event(*row) for row in rows))

    async def put(self, user_id: str, profile: Profile) -> None:
        """Replace a user's profile, picks and friends."""

        def work(connection: sqlite3.Connection) -> None:
            row = (user_id, self._clock.next_us(), write_profile(profile))
            connection.execute("INSERT OR REPLACE INTO profiles (user_id, put_us, profile) VALUES (?, ?, ?)", row)

        await self._write(work)

    async def add(self, events: Sequence[tuple[str, Event]]) -> int:
        """Add events of users, all or none; return how many were new."""

        def work(connection: sqlite3.Connection) -> int:
            oldest = self._rules.oldest_us(self._clock.now_us())
            new: Counter[str] = Counter()
            for user_id, event in events:
                row = (user_id, event.event_id, self._clock.next_us(), event.signal, event.entity, event.entity_id)
                # An event that has expired, but is not removed yet, counts as gone.
                new[user_id] += connection.execute(
                    "INSERT INTO events (user_id, event_id, received_us, signal, entity, entity_id, timestamp_ms) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET received_us = excluded.received_us, "
                    "signal = excluded.signal, entity = excluded.entity, entity_id = excluded.entity_id, "
                    "timestamp_ms = excluded.timestamp_ms WHERE events.received_us < ?",
                    (*row, event.timestamp_ms, oldest),
                ).rowcount
            for user_id in new:
                self._keep_newest(connection, user_id)
            return new.total()

        return await self._write(work)

    def _keep_newest(self, connection: sqlite3.Connection, user_id: str) -> None:
        """Remove a user's events beyond the cap, oldest first."""
        connection.execute(
            "DELETE FROM events WHERE user_id = ? AND received_us <= "
            "(SELECT received_us FROM events WHERE user_id = ? ORDER BY received_us DESC LIMIT 1 OFFSET ?)",
            (user_id, user_id, self._rules.max_events_per_user),
        )

    async def delete(self, user_id: str) -> None:
        """Forget a user."""

        def work(connection: sqlite3.Connection) -> None:
            for statement in FORGET:
                connection.execute(statement, (user_id,))

        await self._write(work)

    async def purge(self) -> int:
        """Remove what has expired; return how many events and profiles that were."""
        oldest = self._rules.oldest_us(self._clock.now_us())
        removed = 0
        for statement in PURGE:

            def work(connection: sqlite3.Connection, statement: str = statement) -> int:
                return connection.execute(statement, (oldest, PURGED_AT_ONCE)).rowcount

            while n_rows := await self._write(work):
                removed += n_rows
        return removed

    async def ping(self) -> None:
        """Find out whether the file can be read."""
        await self.read([""])

    async def back_up(self, target: Path) -> None:
        """Write a copy of the store as of now to another file, in one step; nobody waits for it."""

        def work() -> None:
            staged = target.with_name(f".{target.name}.new")
            staged.unlink(missing_ok=True)
            connection = self._connect()
            try:
                connection.execute("VACUUM INTO ?", (str(staged),))
            finally:
                connection.close()
            staged.chmod(0o600)
            staged.replace(target)

        try:
            await asyncio.to_thread(work)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"store: cannot be copied to {target} ({error}); free or choose another place.") from error

    async def close(self) -> None:
        """Commit what waits and close the file."""
        self._waiting.put(None)
        await asyncio.to_thread(self._thread.join)
        self._reader.close()

    async def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Hand work to the writing thread and wait until it is committed."""
        result: Future[T] = Future()
        self._waiting.put((work, result))
        return await asyncio.wrap_future(result)

    def _write_all(self) -> None:
        """Commit what waits, group by group, until told to stop."""
        connection: sqlite3.Connection | None = None
        stopping = False
        while not stopping:
            group = [self._waiting.get()]
            while len(group) < GROUP_SIZE and not self._waiting.empty():
                group.append(self._waiting.get())
            stopping = None in group
            works = [entry for entry in group if entry is not None and entry[1].set_running_or_notify_cancel()]
            if works:
                connection = self._commit(connection, works)
        if connection is not None:
            connection.close()

    def _commit(
        self, connection: sqlite3.Connection | None, works: Sequence[tuple[Work, Future[Any]]]
    ) -> sqlite3.Connection | None:
        """Do all works in one transaction and tell their callers; return the connection, None where it failed."""
        try:
            connection = connection or self._connect()
            connection.execute("BEGIN IMMEDIATE")
            results = [work(connection) for work, _ in works]
            connection.execute("COMMIT")
        except Exception as error:
            if not isinstance(error, sqlite3.Error):
                _log.error("a write failed", exc_info=error)
            if connection is not None:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                connection.close()
            reason = StoreError(f"store: cannot be written now ({error}); nothing was kept, send it again.")
            for _, future in works:
                future.set_exception(reason)
            return None
        for (_, future), result in zip(works, results, strict=True):
            future.set_result(result)
        return connection
