"""The store in a SQLite file: one thread writes, and all that waits is committed together."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import queue
import sqlite3
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypeVar

from firstday.errors import ConfigError
from firstday.serve.store.base import (
    DAY_US,
    Assignment,
    Clock,
    Event,
    Profile,
    Rules,
    ShownList,
    StoredUser,
    StoreError,
    read_list,
    read_profile,
    write_list,
    write_profile,
)

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
    entity TEXT NOT NULL, entity_id TEXT NOT NULL, timestamp_ms INTEGER, list_id TEXT, position INTEGER,
    propensity REAL, policy TEXT, PRIMARY KEY (user_id, event_id)
) WITHOUT ROWID, STRICT;
CREATE TABLE IF NOT EXISTS lists (
    user_id TEXT NOT NULL, received_us INTEGER NOT NULL, list_id TEXT NOT NULL, list TEXT NOT NULL,
    is_told INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (user_id, received_us, list_id)
) WITHOUT ROWID, STRICT;
CREATE TABLE IF NOT EXISTS users (
    user_id TEXT PRIMARY KEY, first_us INTEGER NOT NULL, last_us INTEGER NOT NULL, assignments TEXT
) WITHOUT ROWID, STRICT;
CREATE TABLE IF NOT EXISTS experiments (name TEXT PRIMARY KEY, started_us INTEGER NOT NULL) WITHOUT ROWID, STRICT;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, us INTEGER NOT NULL) WITHOUT ROWID, STRICT;
CREATE INDEX IF NOT EXISTS events_by_receipt ON events (received_us);
CREATE INDEX IF NOT EXISTS profiles_by_put ON profiles (put_us);
CREATE INDEX IF NOT EXISTS lists_by_receipt ON lists (received_us);
CREATE INDEX IF NOT EXISTS users_by_last ON users (last_us);
"""
"""`users.last_us` is the last write's time, or up to a day before it, so that a busy user's row is seldom written.
`facts` has the last time that was told for anything that is or was here (`latest`), and how long things are kept
(`retention`)."""

PURGE = (
    (
        "DELETE FROM events WHERE (user_id, event_id) IN "
        "(SELECT user_id, event_id FROM events WHERE received_us < ? LIMIT ?)",
        0,
    ),
    ("DELETE FROM profiles WHERE user_id IN (SELECT user_id FROM profiles WHERE put_us < ? LIMIT ?)", 0),
    (
        "DELETE FROM lists WHERE (user_id, received_us, list_id) IN "
        "(SELECT user_id, received_us, list_id FROM lists WHERE received_us < ? LIMIT ?)",
        0,
    ),
    ("DELETE FROM users WHERE user_id IN (SELECT user_id FROM users WHERE last_us < ? LIMIT ?)", DAY_US),
)
"""What removes expired rows of each table, and how much longer its rows are kept."""
FORGET = (
    "DELETE FROM profiles WHERE user_id = ?",
    "DELETE FROM events WHERE user_id = ?",
    "DELETE FROM lists WHERE user_id = ?",
    "DELETE FROM users WHERE user_id = ?",
)
LATEST = (
    "SELECT max(received_us) FROM events",
    "SELECT max(received_us) FROM lists",
    "SELECT max(put_us) FROM profiles",
    "SELECT max(last_us) FROM users",
    "SELECT us FROM facts WHERE name = 'latest'",
)
"""What finds the last time that was told, so that times go on from there. It is the one that is noted; the others are
for a file in which nobody noted it."""
NOTE = "INSERT INTO facts (name, us) VALUES (?, ?) ON CONFLICT DO UPDATE SET us = excluded.us"

