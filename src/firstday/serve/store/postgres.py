"""Log in Postgres, for several workers, possibly on several machines."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

from firstday.errors import ConfigError, MissingExtraError
from firstday.serve.store.cool_down import CoolDown
from firstday.serve.store.group_commit import GroupCommit
from firstday.serve.store.log import (
    ALWAYS,
    DAY_US,
    EXPIRING_SQL,
    FIELDS,
    ITEM_KINDS_SQL,
    ITEMS,
    NOT_USERS,
    REMOVAL,
    Entry,
    Log,
    Retention,
    StoredEntry,
    keep_unexpired,
)

try:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict
except ImportError:  # pragma: no cover
    raise MissingExtraError("the Postgres store", "postgres") from None

Connection = psycopg.AsyncConnection[Any]

PURGE_BATCH = 5_000
"""Maximum number of entries removed per transaction, so that other writes do not wait long."""

NOW_US = "(extract(epoch FROM now()) * 1000000)::bigint"
OLDEST_US = f"coalesce({NOW_US} - nullif(%(retention_us)s::bigint, 0), 0)"
"""The time before which entries have expired; 0 if retention is unlimited."""

SESSION = """SET statement_timeout = '{timeout_s}s'; SET default_transaction_isolation = 'read committed';"""
"""The server ends what takes too long before the client does, so that none of it is stored. Each statement sees what
was committed before it."""
SCHEMA = """SET jit = off; SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;
DO $$ BEGIN
IF to_regclass('firstday_log') IS NULL THEN
  PERFORM pg_advisory_xact_lock(hashtext('firstday_log'));
  CREATE TABLE IF NOT EXISTS firstday_log (
    owner TEXT COLLATE "C", id TEXT COLLATE "C", kind TEXT COLLATE "C" NOT NULL, us BIGINT NOT NULL,
    is_told BOOLEAN NOT NULL DEFAULT false, body TEXT NOT NULL, PRIMARY KEY (owner, id));
  CREATE INDEX IF NOT EXISTS firstday_log_by_time ON firstday_log (us, kind);
  CREATE INDEX IF NOT EXISTS firstday_items_by_time ON firstday_log (kind, (us + 0)) WHERE kind < ' ';
  CREATE SEQUENCE IF NOT EXISTS firstday_latest MINVALUE 0 START 0;
END IF;
END $$;
INSERT INTO firstday_log AS log (owner, id, kind, us, body) VALUES ('', 'retention', 'retention', {retention_us}, '')
ON CONFLICT (owner, id) DO UPDATE SET us = excluded.us WHERE log.us != excluded.us"""
"""Plans use indexes alone, since those made for a small table stay in use while it grows. Creates nothing if the table
exists, for roles without the right to create; a lock keeps two workers from doing so at once. The sequence holds the
time of the last entry. The retention is stored for `firstday export`."""
LOCK = "SELECT pg_advisory_xact_lock('firstday_log'::regclass::bigint)"
"""A writing transaction holds this lock until its end, so that entries become readable in the order of their times. It
leaves no dead rows behind, unlike a lock on a row that holds the time."""
FACTS = "SELECT last_value, us FROM firstday_latest, firstday_log WHERE owner = '' AND id = 'retention'"
READ = f"""SELECT owner, kind, us, is_told, body FROM firstday_log WHERE owner = ANY(%(owners)s)
UNION ALL SELECT NULL, 'now', {NOW_US}, false, '' ORDER BY us"""  # noqa: S608
READ_ITEMS = f"""(SELECT owner, kind, us, is_told, body FROM firstday_log
WHERE owner || '' = ANY(%(owners)s) AND kind IN {ITEM_KINDS_SQL} AND us + 0 > %(since_us)s
ORDER BY us + 0 LIMIT %(limit)s)
UNION ALL SELECT NULL, 'now', {NOW_US}, false, '' ORDER BY us"""  # noqa: S608
"""Reads the index of items by time alone: those by owner and by the time of all entries do not serve the conditions."""
DELETE = """DELETE FROM firstday_log WHERE owner = ANY(%(owners)s) AND NOT EXISTS (SELECT FROM firstday_log
  WHERE owner = ANY(%(owners)s) AND kind IN ('alias', 'guest') AND us + 0 > %(until_us)s)"""
IS_DELETED = "SELECT NOT EXISTS (SELECT FROM firstday_log WHERE owner = ANY(%(owners)s))"

FIRST_US = "((SELECT last_value FROM firstday_latest) - %(n)s::bigint)"
"""The first time that a transaction has taken: that of `user` entries; those of the other `n` entries follow."""
TAKE_TIMES = f"""SELECT setval('firstday_latest', greatest(last_value + 1, {NOW_US}) + %(n)s::bigint)
FROM firstday_latest"""  # noqa: S608
TOUCH_USERS = f"""WITH touched AS (
  INSERT INTO firstday_log AS log (owner, id, kind, us, body)
  SELECT DISTINCT owner, 'user', 'user', {FIRST_US}, {FIRST_US}::text FROM unnest(%(owner)s::text[]) AS seen (owner)
  WHERE owner != ALL (%(not_users)s::text[]) AND NOT EXISTS (SELECT FROM firstday_log AS old
    WHERE old.owner = seen.owner AND old.id = 'user' AND old.us + 0 >= {FIRST_US} - {DAY_US})
  ON CONFLICT (owner, id) DO UPDATE SET us = excluded.us,
    body = CASE WHEN log.us < {OLDEST_US} - {DAY_US} THEN excluded.body ELSE log.body END
  RETURNING owner, body::bigint AS first_us)
