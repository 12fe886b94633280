"""Log in Postgres, for several workers, possibly on several machines."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from firstday.errors import ConfigError, MissingExtraError
from firstday.serve.store.base import (
    ALWAYS,
    DAY_US,
    EXPIRING,
    NOT_USERS,
    Entry,
    Retention,
    StoredEntry,
    StoreError,
    now_us,
)
from firstday.serve.store.cool_down import CoolDown
from firstday.serve.store.group_commit import GroupCommit

try:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict
except ImportError:  # pragma: no cover
    raise MissingExtraError("the Postgres store", "postgres") from None

Connection = psycopg.AsyncConnection[Any]

PURGE_BATCH = 5_000
"""Maximum number of entries removed per transaction, so that other writes do not wait long."""
SCAN_BATCH = 500
"""Users per batch of a scan."""

SCHEMA = """DO $$ BEGIN
IF to_regclass('firstday_log') IS NULL THEN
  PERFORM pg_advisory_xact_lock(hashtext('firstday_log'));
  CREATE TABLE IF NOT EXISTS firstday_log (
    owner TEXT COLLATE "C", id TEXT COLLATE "C", kind TEXT COLLATE "C" NOT NULL, us BIGINT NOT NULL,
    is_told BOOLEAN NOT NULL DEFAULT false, body TEXT NOT NULL, PRIMARY KEY (owner, id));
  CREATE INDEX IF NOT EXISTS firstday_log_by_time ON firstday_log (us, kind);
  CREATE SEQUENCE IF NOT EXISTS firstday_latest MINVALUE 0 START 0;
END IF;
END $$"""
"""Does nothing if the tables exist, so that a role without the right to create them can write. A lock keeps workers
from creating them at the same time."""
SET_RETENTION = """INSERT INTO firstday_log AS log (owner, id, kind, us, body)
VALUES ('', 'retention', 'retention', %s, '') ON CONFLICT (owner, id) DO UPDATE SET us = excluded.us
WHERE log.us != excluded.us"""
LOCK = "SELECT pg_advisory_xact_lock('firstday_log'::regclass::bigint)"
"""A writing transaction holds this lock from its beginning to its commit, so that entries become readable in the order
of their times. A lock that is not of a row leaves no dead rows behind."""
WAIT = "SELECT pg_advisory_xact_lock_shared('firstday_log'::regclass::bigint)"
TAKE_TIMES = """SELECT setval('firstday_latest', greatest(last_value, %s::bigint - 1) + %s::bigint)
FROM firstday_latest"""
"""Advances the latest time by a number of microseconds, from at least the current time; returns it. Under the lock."""
FACTS = """SELECT last_value, (SELECT us FROM firstday_log WHERE owner = '' AND id = 'retention')
FROM firstday_latest"""
READ = "SELECT owner, kind, us, is_told, body FROM firstday_log WHERE owner = ANY(%s) ORDER BY us"
DELETE = "DELETE FROM firstday_log WHERE owner = %s"
TOUCH_USERS = """WITH touched AS (
  INSERT INTO firstday_log AS log (owner, id, kind, us, body)
  SELECT owner, 'user', 'user', us, us::text FROM unnest(%(users)s::text[], %(times)s::bigint[]) AS seen (owner, us)
  WHERE NOT EXISTS (SELECT FROM firstday_log AS old
    WHERE old.owner = seen.owner AND old.id = 'user' AND old.us + 0 >= seen.us - %(day)s::bigint)
  ON CONFLICT (owner, id) DO UPDATE SET us = excluded.us,
    body = CASE WHEN log.us < %(expired)s::bigint THEN excluded.body ELSE log.body END
  RETURNING owner, body::bigint AS first_us)
DELETE FROM firstday_log AS log USING touched
WHERE log.owner = touched.owner AND log.us + 0 < touched.first_us AND log.id != 'user'"""
"""Upserts `user` entries whose time lags more than a day behind. An expired user counts as new; what remains of their
entries is removed. Adding 0 keeps Postgres from using the index by time, which spans all owners."""
REMOVE_REPLACED = """DELETE FROM firstday_log AS log
USING unnest(%(owner)s::text[], %(id)s::text[], %(replace_before_us)s::bigint[]) AS entry (owner, id, before_us)
WHERE log.owner = entry.owner AND log.id = entry.id AND log.us + 0 < entry.before_us"""
APPEND = f"""INSERT INTO firstday_log (owner, kind, id, body, us)
SELECT owner, kind, id, body, us FROM unnest(%(owner)s::text[], %(kind)s::text[], %(id)s::text[], %(body)s::text[],
  %(replace_before_us)s::bigint[], %(us)s::bigint[]) AS entry (owner, kind, id, body, before_us, us)
