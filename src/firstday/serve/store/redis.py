"""Log in Redis, for several workers, possibly on several machines."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any
from urllib.parse import urlsplit

from firstday.errors import MissingExtraError
from firstday.serve.store.base import DAY_US, NOT_USERS, Entry, Log, Retention, StoredEntry, now_us
from firstday.serve.store.cool_down import CoolDown

try:
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import ConnectionError as RedisConnectionError
    from redis.exceptions import RedisError
    from redis.exceptions import TimeoutError as RedisTimeoutError
except ModuleNotFoundError:  # pragma: no cover
    raise MissingExtraError("the Redis store", "redis") from None

APPEND = """
-- KEYS: clock, retention, users by time of their last entry;
-- per owner: the log (hash: ID to 'TIME KIND IS_TOLD BODY'), ids by time of each capped kind
-- ARGV: time, retention in ms, oldest unexpired time, capped kinds, caps; per owner: (id of a user or false, entries)
-- Entry: number, kind, ID, body, replace_before_us, ID of the list whose impressions it reports
local latest, now, ttl = tonumber(redis.call('GET', KEYS[1]) or 0), tonumber(ARGV[1]), tonumber(ARGV[2])
local oldest, kinds, caps = tonumber(ARGV[3]), cjson.decode(ARGV[4]), cjson.decode(ARGV[5])
local result = {}
local function next_us()
  latest = math.max(latest + 1, now)
  return string.format('%.0f', latest)
