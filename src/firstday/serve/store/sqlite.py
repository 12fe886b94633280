"""The log in a SQLite file: one thread writes, and all that waits is committed together."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, Literal, TypeVar

from firstday.errors import ConfigError
from firstday.serve.store.base import DAY_US, SERVICE, Clock, Entry, Rules, Store, StoredEntry, StoreError

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], Any]

VERSION = 2
BUSY_TIMEOUT_S = 5.0
GROUP_SIZE = 256
"""Calls that are committed together, at most."""
PURGED_AT_ONCE = 5_000
"""Entries removed in one transaction, so that others' writes need not wait long."""
SCANNED_AT_ONCE = 500
"""Users in a part of a scan."""

SCHEMA = (
    "CREATE TABLE IF NOT EXISTS log (owner TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL, us INTEGER NOT NULL, "
    "body TEXT NOT NULL, PRIMARY KEY (owner, id)) WITHOUT ROWID, STRICT",
    "CREATE INDEX IF NOT EXISTS log_by_time ON log (kind, us)",
)
NOTE = "INSERT OR REPLACE INTO log (owner, id, kind, us, body) VALUES ('', ?1, ?1, ?2, '')"
"""The service notes the last time that was told for anything that is or was here (`latest`), and how long things are
kept (`retention`)."""
FACT = "SELECT us FROM log WHERE owner = '' AND id = ?"
READ = "SELECT kind, us, body FROM log WHERE owner = ? ORDER BY us"
DELETE = "DELETE FROM log WHERE owner = ?"
SEE = (
    "INSERT INTO log (owner, id, kind, us, body) VALUES (?1, 'user', 'user', ?2, ?2) ON CONFLICT DO UPDATE SET "
    "us = excluded.us, body = CASE WHEN us < ?3 THEN excluded.body ELSE body END WHERE us < ?4"
)
"""The time of a `user` is that of the last write, or up to a day before, so that a busy user's entry is seldom
written. One that has expired is heard of for the first time, and what is older goes."""
DELETE_OLDER = (
    "DELETE FROM log WHERE owner = ?1 AND +us < "
    "(SELECT CAST(body AS INTEGER) FROM log WHERE owner = ?1 AND id = 'user')"
)
APPEND = (
    "INSERT INTO log (owner, kind, id, body, us) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET "
    "kind = excluded.kind, body = excluded.body, us = excluded.us WHERE us < ?6"
)
TELL = """UPDATE log SET body = replace(body, '"is_told":false', '"is_told":true') WHERE owner = ? AND id = ?"""
KEEP_NEWEST = (
    "DELETE FROM log WHERE owner = ?1 AND +kind = ?2 AND +us <= "
    "(SELECT us FROM log WHERE owner = ?1 AND +kind = ?2 ORDER BY +us DESC LIMIT 1 OFFSET ?3)"
)
"""The plus keeps SQLite off the index by time, which has the entries of all owners."""
PURGE = (
    "DELETE FROM log WHERE (owner, id) IN (SELECT owner, id FROM log "
    "WHERE kind IN ('use', 'shown', 'list', 'profile') AND us < ? LIMIT ?)",
    "DELETE FROM log WHERE owner IN (SELECT owner FROM log WHERE kind = 'user' AND us < ? LIMIT ?)",
)
CHANGED = (
    "SELECT DISTINCT owner FROM log WHERE us > ? "
    "AND kind IN ('use', 'shown', 'list', 'profile', 'assignment') ORDER BY owner"
)

_log = logging.getLogger("firstday.serve")


