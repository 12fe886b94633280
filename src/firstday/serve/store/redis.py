"""Log in Redis, for several workers, possibly on several machines."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from operator import itemgetter
from typing import Any
from urllib.parse import urlsplit

from firstday.errors import MissingExtraError
from firstday.serve.store.cool_down import CoolDown
from firstday.serve.store.log import (
    DAY_US,
    KEPT_ITEMS,
    NOT_USERS,
    Entry,
    Log,
    Retention,
    StoredEntry,
    keep_unexpired,
)

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
-- per owner: the log (hash: ID to 'TIME KIND IS_TOLD BODY'), ids by time of each indexed kind
-- ARGV: retention in microseconds, indexed kinds, caps of the first ones; per owner: (id of a user or false, entries)
-- Entry: number, kind, ID, body, replace_before_us, ID of the list whose impressions it reports
local latest, retention, time = tonumber(redis.call('GET', KEYS[1]) or 0), tonumber(ARGV[1]), redis.call('TIME')
local now, kinds, caps = time[1] * 1000000 + time[2], cjson.decode(ARGV[2]), cjson.decode(ARGV[3])
local oldest = retention > 0 and now - retention or 0
local result = {}
local function next_us()
  latest = math.max(latest + 1, now)
  return string.format('%.0f', latest)
end
for number, owner in ipairs(cjson.decode(ARGV[4])) do
  local first = 4 + (number - 1) * (1 + #kinds)
  local log, sets = KEYS[first], {}
  local function time_of(id)
    local us, kind = string.match(redis.call('HGET', log, id) or '', '^(%d+) (%S+)')
    return tonumber(us), kind
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
    if caps[i] then
      remove(sets[kind], redis.call('ZRANGEBYSCORE', sets[kind], '-inf', string.format('(%.0f', oldest)))
    end
  end
  for _, entry in ipairs(owner[2]) do
    local number, kind, id, body, since, list = unpack(entry)
    local old_us, old_kind = time_of(id)
    local is_new = (old_us or -1) < since
    if kind == 'removal' then
      if is_new and old_us then remove(sets[old_kind], {id}) end
    elseif is_new then
      local us = next_us()
      if sets[old_kind] then redis.call('ZREM', sets[old_kind], id) end
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
  for i, cap in ipairs(caps) do
    local excess = redis.call('ZCARD', sets[kinds[i]]) - cap
    if excess > 0 then remove(sets[kinds[i]], redis.call('ZRANGE', sets[kinds[i]], 0, excess - 1)) end
  end
  if owner[1] then
    redis.call('ZADD', KEYS[3], string.format('%.0f', latest), owner[1])
    for i = first, retention > 0 and first + #kinds or 0 do
      redis.call('PEXPIRE', KEYS[i], string.format('%.0f', retention / 1000))
    end
  end
end
redis.call('MSET', KEYS[1], string.format('%.0f', latest), KEYS[2], ARGV[1])
return result
"""
"""Atomically appends the entries of several owners, by the same rules as in SQLite. Times increase strictly across
workers. The retention is stored for `firstday export`, which does not know the service's settings."""
READ_ITEMS = """
-- KEYS: the log, and ids by time of each indexed kind
-- ARGV: time, maximum number of entries
local found, first = {}, {}
for i = 2, #KEYS do
  for _, id in ipairs(redis.call('ZRANGE', KEYS[i], '(' .. ARGV[1], '+inf', 'BYSCORE', 'LIMIT', 0, ARGV[2])) do
    found[#found + 1] = redis.call('HGET', KEYS[1], id)
  end
end
table.sort(found)
for i = 1, math.min(#found, tonumber(ARGV[2])) do first[i] = found[i] end
return first
"""
"""The first entries of indexed kinds after a time, in order of time, with which they begin."""
DELETE = """
-- KEYS: users by time of their last entry; the keys of each owner, its log first
-- ARGV: time of the last alias that may be deleted, owners
for i = 2, #KEYS, (#KEYS - 1) / (#ARGV - 1) do
  for _, text in ipairs(redis.call('HVALS', KEYS[i])) do
    local us, kind = string.match(text, '^(%d+) (%l+)')
    if (kind == 'alias' or kind == 'guest') and tonumber(us) > tonumber(ARGV[1]) then return 0 end
  end
end
for i = 2, #KEYS do redis.call('UNLINK', KEYS[i]) end
for i = 2, #ARGV do redis.call('ZREM', KEYS[1], ARGV[i]) end
return 1
"""