READ_EVENTS = (
    "SELECT event_id, signal, entity, entity_id, timestamp_ms, received_us, list_id, position, propensity, policy "
    "FROM events WHERE user_id = ? AND received_us >= ? ORDER BY received_us"
)
CHANGED = (
    "SELECT user_id FROM events WHERE received_us > ?1 UNION SELECT user_id FROM lists WHERE received_us > ?1 "
    "UNION SELECT user_id FROM profiles WHERE put_us > ?1 UNION SELECT user_id FROM users WHERE last_us > ?1"
)
"""What finds the users of whom something was taken after a time; an assignment is the last that was taken of its user
when it is made."""
ADD_EVENT = (
    "INSERT INTO events (user_id, event_id, signal, entity, entity_id, timestamp_ms, received_us, list_id, position, "
    "propensity, policy) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT DO UPDATE SET received_us = excluded.received_us, signal = excluded.signal, "
    "entity = excluded.entity, entity_id = excluded.entity_id, timestamp_ms = excluded.timestamp_ms, "
    "list_id = excluded.list_id, position = excluded.position, propensity = excluded.propensity, "
    "policy = excluded.policy WHERE events.received_us < ?"
)
TELL = "UPDATE lists SET is_told = 1 WHERE user_id = ? AND list_id = ? AND NOT is_told"
KEEP_NEWEST = (
    "DELETE FROM events WHERE user_id = ?1 AND (signal = 'shown' AND entity = 'item') = ?2 AND received_us <= "
    "(SELECT received_us FROM events WHERE user_id = ?1 AND (signal = 'shown' AND entity = 'item') = ?2 "
    "ORDER BY received_us DESC LIMIT 1 OFFSET ?3)"
)

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
        self._copying = threading.Lock()
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
            for statement in LATEST:
                self._clock.start_after((connection.execute(statement).fetchone() or (0,))[0] or 0)
            connection.execute(NOTE, ("latest", self._clock.last_us))
            connection.execute(NOTE, ("retention", self._rules.retention_us))
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
        return read_users(self._reader, user_ids, self._rules.oldest_us(self._clock.now_us()))

    async def put(self, user_id: str, profile: Profile) -> None:
        """Replace a user's profile, picks and friends."""

        def work(connection: sqlite3.Connection) -> None:
            self._see(connection, user_id)
            row = (user_id, self._clock.next_us(), write_profile(profile))
            connection.execute("INSERT OR REPLACE INTO profiles (user_id, put_us, profile) VALUES (?, ?, ?)", row)

        await self._write(work)

    def _see(self, connection: sqlite3.Connection, user_id: str) -> None:
        """Note that something is written of a user."""
        now = self._clock.next_us()
        # A user whose row has expired, but is not removed yet, is heard of for the first time.
        connection.execute(
            "INSERT INTO users (user_id, first_us, last_us) VALUES (?1, ?2, ?2) "
            "ON CONFLICT DO UPDATE SET last_us = excluded.last_us, "
            "first_us = CASE WHEN last_us < ?3 THEN excluded.first_us ELSE first_us END, "
            "assignments = CASE WHEN last_us < ?3 THEN NULL ELSE assignments END WHERE last_us < ?2 - ?4",
            (user_id, now, self._rules.oldest_us(now) - DAY_US, DAY_US),
        )

    async def add(self, events: Sequence[tuple[str, Event]]) -> int:
        """Add events of users, all or none; return how many were new."""

        def work(connection: sqlite3.Connection) -> int:
            oldest = self._rules.oldest_us(self._clock.now_us())
            new: Counter[str] = Counter()
            kinds = set()
            for user_id, event in events:
                if user_id not in new:
                    self._see(connection, user_id)
                what = (event.event_id, event.signal, event.entity, event.entity_id, event.timestamp_ms)
                how = (event.list_id, event.position, event.propensity, event.policy)
                # An event that has expired, but is not removed yet, counts as gone.
                row = (user_id, *what, self._clock.next_us(), *how, oldest)
                is_new = connection.execute(ADD_EVENT, row).rowcount
                new[user_id] += is_new
                if is_new and event.is_impression and event.list_id is not None:
                    connection.execute(TELL, (user_id, event.list_id))
                kinds.add((user_id, event.is_impression))
            for user_id, is_impression in kinds:
                self._keep_newest(connection, user_id, is_impression=is_impression)
            return new.total()

        return await self._write(work)

    def _keep_newest(self, connection: sqlite3.Connection, user_id: str, *, is_impression: bool) -> None:
        """Remove a user's impressions, or other events, beyond the cap, oldest first."""
        cap = self._rules.max_shown_per_user if is_impression else self._rules.max_events_per_user
        connection.execute(KEEP_NEWEST, (user_id, is_impression, cap))

    async def record(self, lists: Sequence[tuple[str, ShownList]]) -> None:
        """Add lists that are shown to users, all or none."""
        rows = [(user_id, shown.list_id, write_list(shown)) for user_id, shown in lists]

        def work(connection: sqlite3.Connection) -> None:
            for user_id, list_id, text in rows:
                self._see(connection, user_id)
                connection.execute(
                    "INSERT INTO lists (user_id, received_us, list_id, list) VALUES (?, ?, ?, ?)",
                    (user_id, self._clock.next_us(), list_id, text),
                )
                connection.execute(
                    "DELETE FROM lists WHERE user_id = ? AND received_us <= "
                    "(SELECT received_us FROM lists WHERE user_id = ? ORDER BY received_us DESC LIMIT 1 OFFSET ?)",
                    (user_id, user_id, self._rules.max_lists_per_user),
                )

        await self._write(work)

    async def start_experiment(self, experiment: str) -> int:
        """Return when the store first saw an experiment's name, microseconds since 1970: now, if it never has."""

        def work(connection: sqlite3.Connection) -> int:
            row = (experiment, self._clock.next_us())
            connection.execute("INSERT INTO experiments (name, started_us) VALUES (?, ?) ON CONFLICT DO NOTHING", row)
            start = connection.execute("SELECT started_us FROM experiments WHERE name = ?", (experiment,)).fetchone()
            return int(start[0])

        return await self._write(work)

    async def assign(self, users: Sequence[tuple[str, Assignment]]) -> list[Assignment]:
        """Give users variants, all or none; return what each has now: the first that was given for an experiment."""

        def work(connection: sqlite3.Connection) -> list[Assignment]:
            return [self._assign_one(connection, user_id, assignment) for user_id, assignment in users]

        return await self._write(work)

    def _assign_one(self, connection: sqlite3.Connection, user_id: str, new: Assignment) -> Assignment:
        self._see(connection, user_id)
        (text,) = connection.execute("SELECT assignments FROM users WHERE user_id = ?", (user_id,)).fetchone()
        before = _read_assignments(text)
        for assignment in before:
            if assignment.experiment == new.experiment:
                return assignment
        given = Assignment(new.experiment, new.variant, self._clock.next_us())
        rows = [(entry.experiment, entry.variant, entry.assigned_us) for entry in (*before, given)]
        connection.execute(
            "UPDATE users SET assignments = ?, last_us = ? WHERE user_id = ?",
            (json.dumps(rows, ensure_ascii=False), given.assigned_us, user_id),
        )
        return given

    async def delete(self, user_id: str) -> None:
        """Forget a user."""

        def work(connection: sqlite3.Connection) -> None:
            for statement in FORGET:
                connection.execute(statement, (user_id,))

        await self._write(work)

    async def purge(self) -> int:
        """Remove what has expired; return how many rows that were."""
        oldest = self._rules.oldest_us(self._clock.now_us())
        removed = 0
        for statement, longer_us in PURGE:

            def work(
                connection: sqlite3.Connection, statement: str = statement, until: int = oldest - longer_us
            ) -> int:
                return connection.execute(statement, (until, PURGED_AT_ONCE)).rowcount

            while n_rows := await self._write(work):
                removed += n_rows
        return removed

    async def ping(self) -> None:
        """Find out whether the file can be read."""
        await self.read([""])

    async def back_up(self, target: Path) -> None:
        """Write a copy of the store as of now to another file, in one step; nobody waits for it."""

        def work() -> None:
            with self._copying:  # another copy may be under way
                copy()

        def copy() -> None:
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
            before_us = self._clock.last_us
            results = [work(connection) for work, _ in works]
            if self._clock.last_us > before_us:
                connection.execute(NOTE, ("latest", self._clock.last_us))
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