DELETE FROM firstday_log AS log USING touched
WHERE log.owner = touched.owner AND log.us + 0 < touched.first_us AND log.id != 'user'"""  # noqa: S608
"""Upserts `user` entries whose time lags more than a day behind. An expired user counts as new; the remaining entries
are removed. Adding 0 keeps Postgres from using the index by time, which spans all owners."""
REMOVE_REPLACED = f"""DELETE FROM firstday_log AS log
USING unnest(%(owner)s::text[], %(id)s::text[], %(replace_before_us)s::bigint[]) AS entry (owner, id, before_us)
WHERE log.owner = entry.owner AND log.id = entry.id
  AND (log.us + 0 < entry.before_us OR log.us + 0 < {OLDEST_US} AND log.kind IN ({EXPIRING_SQL}))"""  # noqa: S608
APPEND = f"""INSERT INTO firstday_log (owner, kind, id, body, us)
SELECT owner, kind, id, body, {FIRST_US} + number FROM unnest(%(owner)s::text[], %(kind)s::text[], %(id)s::text[],
  %(body)s::text[], %(replace_before_us)s::bigint[]) WITH ORDINALITY AS entry (owner, kind, id, body, before_us, number)
WHERE kind != '{REMOVAL}'
ORDER BY before_us DESC, CASE WHEN before_us = {ALWAYS} THEN -number ELSE number END
ON CONFLICT DO NOTHING RETURNING us - {FIRST_US}"""  # noqa: S608
"""Returns the numbers of new entries, from 1. Of entries with the same id, that which may replace the newest one is
appended: of several, the first, or the last if it always replaces."""
SET_TOLD = f"""UPDATE firstday_log AS list SET is_told = true
FROM unnest(%(owner)s::text[], %(id)s::text[], %(list_key)s::text[])
  WITH ORDINALITY AS entry (owner, id, list_key, number)
JOIN firstday_log AS new ON new.owner = entry.owner AND new.id = entry.id AND new.us + 0 = {FIRST_US} + number
WHERE list.owner = entry.owner AND list.id = entry.list_key AND entry.list_key IS NOT NULL"""  # noqa: S608
KEEP_NEWEST = """WITH capped AS MATERIALIZED (
  SELECT owner, kind, (SELECT us FROM firstday_log AS log WHERE log.owner = entry.owner AND log.kind = entry.kind
    ORDER BY us + 0 DESC LIMIT 1 OFFSET cap) AS newest_us
  FROM (SELECT DISTINCT * FROM unnest(%(owner)s::text[], %(kind)s::text[]) AS entry (owner, kind)) AS entry
  JOIN unnest(%(kinds)s::text[], %(caps)s::bigint[]) AS caps (kind, cap) USING (kind) WHERE owner != kind)