end
for number, owner in ipairs(cjson.decode(ARGV[6])) do
  local first = 4 + (number - 1) * (1 + #kinds)
  local log, sets = KEYS[first], {}
  local function time_of(id)
    local text = redis.call('HGET', log, id)
    return text and tonumber(string.match(text, '%d+'))
  end
  local function remove(set, ids)
    for _, id in ipairs(ids) do
      redis.call('ZREM', set, id)
      redis.call('HDEL', log, id)
    end
  end
  if owner[1] then
    if (time_of('user') or now) < oldest then redis.call('DEL', unpack(KEYS, first, first + #kinds)) end
    local seen = next_us()
    local contact = string.match(redis.call('HGET', log, 'user') or '', '%d+$') or seen
    redis.call('HSET', log, 'user', seen .. ' user 0 ' .. contact)
  end
  for i, kind in ipairs(kinds) do
    sets[kind] = KEYS[first + i]
    remove(sets[kind], redis.call('ZRANGEBYSCORE', sets[kind], '-inf', '(' .. ARGV[3]))
  end
  for _, entry in ipairs(owner[2]) do
    local number, kind, id, body, since, list = unpack(entry)
    local is_new = (time_of(id) or -1) < since
    if is_new then
      local us = next_us()
      redis.call('HSET', log, id, us .. ' ' .. kind .. ' 0 ' .. body)
      if sets[kind] then redis.call('ZADD', sets[kind], us, id) end
      local shown = list and redis.call('HGET', log, list)
      if shown then
        local shown_us, shown_body = string.match(shown, '^(%d+) list %d (.*)$')
        redis.call('HSET', log, list, shown_us .. ' list 1 ' .. shown_body)
      end
    end
    result[number] = is_new and 1 or 0
  end
  for i, kind in ipairs(kinds) do
    local excess = redis.call('ZCARD', sets[kind]) - caps[i]
    if excess > 0 then remove(sets[kind], redis.call('ZRANGE', sets[kind], 0, excess - 1)) end
  end
  if owner[1] then
    redis.call('ZADD', KEYS[3], string.format('%.0f', latest), owner[1])
    for i = first, ttl > 0 and first + #kinds or 0 do redis.call('PEXPIRE', KEYS[i], ttl) end
  end
end
redis.call('MSET', KEYS[1], string.format('%.0f', latest), KEYS[2], string.format('%.0f', ttl))
return result
"""
"""Atomically appends the entries of several owners, by the same rules as in SQLite. Times increase strictly across
workers. The retention is stored for `firstday export`, which does not know the service's settings."""


class RedisLog(Log):
    """A log in Redis.

    Acknowledged writes survive the end of this process. Whether they survive the end of Redis depends on its
    persistence settings. After a failed connection, calls fail at once for `retry_s` seconds. A call times out after
    `timeout_s` seconds. All keys start with `prefix`.
    """

    def __init__(
        self,
        url: str,
        rules: Retention,
        prefix: str = "firstday",
        timeout_s: float = 1.0,
        retry_s: float = 1.0,
        now_us: Callable[[], int] = now_us,
    ) -> None:
        self.rules, self.now_us = rules, now_us
        self._prefix = prefix
        self._facts = (f"{prefix}:clock", f"{prefix}:retention")
        self._users = f"{prefix}:users"
        self._server = CoolDown(
            f"store: Redis at {urlsplit(url).netloc.rpartition('@')[2]}",
            retry_s,
            RedisError,
            lambda error: isinstance(error, RedisConnectionError | RedisTimeoutError),
        )
        self._redis: Redis = Redis.from_url(
            url,
            decode_responses=True,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            # One immediate retry: an idle connection may have been closed.
            retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
            max_connections=64,
        )
        self._append = self._redis.register_script(APPEND)

    def _keys(self, owner: str) -> list[str]:
        """Return an owner's keys: the log, and a sorted set for each capped kind."""
        return [f"{self._prefix}:{kind}:{owner}" for kind in ("log", *self.rules.caps)]

    async def read(self, owners: Sequence[str], since_us: int = 0) -> list[list[StoredEntry]]:
        """See `Log.read`."""
        pipe = self._redis.pipeline(transaction=False)
        logs: list[list[StoredEntry]] = []
        with self._server.call():
            for owner in owners:
                log = self._keys(owner)[0]
                if since_us:
                    by_time = f"{self._prefix}:{owner}:{owner}"
                    pipe.hmget(log, ["", *await self._redis.zrange(by_time, f"({since_us}", "+inf", byscore=True)])
                else:
                    pipe.hvals(log)
            found = await pipe.execute()
        for texts in found:
            parts = (text.split(" ", 3) for text in texts if text)  # some may have been removed meanwhile
            entries = ((kind, int(us), is_told == "1", body) for us, kind, is_told, body in parts)
            logs.append(sorted(entries, key=itemgetter(1)))
        return logs

    async def append(self, entries: Sequence[Entry], oldest_us: int) -> list[bool]:
        """See `Log.append`."""
        by_owner: defaultdict[str, list[Any]] = defaultdict(list)
        for number, entry in enumerate(entries, 1):
            # Omit `list_key`, the last value, if it is None: cjson.null is truthy in Lua.
            by_owner[entry.owner].append([number, *(value for value in entry[1:] if value is not None)])
        caps = self.rules.caps
        values = (
            list(caps),
            list(caps.values()),
            [(owner not in NOT_USERS and owner, rows) for owner, rows in by_owner.items()],
        )
        with self._server.call():
            is_new = await self._append(
                keys=[*self._facts, self._users, *(key for owner in by_owner for key in self._keys(owner))],
                args=[self.now_us(), self.rules.retention_us // 1000, oldest_us, *map(json.dumps, values)],
            )
        return [new == 1 for new in is_new]

    async def find_facts(self) -> tuple[int, int]:
        """See `Log.find_facts`."""
        with self._server.call():
            latest_us, retention_ms = await self._redis.mget(self._facts)
        return int(latest_us or 0), 1000 * int(retention_ms or 0)

    async def find_owners(self, since_us: int) -> list[str]:
        """See `Log.find_owners`."""
        with self._server.call():
            found = await self._redis.zrange(self._users, f"({since_us}", "+inf", byscore=True)
        return sorted(map(str, found))

    async def delete(self, owner: str) -> None:
        """See `Log.delete`."""
        pipe = self._redis.pipeline()
        pipe.unlink(*self._keys(owner))
        pipe.zrem(self._users, owner)
        with self._server.call():
            await pipe.execute()

    async def purge(self, oldest_us: int) -> None:
        """Forget users whose keys have expired in Redis; each append removes a user's expired entries."""
        with self._server.call():
            await self._redis.zremrangebyscore(self._users, "-inf", oldest_us - DAY_US)

    async def close(self) -> None:
        """Close all connections."""
        await self._redis.aclose()