def _read_assignments(text: str | None) -> tuple[Assignment, ...]:
    """Read a user's assignments from JSON; None: there are none."""
    return tuple(Assignment(*row) for row in json.loads(text)) if text else ()


def read_users(connection: sqlite3.Connection, user_ids: Sequence[str], oldest_us: int) -> list[StoredUser]:
    """Return what is known of each user, without what is older.

    Raises
    ------
    StoreError
        The file cannot be read.
    """
    try:
        return [_read_one(connection, user_id, oldest_us) for user_id in user_ids]
    except sqlite3.Error as error:
        raise StoreError(f"store: cannot be read now ({error}); try again.") from error


def _read_one(connection: sqlite3.Connection, user_id: str, oldest: int) -> StoredUser:
    execute, place = connection.execute, (user_id, oldest)
    profile = execute("SELECT profile, put_us FROM profiles WHERE user_id = ? AND put_us >= ?", place).fetchone()
    events = execute(READ_EVENTS, place).fetchall()
    lists = execute(
        "SELECT list, list_id, received_us, is_told FROM lists WHERE user_id = ? AND received_us >= ? "
        "ORDER BY received_us",
        place,
    ).fetchall()
    user = execute("SELECT first_us, last_us, assignments FROM users WHERE user_id = ?", (user_id,)).fetchone()
    if user is None or not (profile or events or lists or user[1] >= oldest):
        return StoredUser()
    return StoredUser(
        read_profile(*profile) if profile else None,
        tuple(Event(*row) for row in events),
        tuple(read_list(*row) for row in lists),
        _read_assignments(user[2]),
        user[0],
    )