ORDER BY CASE WHEN before_us = {ALWAYS} THEN -us ELSE us END ON CONFLICT DO NOTHING RETURNING us"""  # noqa: S608
"""Of entries with the same id, the first is appended, or the last if it always replaces."""
SET_TOLD = """UPDATE firstday_log AS log SET is_told = true
FROM unnest(%s::text[], %s::text[]) AS told (owner, id) WHERE log.owner = told.owner AND log.id = told.id"""
KEEP_NEWEST = """WITH capped AS MATERIALIZED (
  SELECT owner, kind, (SELECT us FROM firstday_log AS log WHERE log.owner = capped.owner AND log.kind = capped.kind
    ORDER BY us + 0 DESC LIMIT 1 OFFSET cap) AS newest_us
  FROM unnest(%s::text[], %s::text[], %s::bigint[]) AS capped (owner, kind, cap))
DELETE FROM firstday_log AS log USING capped
WHERE log.owner = capped.owner AND log.kind = capped.kind AND log.us + 0 <= newest_us AND newest_us IS NOT NULL"""
PURGE = (
    f"""DELETE FROM firstday_log WHERE (owner, id) IN
    (SELECT owner, id FROM firstday_log WHERE kind IN {EXPIRING} AND us < %s LIMIT {PURGE_BATCH})""",  # noqa: S608
    f"""DELETE FROM firstday_log WHERE owner IN
    (SELECT owner FROM firstday_log WHERE kind = 'user' AND us < %s LIMIT {PURGE_BATCH})""",  # noqa: S608
)
CHANGED = f"""SELECT DISTINCT owner FROM firstday_log
WHERE us > %s AND kind IN {(*EXPIRING, "assignment")} AND owner != '' ORDER BY owner"""  # noqa: S608


class _Append(NamedTuple):
    """The arguments of `append`."""

    entries: Sequence[Entry]
    oldest_us: int


class PostgresLog:
    """A log in the tables ``firstday_log`` and ``firstday_latest`` of the current schema of a Postgres database.

    Acknowledged writes are as durable as the server's commits. After a failed connection, calls fail at once for
    `retry_s` seconds. A call times out after `timeout_s` seconds; a write that timed out may be stored nevertheless.
    There is one connection to read and one to write, with group commit. With `is_copy`, no table is created.

    Raises `ConfigError` if the URL is not valid.
    """

    def __init__(
        self,
        url: str,
        rules: Retention,
        timeout_s: float = 1.0,
        retry_s: float = 1.0,
        now_us: Callable[[], int] = now_us,
        *,
        is_copy: bool = False,
    ) -> None:
        self.rules, self.now_us = rules, now_us
        self._url, self._timeout_s, self._is_copy = url, timeout_s, is_copy
        self._server = CoolDown(f"store: Postgres at {_find_host(url)}", retry_s, (), psycopg.Error)
        self._connections: dict[str, Connection] = {}
        self._locks = {use: asyncio.Lock() for use in ("read", "write")}
        self._appends = GroupCommit[_Append](self._append_all)

    @asynccontextmanager
    async def _connect(self, use: str) -> AsyncIterator[Connection]:
        """Yield the connection for a use, to one caller at a time; open it if there is none, or it was lost."""
        async with self._locks[use]:
            with self._server.call():
                try:
                    connection = self._connections.get(use)
                    if connection is None or connection.closed:
                        async with asyncio.timeout(self._timeout_s):
                            connection = await psycopg.AsyncConnection.connect(self._url, autocommit=True)
                        with self._time_limit(connection):
                            await self._set_up(connection)
                        self._connections[use] = connection
                    with self._time_limit(connection):
                        yield connection
                except psycopg.OperationalError as error:
                    if connection is None or connection.closed:
                        raise ConnectionError(str(error)) from error
                    raise

    async def _set_up(self, connection: Connection) -> None:
        timeout = f"{1000 * self._timeout_s:.0f}ms"
        settings = {
            "statement_timeout": timeout,
            "idle_in_transaction_session_timeout": timeout,
            "default_transaction_isolation": "read committed",  # after the wait for the lock, see what it protects
        }
        for setting in settings.items():
            await connection.execute("SELECT set_config(%s, %s, false)", setting)
        if not self._is_copy:
            await connection.execute(SCHEMA)
            await connection.execute(SET_RETENTION, (self.rules.retention_us,))

    @contextmanager
    def _time_limit(self, connection: Connection) -> Iterator[None]:
        """Shut the connection's socket down after `timeout_s`; psycopg has no time limit for queries."""

        def cut() -> None:
            with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as line:
                line.shutdown(socket.SHUT_RDWR)

        timer = asyncio.get_running_loop().call_later(self._timeout_s, cut)
        try:
            yield
        finally:
            timer.cancel()

    @asynccontextmanager
    async def _write(self) -> AsyncIterator[Connection]:
        """Yield a connection with a transaction that holds the lock."""
        async with self._connect("write") as connection, connection.pipeline(), connection.transaction():
            await connection.execute(LOCK)
            yield connection

    async def read(self, owners: Sequence[str]) -> list[list[StoredEntry]]:
        """See `Log.read`."""
        async with self._connect("read") as connection:
            rows = await (await connection.execute(READ, (list(owners),))).fetchall()
        logs: defaultdict[str, list[StoredEntry]] = defaultdict(list)
        for owner, *entry in rows:
            logs[owner].append(tuple(entry))
        return [logs[owner] for owner in owners]

    async def append(self, entries: Sequence[Entry], oldest_us: int) -> list[bool]:
        """See `Log.append`."""
        is_new: list[bool] = await self._appends.write(_Append(entries, oldest_us))
        return is_new

    async def _append_all(self, appends: Sequence[_Append]) -> list[list[bool]]:
        """Append the entries of several calls in one transaction."""
        entries = [entry for append in appends for entry in append.entries]
        oldest_us = max(append.oldest_us for append in appends)
        users = list(dict.fromkeys(entry.owner for entry in entries if entry.owner not in NOT_USERS))
        columns = {name: [getattr(entry, name) for entry in entries] for name in Entry._fields}
        caps = self.rules.caps
        capped = dict.fromkeys((entry.owner, entry.kind) for entry in entries if entry.kind in caps)
        n_times = len(users) + len(entries)
        async with self._write() as connection:
            latest = await connection.execute(TAKE_TIMES, (self.now_us(), n_times))
            ((latest_us,),) = await latest.fetchall()
            times = list(range(latest_us - n_times + 1, latest_us + 1))
            touched = {"users": users, "times": times[: len(users)], "day": DAY_US, "expired": oldest_us - DAY_US}
            await connection.execute(TOUCH_USERS, touched)
            columns["us"] = times[len(users) :]
            await connection.execute(REMOVE_REPLACED, columns)
            appended = await connection.execute(APPEND, columns)
            new_us = {us for (us,) in await appended.fetchall()}
            told = [
                (entry.owner, entry.list_key)
                for entry, us in zip(entries, columns["us"], strict=True)
                if us in new_us and entry.list_key
            ]
            if told:
                await connection.execute(SET_TOLD, _transpose(told))
            if capped:
                await connection.execute(KEEP_NEWEST, _transpose((*pair, caps[pair[1]]) for pair in capped))
        is_new = iter([us in new_us for us in columns["us"]])
        return [[next(is_new) for _ in append.entries] for append in appends]

    async def find_facts(self) -> tuple[int, int]:
        """See `Log.find_facts`; waits for the write that took the latest time."""
        async with self._connect("read") as connection, connection.transaction():
            await connection.execute(WAIT)
            ((latest_us, retention_us),) = await (await connection.execute(FACTS)).fetchall()
        return latest_us, retention_us

    async def find_owners(self, since_us: int) -> AsyncIterator[list[str]]:
        """See `Log.find_owners`."""
        async with self._connect("read") as connection:
            rows = await (await connection.execute(CHANGED, (since_us,))).fetchall()
        for start in range(0, len(rows), SCAN_BATCH):
            yield [owner for (owner,) in rows[start : start + SCAN_BATCH]]

    async def delete(self, owner: str) -> None:
        """See `Log.delete`."""
        async with self._write() as connection:
            await connection.execute(DELETE, (owner,))

    async def purge(self, oldest_us: int) -> None:
        """See `Log.purge`."""
        for statement, until_us in zip(PURGE, (oldest_us, oldest_us - DAY_US), strict=True):
            n_removed = PURGE_BATCH
            while n_removed:
                async with self._write() as connection:
                    removed = await connection.execute(statement, (until_us,))
                n_removed = removed.rowcount

    async def back_up(self, target: Path) -> None:
        """Raise `StoreError`: Postgres makes its own backups."""
        raise StoreError(f"{self._server.name} cannot be backed up to {target}; use pg_dump instead.")

    async def close(self) -> None:
        """Finish pending calls and close all connections."""
        async with self._appends.lock, self._locks["read"], self._locks["write"]:
            for connection in self._connections.values():
                await connection.close()


def _transpose(rows: Any) -> tuple[list[Any], ...]:
    """Return the columns of rows."""
    return tuple(map(list, zip(*rows, strict=True)))


def _find_host(url: str) -> str:
    """Return host and port of a URL, without user and password."""
    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError:  # the message quotes the URL, which may contain a password
        parts = {"port": "unreadable"}
    port = str(parts.get("port", 5432))
    if not port.replace(",", "").isdigit():
        raise ConfigError(
            "store: the URL of Postgres is not valid; give postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with special "
            "characters of user and password percent-encoded."
        )
    return f"{parts.get('host') or 'localhost'}:{port}"
