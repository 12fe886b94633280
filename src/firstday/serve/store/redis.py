"""The store in Redis, for several workers on several machines."""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from firstday.errors import MissingExtraError
from firstday.serve.store.base import (
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
SCANNED_AT_ONCE = 500
"""Keys in a part of a scan, about."""

KINDS = ("user", "profile", "order", "events", "shown", "listed", "lists")
"""What Redis keeps of a user: a hash of when the store first heard of them and of their assignments, the profile, the
events' ids in the order of receipt (a sorted set), the events by id (a hash), the ids of those that are impressions,
and recorded lists as events are."""

_BEGIN = """
-- KEYS: the clock, for each user those of KINDS, and the retention
-- ARGV: the worker's time, the time to live in ms, and more
local latest, now, ttl = tonumber(redis.call('GET', KEYS[1]) or 0), tonumber(ARGV[1]), tonumber(ARGV[2])
local function next_us()
  latest = math.max(latest + 1, now)
  return string.format('%.0f', latest)
end
local function live(key)
  if ttl > 0 then redis.call('PEXPIRE', key, ttl) end
end
local function see(user)
  local expired = ttl > 0 and now - 1000 * ttl or 0
  if tonumber(redis.call('HGET', user, 'last') or now) < expired then redis.call('DEL', user) end
  redis.call('HSETNX', user, 'first', next_us())
  redis.call('HSET', user, 'last', next_us())
  live(user)
end
"""
_END = """
redis.call('MSET', KEYS[1], string.format('%.0f', latest), KEYS[#KEYS], string.format('%.0f', ttl))
return result
"""
"""All that is taken has a later time than all that was taken before, by whichever worker: one order of receipt.
How long things are kept, in ms, stands beside it, for who reads the store without the service's settings."""

ADD = f"""{_BEGIN}
local oldest, caps = ARGV[3], cjson.decode(ARGV[4])
local result = 0
local function forget(order, texts, ids)
  for _, id in ipairs(ids) do
    redis.call('ZREM', order, id)
    redis.call('HDEL', texts, id)
  end
end
local function tell(lists, id)
  local text = redis.call('HGET', lists, id)
  if text and string.sub(text, -3) ~= ',1]' then
    redis.call('HSET', lists, id, string.sub(text, 1, -2) .. ',1]')
  end
end
for number, new in ipairs(cjson.decode(ARGV[5])) do
  local at = 7 * number - 5
  see(KEYS[at])
  -- Where the ids of each kind are, where their texts are.
  local places = {{{{KEYS[at + 2], KEYS[at + 3]}}, {{KEYS[at + 4], KEYS[at + 3]}}, {{KEYS[at + 5], KEYS[at + 6]}}}}
  -- Lists have keys of their own; both kinds of events share one.
  local first, last = 1, 2
  if new[1][1] == 3 then first, last = 3, 3 end
  for kind = first, last do
    local place = places[kind]
    forget(place[1], place[2], redis.call('ZRANGEBYSCORE', place[1], '-inf', '(' .. oldest))
  end
  for _, entry in ipairs(new) do
    local place = places[entry[1]]
    if redis.call('HEXISTS', place[2], entry[2]) == 0 then
      local received = next_us()
      redis.call('HSET', place[2], entry[2], '[' .. received .. ',' .. entry[3])
      redis.call('ZADD', place[1], received, entry[2])
      if entry[4] then tell(KEYS[at + 6], entry[4]) end
      result = result + 1
    end
  end
  for kind = first, last do
    local place = places[kind]
    local over = redis.call('ZCARD', place[1]) - caps[kind]
    if over > 0 then forget(place[1], place[2], redis.call('ZRANGE', place[1], 0, over - 1)) end
    live(place[1])
    live(place[2])
  end
end
{_END}"""
"""Adds events, or lists, of several users in one step; the same rules as in SQLite.
A list of which the caller has said what was seen has a 1 at its end."""

PUT = f"""{_BEGIN}
see(KEYS[2])
redis.call('SET', KEYS[3], next_us() .. '\\n' .. ARGV[3])
live(KEYS[3])
local result = 1
{_END}"""
"""Puts a profile."""

ASSIGN = f"""{_BEGIN}
local result = {{}}
for number, entry in ipairs(cjson.decode(ARGV[3])) do
  local at = 7 * number - 5
  see(KEYS[at])
  local name = 'in ' .. entry[1]
  redis.call('HSETNX', KEYS[at], name, next_us() .. ' ' .. entry[2])
  result[number] = redis.call('HGET', KEYS[at], name)
end
{_END}"""
"""Gives users variants."""

START = f"""{_BEGIN}
redis.call('HSETNX', KEYS[2], ARGV[3], next_us())
local result = redis.call('HGET', KEYS[2], ARGV[3])
{_END}"""
"""Notes an experiment's name."""


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
        self._scripts = {name: self._redis.register_script(name) for name in (ADD, PUT, ASSIGN, START)}
        self._alone_until = 0.0

    def _keys(self, user_id: str) -> list[str]:
        """Return a user's keys, one for each of `KINDS`."""
        return [f"{self._prefix}:{kind}:{user_id}" for kind in KINDS]

    async def _run(self, script: str, keys: Sequence[str], *arguments: Any) -> Any:
        """Run a script on some keys."""
        first = [self._clock.now_us(), self._rules.retention_us // 1000]
        call = self._scripts[script]
        places = [f"{self._prefix}:clock", *keys, f"{self._prefix}:retention"]
        return await self._call(lambda: call(keys=places, args=[*first, *arguments]))

    async def _run_for_users(self, script: str, user_ids: Iterable[str], *arguments: Any) -> Any:
        """Run a script on users' keys."""
        return await self._run(script, [key for user_id in user_ids for key in self._keys(user_id)], *arguments)

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
        return await self._read(user_ids, self._rules.oldest_us(self._clock.now_us()))

    async def _read(self, user_ids: Sequence[str], oldest: int) -> list[StoredUser]:
        """Return what is known of each user, without what is older."""

        async def call() -> list[Any]:
            pipe = self._redis.pipeline(transaction=False)
            for user_id in user_ids:
                user, profile, _, events, _, _, lists = self._keys(user_id)
                pipe.hgetall(user)
                pipe.get(profile)
                pipe.hgetall(events)
                pipe.hgetall(lists)
            return await pipe.execute()

        answers = await self._call(call)
        users = zip(*(answers[at::4] for at in range(4)), strict=True)
        return [_user(user, profile, events, lists, oldest) for user, profile, events, lists in users]

    async def put(self, user_id: str, profile: Profile) -> None:
        """Replace a user's profile, picks and friends."""
        await self._run_for_users(PUT, [user_id], write_profile(profile))

    async def add(self, events: Sequence[tuple[str, Event]]) -> int:
        """Add events of users, all or none; return how many were new."""
        by_user: dict[str, list[tuple[int | str, ...]]] = {}
        for user_id, event in events:
            values: list[Any] = [event.signal, event.entity, event.entity_id, event.timestamp_ms]
            how = [event.list_id, event.position, event.propensity, event.policy]
            if any(value is not None for value in how):
                values += how
            kind = _IMPRESSION if event.is_impression else _USE
            seen_list = (event.list_id,) if event.is_impression and event.list_id is not None else ()
            by_user.setdefault(user_id, []).append((kind, event.event_id, _write(values)[1:], *seen_list))
        return await self._add(by_user)

    async def _add(self, by_user: dict[str, list[tuple[int | str, ...]]]) -> int:
        """Add users' entries: each its kind, id, text after the time of receipt, and a list that it tells of."""
        oldest = self._rules.oldest_us(self._clock.now_us())
        rules = self._rules
        caps = [rules.max_events_per_user, rules.max_shown_per_user, rules.max_lists_per_user]
        return int(await self._run_for_users(ADD, by_user, oldest, _write(caps), _write(list(by_user.values()))))

    async def record(self, lists: Sequence[tuple[str, ShownList]]) -> None:
        """Add lists that are shown to users, all or none."""
        by_user: dict[str, list[tuple[int | str, ...]]] = {}
        for user_id, shown in lists:
            by_user.setdefault(user_id, []).append((_LIST, shown.list_id, f"{write_list(shown)}]"))
        await self._add(by_user)

    async def start_experiment(self, experiment: str) -> int:
        """Return when the store first saw an experiment's name, microseconds since 1970: now, if it never has."""
        return int(await self._run(START, [f"{self._prefix}:experiments"], experiment))

    async def assign(self, users: Sequence[tuple[str, Assignment]]) -> list[Assignment]:
        """Give users variants, all or none; return what each has now: the first that was given for an experiment."""
        new = _write([(assignment.experiment, assignment.variant) for _, assignment in users])
        given = await self._run_for_users(ASSIGN, [user_id for user_id, _ in users], new)
        return [
            _read_assignment(assignment.experiment, text) for (_, assignment), text in zip(users, given, strict=True)
        ]

    async def find_latest_us(self) -> int:
        """Return the time of the last thing that was taken, microseconds since 1970; 0: there is none."""
        return int(await self._call(lambda: self._redis.get(f"{self._prefix}:clock")) or 0)

    async def scan(self, since_us: int) -> AsyncIterator[list[tuple[str, StoredUser]]]:  # noqa: ARG002
        """Give all users, a part at a time, each user once: Redis finds nobody by time.

        What has expired by now is left out, by the retention of the service that wrote last.
        """
        retention_ms = int(await self._call(lambda: self._redis.get(f"{self._prefix}:retention")) or 0)
        oldest = Rules(1, 1000 * retention_ms).oldest_us(self._clock.now_us())
        seen: set[str] = set()
        kinds = {kind for kind in KINDS if kind in ("user", "profile", "events")}  # each user has one of these
        place, pattern = 0, re.sub(r"([*?\[\]\\])", r"\\\1", self._prefix) + ":*"
        while True:
            call = partial(self._redis.scan, place, match=pattern, count=SCANNED_AT_ONCE)
            place, keys = await self._call(call)
            names = [key.decode() if isinstance(key, bytes) else key for key in keys]
            parts = [name.removeprefix(f"{self._prefix}:").partition(":") for name in names]
            new = sorted({user_id for kind, _, user_id in parts if kind in kinds and user_id} - seen)
            seen.update(new)
            if new:
                pairs = zip(new, await self._read(new, oldest), strict=True)
                yield list(pairs)
            if not place:
                return

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


_USE, _IMPRESSION, _LIST = 1, 2, 3
"""Kinds of entries, as the script `ADD` numbers them."""


def _write(values: Any) -> str:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def _read_assignment(experiment: str, text: bytes) -> Assignment:
    assigned_us, _, variant = text.decode().partition(" ")
    return Assignment(experiment, variant, int(assigned_us))


def _user(
    user: dict[bytes, bytes], stored: bytes | None, events: dict[bytes, bytes], lists: dict[bytes, bytes], oldest: int
) -> StoredUser:
    """Read a user from what Redis holds, without what has expired."""
    profile = None
    if stored is not None:
        put_us, _, text = stored.partition(b"\n")
        if int(put_us) >= oldest:
            profile = read_profile(text, int(put_us))
    live = []
    for event_id, text in events.items():
        received_us, signal, entity, entity_id, timestamp_ms, *how = json.loads(text)
        if received_us >= oldest:
            live.append(Event(event_id.decode(), signal, entity, entity_id, timestamp_ms, received_us, *how))
    shown = []
    for list_id, text in lists.items():
        received_us, _, rest = text[1:-1].partition(b",")
        is_told = rest.endswith(b",1")
        if int(received_us) >= oldest:
            shown.append(read_list(rest.removesuffix(b",1"), list_id.decode(), int(received_us), is_told))
    assignments = [_read_assignment(name[3:].decode(), text) for name, text in user.items() if name.startswith(b"in ")]
    if not (profile or live or shown or int(user.get(b"last", -1)) >= oldest):
        return StoredUser()
    return StoredUser(
        profile,
        tuple(sorted(live, key=lambda event: event.received_us)),
        tuple(sorted(shown, key=lambda entry: entry.received_us)),
        tuple(sorted(assignments, key=lambda assignment: assignment.assigned_us)),
        int(user[b"first"]),
    )