SCANNED_AT_ONCE = 500
"""Users in a part of a scan."""


class SqliteFile:
    """A store's file that no service has open, or a copy, to be read from one end to the other; nothing is changed.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    ConfigError
        It is no store of this version, or a service has it open.
    """

    def __init__(self, path: Path) -> None:
        self._connection: sqlite3.Connection | None = None
        try:
            uri = f"{path.absolute().as_uri()}?mode=ro"
            self._connection = sqlite3.connect(uri, uri=True, timeout=1, isolation_level=None)
            self._connection.execute("BEGIN")
            version = self._connection.execute("PRAGMA user_version").fetchone()[0]
            self._connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # from here on nothing changes
            noted = self._connection.execute("SELECT name, us FROM facts").fetchall() if version == VERSION else ()
            facts: dict[str, int] = dict(noted)
        except sqlite3.Error as error:
            if self._connection is not None:
                self._connection.close()
            if "locked" in str(error):
                raise ConfigError(
                    f"store: {path} is in use by a service; give the copy that it writes to FIRSTDAY_SERVE_BACKUP_FILE."
                ) from None
            raise ConfigError(f"store: {path} cannot be read ({error}); give the file of a store.") from None
        if version != VERSION:
            self._connection.close()
            raise ConfigError(f"store: {path} is of version {version}, not {VERSION}; give the file of a store.")
        self._reader = self._connection
        self._latest_us, self._rules = facts["latest"], Rules(1, facts["retention"])

    async def find_latest_us(self) -> int:
        """Return the time of the last thing that was taken, here still or not, microseconds since 1970; 0: none was."""
        return int(self._latest_us)

    async def scan(self, since_us: int) -> AsyncIterator[list[tuple[str, StoredUser]]]:
        """Give the users of whom something was taken after a time, a part at a time, each user once.

        What has expired by now is left out, by the retention of the service that had the file.
        """
        oldest_us = self._rules.oldest_us(Clock().now_us())
        changed = self._reader.execute(CHANGED, (since_us,))
        while rows := changed.fetchmany(SCANNED_AT_ONCE):
            user_ids = [user_id for (user_id,) in rows]
            yield list(zip(user_ids, read_users(self._reader, user_ids, oldest_us), strict=True))

    async def close(self) -> None:
        """Close the file."""
        self._reader.close()