DELETE FROM firstday_log AS log USING capped
WHERE log.owner = capped.owner AND log.kind = capped.kind AND log.us + 0 <= newest_us AND newest_us IS NOT NULL"""
KEEP_NEWEST_ITEMS = f"""DELETE FROM firstday_log WHERE EXISTS (
  SELECT FROM unnest(%(owner)s::text[], %(kind)s::text[]) AS entry (of_entry, kind_of_entry)
  WHERE of_entry = '{ITEMS}' AND kind_of_entry = '{ITEMS}')
AND owner || '' = '{ITEMS}' AND kind = '{ITEMS}' AND us + 0 <= (SELECT us + 0 FROM firstday_log
  WHERE owner || '' = '{ITEMS}' AND kind = '{ITEMS}' ORDER BY us + 0 DESC LIMIT 1 OFFSET
  (SELECT cap FROM unnest(%(kinds)s::text[], %(caps)s::bigint[]) AS caps (kind, cap) WHERE kind = '{ITEMS}'))"""  # noqa: S608
"""The same by the index of items."""
WRITE = TAKE_TIMES, TOUCH_USERS, REMOVE_REPLACED, APPEND, SET_TOLD, KEEP_NEWEST, KEEP_NEWEST_ITEMS
PURGE = (
    f"""DELETE FROM firstday_log WHERE (owner, id) IN
    (SELECT owner, id FROM firstday_log WHERE kind IN ({EXPIRING_SQL}) AND us < {OLDEST_US} LIMIT {PURGE_BATCH})""",  # noqa: S608
    f"""DELETE FROM firstday_log WHERE owner IN
    (SELECT owner FROM firstday_log WHERE kind = 'user' AND us < {OLDEST_US} - {DAY_US} LIMIT {PURGE_BATCH})""",  # noqa: S608
)
CHANGED = f"""SELECT DISTINCT owner FROM firstday_log
WHERE us > %s AND kind IN {tuple(FIELDS)} AND owner != '' ORDER BY owner"""  # noqa: S608


class PostgresLog(Log):
    """A log in the current schema of a Postgres database: a table ``firstday_log`` and a sequence ``firstday_latest``.

    Acknowledged writes are as durable as the server's commits. After a failed connection, calls fail at once for
    `retry_s` seconds. A call times out after `timeout_s` seconds; a write that timed out may have been stored. There is
    one connection to read and one to write, with group commit. With `read_only`, nothing is created.

    Raises `ConfigError` if the URL is not valid.
    """

    def __init__(
        self,
        url: str,
        rules: Retention,
        timeout_s: float = 1.0,
        retry_s: float = 1.0,
        *,
        read_only: bool = False,
    ) -> None:
        try:
            int(str(conninfo_to_dict(url).get("port", 0)).replace(",", ""))  # one per host
        except (psycopg.ProgrammingError, ValueError):  # its message may quote the password
            raise ConfigError(
                "store: the URL of Postgres is not valid; give postgresql://USER:PASSWORD@HOST:PORT/DATABASE, and "
                "percent-encode special characters."
            ) from None
        self.rules, self.now_us = rules, 0
        self._url, self._timeout_s = url, timeout_s
        self._set_up = (SESSION if read_only else SESSION + SCHEMA).format(
            timeout_s=0.8 * timeout_s, retention_us=rules.retention_us
        )
        self._server = CoolDown("store: Postgres", retry_s, psycopg.Error, lambda error: not error.sqlstate)
        self._connections: dict[str, Connection] = {}
        self._locks = {use: asyncio.Lock() for use in ("read", "write")}
        self._appends = GroupCommit(self._append)

    @asynccontextmanager
    async def _connect(self, use: str) -> AsyncIterator[Connection]:
        """Yield the connection for a use, to one caller at a time; open it if there is none, or it was lost."""
        async with self._locks[use]:
            with self._server.call():
                connection = self._connections.get(use)
                if connection is None or connection.closed:
                    connection = self._connections[use] = await self._open()
                with self._time_limit(connection):
                    yield connection

    async def _open(self) -> Connection:
        async with asyncio.timeout(self._timeout_s):
            connection = await psycopg.AsyncConnection.connect(self._url, autocommit=True)
        with self._time_limit(connection):
            await connection.execute(self._set_up)
        return connection

    @contextmanager
    def _time_limit(self, connection: Connection) -> Iterator[None]:
        """Shut the connection's socket down after `timeout_s`; psycopg has no time limit for queries."""
        is_cut = False

        def cut() -> None:
            nonlocal is_cut
            is_cut = True
            with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as line:
                line.shutdown(socket.SHUT_RDWR)

        timer = asyncio.get_running_loop().call_later(self._timeout_s, cut)
        try:
            yield
        except psycopg.OperationalError as error:
            if is_cut:
                raise TimeoutError from error
            raise
        finally:
            timer.cancel()

    async def _write(self, values: Any, *statements: str) -> psycopg.AsyncClientCursor[Any]:
        """Run statements in one transaction that holds the lock; return a cursor at the last result.

        They are one message: the server does not wait, holding the lock, for a process that hangs while it sends them.
        """
        async with self._connect("write") as connection:
            cursor = psycopg.AsyncClientCursor(connection)
            await cursor.execute(";".join((LOCK, *statements)), values)
            return await cursor.set_result(-1)

    async def read(self, owners: Sequence[str], since_us: int = -1) -> list[list[StoredEntry]]:
        """See `Log.read`."""
        async with self._connect("read") as connection:
            values = {"owners": list(owners), "since_us": since_us, "limit": self.rules.items_at_once}
            found = await connection.execute(READ_ITEMS if since_us >= 0 else READ, values)
        logs: defaultdict[str | None, list[StoredEntry]] = defaultdict(list)
        for owner, *entry in await found.fetchall():
            logs[owner].append(tuple(entry))
        ((_, self.now_us, *_),) = logs[None]
        oldest_us = self.rules.oldest_us(self.now_us)
        return [keep_unexpired(owner, logs[owner], oldest_us) for owner in owners]

    async def append(self, entries: Sequence[Entry]) -> list[bool]:
        """See `Log.append`."""
        return await self._appends.write(entries)

    async def _append(self, entries: Sequence[Entry]) -> list[bool]:
        """Append entries in one transaction."""
        caps = self.rules.caps
        values = {name: [getattr(entry, name) for entry in entries] for name in Entry._fields} | {
            "retention_us": self.rules.retention_us,
            "n": len(entries),
            "not_users": list(NOT_USERS),
            "kinds": list(caps),
            "caps": list(caps.values()),
        }
        done = await self._write(values, *WRITE)
        await done.set_result(1 + WRITE.index(APPEND))
        new = {number for (number,) in await done.fetchall()}
        return [number in new for number in range(1, len(entries) + 1)]

    async def find_facts(self) -> tuple[int, int]:
        """See `Log.find_facts`."""
        found = await self._write((), FACTS)
        ((latest_us, retention_us),) = await found.fetchall()
        return latest_us, retention_us

    async def find_owners(self, since_us: int) -> list[str]:
        """See `Log.find_owners`."""
        async with self._connect("read") as connection:
            changed = await connection.execute(CHANGED, (since_us,))
        return [owner for (owner,) in await changed.fetchall()]

    async def delete(self, owners: Sequence[str], until_us: int) -> bool:
        """See `Log.delete`."""
        values = {"owners": list(owners), "until_us": until_us}
        ((is_deleted,),) = await (await self._write(values, DELETE, IS_DELETED)).fetchall()
        return is_deleted

    async def purge(self) -> None:
        """See `Log.purge`."""
        for statement in PURGE:
            while (await self._write({"retention_us": self.rules.retention_us}, statement)).rowcount:
                pass

    async def close(self) -> None:
        """Finish pending calls and close all connections."""
        async with self._appends.lock, self._locks["read"], self._locks["write"]:
            for connection in self._connections.values():
                await connection.close()