class SqliteStore(Store):
    """Signals in one file, which belongs to this process alone.

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

    def __init__(
        self,
        path: str | Path,
        rules: Rules,
        *,
        synchronous: Literal["full", "normal"] = "full",
        clock: Clock | None = None,
    ) -> None:
        super().__init__("sqlite", SqliteLog(Path(path), rules, synchronous, clock or Clock()))


class SqliteLog:
    """A log in WAL mode: readers never wait for the writer. For its parameters see `SqliteStore`.

    SQLite keeps the index of its own log in memory, not in a mapped file as for several processes: there a disk that
    turns read-only would end the process by a signal.

    Reads run where they are called, since a look into the file's cached pages costs less than handing it to a
    thread. Writes go to one thread, which commits all that came in meanwhile at once and only then lets callers go on.
    """

    def __init__(self, path: Path, rules: Rules, synchronous: str, clock: Clock) -> None:
        self.rules, self.clock = rules, clock
        self._path, self._synchronous = path, synchronous
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
        self._writer: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, "store")
        self._waiting: list[tuple[Work, asyncio.Future[Any]]] = []
        self._committing: asyncio.Task[None] | None = None
        self._copying = threading.Lock()

    def _prepare(self) -> None:
        """Make the file and its table."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        with closing(self._connect()) as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, VERSION):
                raise ConfigError(f"store: {self._path} is of version {version}, not {VERSION}; give another file.")
            connection.execute("BEGIN IMMEDIATE")
            for statement in SCHEMA:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {VERSION}")
            for (latest_us,) in connection.execute(FACT, ("latest",)).fetchall():
                self.clock.start_after(latest_us)
            connection.execute(NOTE, ("latest", self.clock.last_us))
            connection.execute(NOTE, ("retention", self.rules.retention_us))
            connection.execute("COMMIT")

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

    async def read(self, owners: Sequence[str]) -> list[list[StoredEntry]]:
        """See `Entries.read`."""
        return _read(self._reader, owners)

    async def append(self, entries: Sequence[Entry], oldest_us: int) -> list[bool]:
        """See `Log.append`."""

        def work(connection: sqlite3.Connection) -> list[bool]:
            execute, next_us, caps = connection.execute, self.clock.next_us, self.rules.caps
            for user_id in dict.fromkeys(entry.owner for entry in entries if entry.owner != SERVICE):
                now_us = next_us()
                if execute(SEE, (user_id, now_us, oldest_us - DAY_US, now_us - DAY_US)).rowcount:
                    execute(DELETE_OLDER, (user_id,))
            is_new = []
            for entry in entries:
                is_new.append(execute(APPEND, (*entry[:4], next_us(), entry.known_since_us)).rowcount == 1)
                if is_new[-1] and entry.tells:
                    execute(TELL, (entry.owner, entry.tells))
            for owner, kind in dict.fromkeys((entry.owner, entry.kind) for entry in entries):
                if kind in caps:
                    execute(KEEP_NEWEST, (owner, kind, caps[kind]))
            return is_new

        return await self._write(work)

    async def delete(self, owner: str) -> None:
        """See `Log.delete`."""
        await self._write(lambda connection: connection.execute(DELETE, (owner,)))

    async def purge(self, oldest_us: int) -> int:
        """See `Log.purge`."""
        removed = 0
        for statement, until_us in zip(PURGE, (oldest_us, oldest_us - DAY_US), strict=True):
            values = (until_us, PURGED_AT_ONCE)

            def work(connection: sqlite3.Connection, statement: str = statement, values: Any = values) -> int:
                return connection.execute(statement, values).rowcount

            while n_rows := await self._write(work):
                removed += n_rows
        return removed

    async def back_up(self, target: Path) -> None:
        """See `Log.back_up`."""

        def work() -> None:
            with self._copying:  # another copy may be under way
                staged = target.with_name(f".{target.name}.new")
                staged.unlink(missing_ok=True)
                with closing(self._connect()) as connection:
                    connection.execute("VACUUM INTO ?", (str(staged),))
                staged.chmod(0o600)
                staged.replace(target)

        try:
            await asyncio.to_thread(work)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"store: cannot be copied to {target} ({error}); free or choose another place.") from error

    async def close(self) -> None:
        """Commit what waits and close the file."""
        if self._committing is not None:
            await self._committing
        self._thread.shutdown()
        for connection in (self._reader, self._writer):
            if connection is not None:
                connection.close()

    async def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Hand work to the writing thread and wait until it is committed."""
        result: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, result))
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit_waiting())
        return await result

    async def _commit_waiting(self) -> None:
        """Commit what waits, group by group, and tell the callers who still wait."""
        while self._waiting:
            group, self._waiting = self._waiting[:GROUP_SIZE], self._waiting[GROUP_SIZE:]
            results = await asyncio.get_running_loop().run_in_executor(
                self._thread, self._commit, [work for work, _ in group]
            )
            for (_, future), result in zip(group, results, strict=True):
                if not future.done():
                    future.set_exception(result) if isinstance(result, StoreError) else future.set_result(result)
        self._committing = None

    def _commit(self, works: Sequence[Work]) -> list[Any]:
        """Do all works in one transaction; return their results, or for each the error."""
        try:
            self._writer = self._writer or self._connect()
            self._writer.execute("BEGIN IMMEDIATE")
            results = [work(self._writer) for work in works]
            self._writer.execute(NOTE, ("latest", self.clock.last_us))
            self._writer.execute("COMMIT")
        except Exception as error:
            if not isinstance(error, sqlite3.Error):
                _log.error("a write failed", exc_info=error)
            if self._writer is not None:
                self._writer.close()  # that rolls back
                self._writer = None
            return [StoreError(f"store: cannot be written now ({error}); nothing was kept, send it again.")] * len(
                works
            )
        return results


def _read(connection: sqlite3.Connection, owners: Sequence[str]) -> list[list[StoredEntry]]:
    """Return the entries of each owner."""
    try:
        return [[StoredEntry(*row) for row in connection.execute(READ, (owner,))] for owner in owners]
    except sqlite3.Error as error:
        raise StoreError(f"store: cannot be read now ({error}); try again.") from error


class SqliteFile:
    """A log's file that no service has open, or a copy, to be read from one end to the other; nothing is changed.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    ConfigError
        It is no log of this version, or a service has it open.
    """

    def __init__(self, path: Path) -> None:
        try:
            uri = f"{path.absolute().as_uri()}?mode=ro"
            self._reader = sqlite3.connect(uri, uri=True, timeout=1, isolation_level=None)
            self._reader.execute("BEGIN")
            version = self._reader.execute("PRAGMA user_version").fetchone()[0]
            self._reader.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # from here on nothing changes
            facts = (self._reader.execute(FACT, (name,)).fetchone() for name in ("latest", "retention"))
            self._facts = [us for (us,) in facts] if version == VERSION else []
        except sqlite3.Error as error:
            if "locked" in str(error):
                raise ConfigError(
                    f"store: {path} is in use by a service; give the copy that it writes to FIRSTDAY_SERVE_BACKUP_FILE."
                ) from None
            raise ConfigError(f"store: {path} cannot be read ({error}); give the file of a store.") from None
        if version != VERSION:
            raise ConfigError(f"store: {path} is of version {version}, not {VERSION}; give the file of a store.")

    async def find_facts(self) -> tuple[int, int]:
        """See `ReadableLog.find_facts`."""
        latest_us, retention_us = self._facts
        return latest_us, retention_us

    async def find_owners(self, since_us: int) -> AsyncIterator[list[str]]:
        """See `ReadableLog.find_owners`."""
        changed = self._reader.execute(CHANGED, (since_us,))
        while rows := changed.fetchmany(SCANNED_AT_ONCE):
            yield [owner for (owner,) in rows]

    async def read(self, owners: Sequence[str]) -> list[list[StoredEntry]]:
        """See `Entries.read`."""
        return _read(self._reader, owners)

    async def close(self) -> None:
        """See `Entries.close`."""
        self._reader.close()
