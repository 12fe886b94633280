"""Log in a SQLite file, with one writer thread and group commit."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from operator import methodcaller
from pathlib import Path
from typing import Any, Literal

from firstday.errors import ConfigError
from firstday.serve.store.group_commit import GroupCommit
from firstday.serve.store.log import (
    DAY_US,
    EXPIRING_SQL,
    FIELDS,
    ITEM_KINDS_SQL,
    NOT_USERS,
    REMOVAL,
    SERVICE,
    Entry,
    Retention,
    StoredEntry,
    StoreError,
    keep_unexpired,
    now_us,
)

Work = Callable[[sqlite3.Connection], Any]

VERSION = 7
LOCK_TIMEOUT_S = 5.0
"""Seconds to wait for a service that stops."""
READER_TIMEOUT_S = 0.1
"""Seconds for which a checkpoint waits for readers, and so do commits."""
PURGE_BATCH = 5_000
"""Maximum number of entries removed per transaction, so that other writes do not wait long."""

OPEN = """PRAGMA journal_mode = WAL; PRAGMA synchronous = {}; PRAGMA secure_delete = ON;
PRAGMA journal_size_limit = 67108864"""
"""`secure_delete` overwrites deleted data in the file instead of only unlinking it."""
CHECKPOINT = "PRAGMA wal_checkpoint(TRUNCATE)"
"""Removes deleted data from the WAL; the result begins with 1 if a reader prevented that."""
SCHEMA = (
    "CREATE TABLE IF NOT EXISTS log (owner TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL, us INTEGER NOT NULL, "
    "is_told INTEGER NOT NULL DEFAULT 0, body TEXT NOT NULL, PRIMARY KEY (owner, id)) WITHOUT ROWID, STRICT",
    "CREATE INDEX IF NOT EXISTS log_by_time ON log (kind, us)",
    f"PRAGMA user_version = {VERSION}",
)
SET_FACT = "INSERT OR REPLACE INTO log (owner, id, kind, us, body) VALUES ('', ?1, ?1, ?2, '')"
"""Upserts a fact owned by the service: the time of the last entry, even if it has been deleted (`latest`), or the
retention (`retention`), both in microseconds."""
FACT = "SELECT us FROM log WHERE owner = '' AND id = ?"
READ = "SELECT kind, us, is_told, body FROM log WHERE owner = ?1 AND +us > ?2 ORDER BY us LIMIT ?3"
READ_ITEMS = f"""SELECT kind, us, is_told, body FROM log
WHERE +owner = ?1 AND kind IN {ITEM_KINDS_SQL} AND us > ?2 ORDER BY us LIMIT ?3"""  # noqa: S608
DELETE = "DELETE FROM log WHERE owner = ?"
REMOVE = "DELETE FROM log WHERE owner = ?1 AND id = ?2 AND us < ?3"
WAS_MERGED = "SELECT 1 FROM log WHERE owner = ? AND +kind IN ('alias', 'guest') AND +us > ?"
TOUCH_USER = (
    "INSERT INTO log (owner, id, kind, us, body) VALUES (?1, 'user', 'user', ?2, ?2) ON CONFLICT DO UPDATE SET "
    "us = excluded.us, body = CASE WHEN us < ?3 THEN excluded.body ELSE body END WHERE us < ?4"
)
"""Upserts a `user` entry. Its time lags up to a day behind the last write, so that it is rarely rewritten for an active
user. An expired user counts as new; `DELETE_OLDER` then removes the remaining entries."""
DELETE_OLDER = (
    "DELETE FROM log WHERE owner = ?1 AND +us < "
    "(SELECT CAST(body AS INTEGER) FROM log WHERE owner = ?1 AND id = 'user')"
)
APPEND = f"""INSERT INTO log (owner, kind, id, body, us) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET
kind = excluded.kind, body = excluded.body, us = excluded.us, is_told = 0
WHERE us < ?6 OR us < ?7 AND kind IN ({EXPIRING_SQL})"""  # noqa: S608
SET_TOLD = "UPDATE log SET is_told = 1 WHERE owner = ? AND id = ?"
KEEP_NEWEST = (
    "DELETE FROM log WHERE owner = ?1 AND +kind = ?2 AND +us <= "
    "(SELECT us FROM log WHERE owner = ?1 AND +kind = ?2 ORDER BY +us DESC LIMIT 1 OFFSET ?3)"
)
"""The unary plus keeps SQLite from using the index by time, which spans all owners."""
KEEP_NEWEST_VALUES = (
    "DELETE FROM log WHERE +owner = ?1 AND kind = ?2 AND us <= "
    "(SELECT us FROM log WHERE +owner = ?1 AND kind = ?2 ORDER BY us DESC LIMIT 1 OFFSET ?3)"
)
"""The same by the index, for an owner who alone has the kind: the bodies of all entries are not read."""
PURGE = (
    f"""DELETE FROM log WHERE (owner, id) IN
    (SELECT owner, id FROM log WHERE kind IN ({EXPIRING_SQL}) AND us < ? LIMIT ?)""",  # noqa: S608
    "DELETE FROM log WHERE owner IN (SELECT owner FROM log WHERE kind = 'user' AND us < ? LIMIT ?)",
)
CHANGED = f"""SELECT DISTINCT owner FROM log
WHERE us > ? AND kind IN {tuple(FIELDS)} AND owner != '' ORDER BY owner"""  # noqa: S608


class SqliteLog:
    """A log in WAL mode: readers, also in other processes, never wait for the writer.

    A lock on an empty file next to it keeps out other services.

    Reads run in the calling thread, since a lookup in cached pages costs less than a switch to another thread. Writes
    run in other threads, with group commit.

    With ``full``, commits wait for the disk; with ``normal``, they survive a killed process, but not a power failure.
    With `read_only`, a snapshot is opened, for a scan; a service may write meanwhile.

    Raises `ConfigError` if the file cannot be opened or written, is not a log of this version, or is in use.
    """

    def __init__(
        self,
        path: Path,
        rules: Retention,
        synchronous: Literal["full", "normal"] = "full",
        *,
        read_only: bool = False,
    ) -> None:
        self.rules, self.now_us, self._latest_us = rules, 0, 0
        self._clock_us = now_us() - time.monotonic_ns() // 1000
        self._lock: sqlite3.Connection | None = None
        self._path, self._synchronous, self._read_only = path, synchronous, read_only
        try:
            if not read_only:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._lock = sqlite3.connect(f"{path}-lock", timeout=LOCK_TIMEOUT_S, check_same_thread=False)
                self._lock.execute("BEGIN EXCLUSIVE")
                os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._reader = self._connect()
            (version,) = self._reader.execute("PRAGMA user_version").fetchone()
            if version not in (0, VERSION):
                raise ValueError(f"it has version {version}, not {VERSION}")
            if read_only:
                self._reader.execute("BEGIN")
                self._reader.execute(FACT, ("latest",))  # starts the snapshot; an error if this is not a log
            else:
                self._create()
        except (sqlite3.Error, OSError, ValueError) as error:
            if "locked" in str(error):
                raise ConfigError(
                    f"store: {path} is in use by another process; stop it, or use Redis or Postgres for several "
                    "workers."
                ) from None
            raise ConfigError(f"store: {path} cannot be opened ({error}); give another file.") from None
        self._opened = path.stat()
        self._writer: sqlite3.Connection | None = None
        self._commits = GroupCommit(lambda batch: asyncio.to_thread(self._commit, batch))
        self._has_removed = False

    def _create(self) -> None:
        """Create the schema and restore the last time used."""
        execute = self._reader.execute
        execute("BEGIN IMMEDIATE")
        for statement in SCHEMA:
            execute(statement)
        for (latest_us,) in execute(FACT, ("latest",)):
            self._latest_us = latest_us
        execute(SET_FACT, ("latest", self._latest_us))
        execute(SET_FACT, ("retention", self.rules.retention_us))
        execute("COMMIT")

    def _connect(self) -> sqlite3.Connection:
        uri = f"{self._path.absolute().as_uri()}?mode={'ro' if self._read_only else 'rw'}"
        connection = sqlite3.connect(
            uri, uri=True, timeout=READER_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        if not self._read_only:
            connection.executescript(OPEN.format(self._synchronous))
        return connection

    def _oldest_us(self) -> int:
        """Return the time before which entries have expired; 0 once the clock was set ahead by more than a day."""
        self.now_us = now_us()
        is_ahead = self.now_us > self._clock_us + time.monotonic_ns() // 1000 + DAY_US
        return 0 if is_ahead else self.rules.oldest_us(self.now_us)

    async def read(self, owners: Sequence[str], since_us: int = -1) -> list[list[StoredEntry]]:
        """See `Log.read`."""
        self._check_place()
        oldest_us = self._oldest_us()
        statement, limit = (READ_ITEMS, self.rules.items_at_once) if since_us >= 0 else (READ, -1)
        try:
            logs = [self._reader.execute(statement, (owner, since_us, limit)).fetchall() for owner in owners]
        except sqlite3.Error as error:
            raise StoreError(f"store: cannot be read ({error}); try again.") from error
        return [keep_unexpired(owner, log, oldest_us) for owner, log in zip(owners, logs, strict=True)]

    def _check_place(self) -> None:
        """Raise `StoreError` if the file is no longer where it was opened: writes would be lost with this process."""
        with suppress(FileNotFoundError):
            if os.path.samestat(self._path.stat(), self._opened):
                return
        raise StoreError(f"store: {self._path} was moved, replaced or deleted; restart the service.")

    async def find_facts(self) -> tuple[int, int]:
        """See `Log.find_facts`."""
        (entries,) = await self.read([SERVICE])
        facts = {kind: us for kind, us, *_ in entries}
        return facts["latest"], facts["retention"]

    async def find_owners(self, since_us: int) -> list[str]:
        """See `Log.find_owners`."""
        return [owner for (owner,) in self._reader.execute(CHANGED, (since_us,))]

    def _next_us(self) -> int:
        """Return the time of the next entry: later than all previous ones, even if the clock was set back."""
        self._latest_us = max(self._latest_us + 1, now_us())
        return self._latest_us

    async def append(self, entries: Sequence[Entry]) -> list[bool]:
        """See `Log.append`."""

        def work(connection: sqlite3.Connection) -> list[bool]:
            execute = connection.execute
            next_us = self._next_us
            oldest_us = self._oldest_us()
            caps = self.rules.caps
            for user_id in dict.fromkeys(entry.owner for entry in entries if entry.owner not in NOT_USERS):
                seen_us = next_us()
                if execute(TOUCH_USER, (user_id, seen_us, oldest_us - DAY_US, seen_us - DAY_US)).rowcount:
                    execute(DELETE_OLDER, (user_id,))
            is_new = []
            for entry in entries:
                if entry.kind == REMOVAL:
                    removed = execute(REMOVE, (entry.owner, entry.id, entry.replace_before_us))
                    is_new.append(removed.rowcount == 1)
                    continue
                is_new.append(
                    execute(APPEND, (*entry[:4], next_us(), entry.replace_before_us, oldest_us)).rowcount == 1
                )
                if is_new[-1] and entry.list_key:
                    execute(SET_TOLD, (entry.owner, entry.list_key))
            for owner, kind in dict.fromkeys((entry.owner, entry.kind) for entry in entries if entry.kind in caps):
                execute(KEEP_NEWEST_VALUES if owner == kind else KEEP_NEWEST, (owner, kind, caps[kind]))
            return is_new

        (is_new,) = await self._commits.write([work])
        return is_new

    async def delete(self, owners: Sequence[str], until_us: int) -> bool:
        """See `Log.delete`."""

        def work(connection: sqlite3.Connection) -> bool:
            if any(connection.execute(WAS_MERGED, (owner, until_us)).fetchone() for owner in owners):
                return False
            for owner in owners:
                connection.execute(DELETE, (owner,))
            return True

        self._has_removed = True
        (is_deleted,) = await self._commits.write([work])
        return is_deleted

    async def purge(self) -> None:
        """See `Log.purge`."""
        oldest_us = self._oldest_us()
        if self.rules.retention_us and not oldest_us:
            raise StoreError("store: the clock was set ahead by more than a day; nothing expires until a restart.")
        self._has_removed = True
        for statement, until_us in zip(PURGE, (oldest_us, oldest_us - DAY_US), strict=True):
            work = methodcaller("execute", statement, (until_us, PURGE_BATCH))
            while (await self._commits.write([work]))[0].rowcount:
                pass

    async def close(self) -> None:
        """Finish pending writes and close the file."""
        async with self._commits.lock:
            for connection in filter(None, (self._reader, self._writer, self._lock)):
                connection.close()

    def _commit(self, batch: Sequence[Work]) -> list[Any]:
        """Run all writes in one transaction; return their results.

        After a removal, the WAL is written to the file and truncated, by a later commit if another process reads it.
        """
        self._check_place()
        try:
            self._writer = self._writer or self._connect()
            self._writer.execute("BEGIN IMMEDIATE")
            results = [work(self._writer) for work in batch]
            self._writer.execute(SET_FACT, ("latest", self._latest_us))
            self._writer.execute("COMMIT")
        except Exception as error:
            if self._writer is not None:
                self._writer.close()  # rolls back
                self._writer = None
            raise StoreError(f"store: cannot be written ({error}); nothing was stored, try again.") from error
        if self._has_removed:
            with suppress(sqlite3.Error):  # the next commit tries again
                (self._has_removed, *_) = self._writer.execute(CHECKPOINT).fetchone()
        return results