class RedisLog(Log):
    """A log in Redis.

    Acknowledged writes survive the end of this process. Whether they survive the end of Redis depends on its
    persistence settings. After a failed connection, calls fail at once for `retry_s` seconds. A call times out after
    `timeout_s` seconds. All keys start with `prefix`.

    Raises `ValueError`, which may quote the password, if the URL is not valid.
    """

    def __init__(
        self,
        url: str,
        rules: Retention,
        prefix: str = "firstday",
        timeout_s: float = 1.0,
        retry_s: float = 1.0,
    ) -> None:
        self.rules, self.now_us = rules, 0
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
        scripts = map(self._redis.register_script, (APPEND, DELETE, READ_ITEMS))
        self._append, self._delete, self._read_items = scripts

    def _keys(self, owner: str) -> list[str]:
        """Return an owner's keys: the log, and a sorted set for each indexed kind."""
        return [f"{self._prefix}:{kind}:{owner}" for kind in ("log", *self.rules.caps, KEPT_ITEMS)]

    async def read(self, owners: Sequence[str], since_us: int = -1) -> list[list[StoredEntry]]:
        """See `Log.read`."""
        pipe = self._redis.pipeline(transaction=False)
        logs: list[list[StoredEntry]] = []
        with self._server.call():
            for owner in owners:
                log, *by_time = self._keys(owner)
                if since_us >= 0:
                    limits = [since_us, self.rules.items_at_once]
                    await self._read_items(keys=[log, *by_time], args=limits, client=pipe)
                else:
                    pipe.hvals(log)
            pipe.time()
            *found, (seconds, us) = await pipe.execute()
        self.now_us = seconds * 1_000_000 + us
        oldest_us = self.rules.oldest_us(self.now_us)
        for owner, texts in zip(owners, found, strict=True):
            parts = (text.split(" ", 3) for text in texts)
            entries = ((kind, int(us), is_told == "1", body) for us, kind, is_told, body in parts)
            logs.append(keep_unexpired(owner, sorted(entries, key=itemgetter(1)), oldest_us))
        return logs

    async def append(self, entries: Sequence[Entry]) -> list[bool]:
        """See `Log.append`."""
        by_owner: defaultdict[str, list[Any]] = defaultdict(list)
        for number, entry in enumerate(entries, 1):
            # Omit `list_key`, the last value, if it is None: cjson.null is truthy in Lua.
            by_owner[entry.owner].append([number, *(value for value in entry[1:] if value is not None)])
        caps = self.rules.caps
        values = (
            [*caps, KEPT_ITEMS],
            list(caps.values()),
            [(owner not in NOT_USERS and owner, rows) for owner, rows in by_owner.items()],
        )
        with self._server.call():
            is_new = await self._append(
                keys=[*self._facts, self._users, *(key for owner in by_owner for key in self._keys(owner))],
                args=[self.rules.retention_us, *map(json.dumps, values)],
            )
        return [new == 1 for new in is_new]

    async def find_facts(self) -> tuple[int, int]:
        """See `Log.find_facts`."""
        with self._server.call():
            latest_us, retention_us = await self._redis.mget(self._facts)
        return int(latest_us or 0), int(retention_us or 0)

    async def find_owners(self, since_us: int) -> list[str]:
        """See `Log.find_owners`."""
        with self._server.call():
            found = await self._redis.zrange(self._users, f"({since_us}", "+inf", byscore=True)
        return sorted(map(str, found))

    async def delete(self, owners: Sequence[str], until_us: int) -> bool:
        """See `Log.delete`."""
        keys = [self._users, *(key for owner in owners for key in self._keys(owner))]
        with self._server.call():
            return await self._delete(keys=keys, args=[until_us, *owners]) == 1

    async def purge(self) -> None:
        """Forget users whose keys have expired in Redis; each append removes a user's expired entries."""
        with self._server.call():
            oldest_us = self.rules.oldest_us(self.now_us)
            await self._redis.zremrangebyscore(self._users, "-inf", oldest_us - DAY_US)

    async def close(self) -> None:
        """Close all connections."""
        await self._redis.aclose()
