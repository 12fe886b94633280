"""The store in Redis, for several workers on several machines."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from firstday.errors import MissingExtraError
from firstday.serve.store.base import Clock, Event, Profile, Rules, StoredUser, StoreError, read_profile, write_profile

try:
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import ConnectionError as RedisConnectionError
    from redis.exceptions import RedisError
    from redis.exceptions import TimeoutError as RedisTimeoutError
except ModuleNotFoundError:  # pragma: no cover
    raise MissingExtraError("the Redis store", "redis") from None

T = TypeVar("T")

CONNECTIONS = 64

ADD = """
-- KEYS: for each user the ids in the order of receipt (a sorted set) and the events by id (a hash)
-- ARGV: the cap, the time before which everything has expired, the time to live in ms, and for each user the events
local cap, oldest, ttl = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local function forget(order, events, ids)
  for _, id in ipairs(ids) do
    redis.call('ZREM', order, id)
    redis.call('HDEL', events, id)
  end
end
local added = 0
for number, new in ipairs(cjson.decode(ARGV[4])) do
  local order, events = KEYS[2 * number - 1], KEYS[2 * number]
  forget(order, events, redis.call('ZRANGEBYSCORE', order, '-inf', '(' .. oldest))
  for _, event in ipairs(new) do
    if redis.call('HSETNX', events, event[1], event[3]) == 1 then
      redis.call('ZADD', order, event[2], event[1])
      added = added + 1
    end
  end
  local over = redis.call('ZCARD', order) - cap
  if over > 0 then forget(order, events, redis.call('ZRANGE', order, 0, over - 1)) end
  if ttl > 0 then
    redis.call('PEXPIRE', order, ttl)
    redis.call('PEXPIRE', events, ttl)
  end
end
return added
"""
"""Adds events of several users in one step; the same rules as in SQLite."""


class RedisStore:
    """Signals in Redis: what it has acknowledged outlives this process, and itself as far as its own settings go.

    After a call that did not reach it, it is left alone for a while, so that nobody waits for it.

    Parameters
    ----------
    url
        Of the server.
    rules
        What is kept.
    prefix
        What every key begins with.
    timeout_s
        How long a call may take.
    retry_s
        How long it is left alone.
    clock
        Tells the time.
    """

    name = "redis"

    def __init__(
        self,
        url: str,
        rules: Rules,
        *,
        prefix: str = "firstday",
        timeout_s: float = 1.0,
        retry_s: float = 1.0,
        clock: Clock | None = None,
    ) -> None:
        self._rules, self._prefix, self._retry_s = rules, prefix, retry_s
        self._clock = clock or Clock()
        self._where = urlsplit(url).netloc.rpartition("@")[2]
        self._redis: Redis = Redis.from_url(
            url,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            # Once more at once: the connection may have been closed while it was idle.
            retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
            max_connections=CONNECTIONS,
        )
        self._add = self._redis.register_script(ADD)
        self._alone_until = 0.0

    def _keys(self, user_id: str) -> tuple[str, str, str]:
        """Return the keys of a user's profile, ids in order, and events."""
        return tuple(f"{self._prefix}:{what}:{user_id}" for what in ("profile", "order", "events"))  # type: ignore[return-value]

    async def _call(self, call: Callable[[], Awaitable[T]]) -> T:
        """Call Redis, unless it failed a moment ago."""
        if time.monotonic() < self._alone_until:
            raise StoreError(f"store: Redis at {self._where} could not be reached a moment ago; try again in a second.")
        try:
            return await call()
        except (RedisConnectionError, RedisTimeoutError, OSError) as error:
            self._alone_until = time.monotonic() + self._retry_s
            raise StoreError(
                f"store: Redis at {self._where} cannot be reached ({type(error).__name__}); try again in a second."
            ) from error
        except RedisError as error:
            raise StoreError(f"store: Redis at {self._where} refused ({error}); see its log.") from error

    async def read(self, user_ids: Sequence[str]) -> list[StoredUser]:
        """Return what is known of each user."""

        async def call() -> list[Any]:
            pipe = self._redis.pipeline(transaction=False)
            for user_id in user_ids:
                profile, _, events = self._keys(user_id)
                pipe.get(profile)
                pipe.hgetall(events)
            return await pipe.execute()

        answers = await self._call(call)
        oldest = self._rules.oldest_us(self._clock.now_us())
        return [_user(answers[at], answers[at + 1], oldest) for at in range(0, len(answers), 2)]

    async def put(self, user_id: str, profile: Profile) -> None:
        """Replace a user's profile, picks and friends."""
        put_us = self._clock.next_us()
        key = self._keys(user_id)[0]
        value = f"{put_us}\n{write_profile(profile)}"
        ttl_ms = self._rules.retention_us // 1000 or None
        await self._call(lambda: self._redis.set(key, value, px=ttl_ms))

    async def add(self, events: Sequence[tuple[str, Event]]) -> int:
        """Add events of users, all or none; return how many were new."""
        by_user: dict[str, list[tuple[str, str, str]]] = {}
        for user_id, event in events:
            received_us = self._clock.next_us()
            values = [received_us, event.signal, event.entity, event.entity_id, event.timestamp_ms]
            text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
            by_user.setdefault(user_id, []).append((event.event_id, str(received_us), text))
        keys = [key for user_id in by_user for key in self._keys(user_id)[1:]]
        oldest = self._rules.oldest_us(self._clock.now_us())
        batch = json.dumps(list(by_user.values()), ensure_ascii=False, separators=(",", ":"))
        limits = [self._rules.max_events_per_user, oldest, self._rules.retention_us // 1000]
        return int(await self._call(lambda: self._add(keys=keys, args=[*limits, batch])))

    async def delete(self, user_id: str) -> None:
        """Forget a user."""
        await self._call(lambda: self._redis.unlink(*self._keys(user_id)))

    async def purge(self) -> int:
        """Remove nothing: Redis lets a user's keys expire, and what expires earlier goes with the next event."""
        return 0

    async def back_up(self, target: Path) -> None:
        """Refuse: Redis keeps copies of its own."""
        raise StoreError(f"store: Redis at {self._where} is not copied to {target}; let it keep copies of its own.")

    async def ping(self) -> None:
        """Find out whether Redis answers."""
        await self._call(self._redis.ping)

    async def close(self) -> None:
        """Close all connections."""
        await self._redis.aclose()


def _user(stored: bytes | None, events: dict[bytes, bytes], oldest: int) -> StoredUser:
    """Read a user from what Redis holds, without what has expired."""
    profile = None
    if stored is not None:
        put_us, _, text = stored.partition(b"\n")
        if int(put_us) >= oldest:
            profile = read_profile(text, int(put_us))
    live = []
    for event_id, text in events.items():
        received_us, signal, entity, entity_id, timestamp_ms = json.loads(text)
        if received_us >= oldest:
            live.append(Event(event_id.decode(), signal, entity, entity_id, timestamp_ms, received_us))
    return StoredUser(profile, tuple(sorted(live, key=lambda event: event.received_us)))
