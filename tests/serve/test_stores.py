"""The store's contract, shown on SQLite and on a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from redis_process import RedisProcess

from firstday.features.signals import Signals
from firstday.serve.store.base import Clock, Event, Profile, Rules, Store, StoredUser
from firstday.serve.store.sqlite import SqliteStore

T = TypeVar("T")

CAP = 5
DAY_US = 86_400_000_000
RETENTION_US = 10 * DAY_US


class SetClock(Clock):
    """A clock that the test sets."""

    def __init__(self) -> None:
        super().__init__()
        self.us = 1_700_000_000_000_000

    def now_us(self) -> int:
        return self.us


class Harness:
    """A store with what a test needs around it."""

    def __init__(self, make: Callable[[Rules, Clock], Store]) -> None:
        self.clock = SetClock()
        self._make = make
        self._loop = asyncio.new_event_loop()
        self.open()

    def open(self, max_events_per_user: int = CAP, retention_us: int = RETENTION_US) -> None:
        """Open the store, again if it was."""

        async def make() -> Store:
            return self._make(Rules(max_events_per_user, retention_us), self.clock)

        self.store = self._loop.run_until_complete(make())

    def run(self, call: Awaitable[T]) -> T:
        async def wait() -> T:
            return await call

        return self._loop.run_until_complete(wait())

    def add(self, *events: tuple[str, str], entity_id: str = "i1") -> int:
        return self.run(
            self.store.add([(user, Event(identity, "stream", "item", entity_id)) for user, identity in events])
        )

    def read(self, user_id: str) -> StoredUser:
        return self.run(self.store.read([user_id]))[0]

    def ids(self, user_id: str) -> list[str]:
        return [event.event_id for event in self.read(user_id).events]

    def close(self) -> None:
        self.run(self.store.close())
        self._loop.close()


@pytest.fixture(params=["sqlite", "redis"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Harness]:
    make: Callable[[Rules, Clock], Store]
    if request.param == "sqlite":

        def make(rules: Rules, clock: Clock) -> Store:
            return SqliteStore(tmp_path / "users.sqlite", rules, clock=clock)

    else:
        redis: RedisProcess = request.getfixturevalue("redis")
        from firstday.serve.store.redis import RedisStore

        def make(rules: Rules, clock: Clock) -> Store:
            # A prefix of its own, so that tests do not see each other's users.
            return RedisStore(redis.url, rules, prefix=tmp_path.name, clock=clock)

    harness = Harness(make)
    assert harness.store.name == request.param
    yield harness
    harness.close()


PROFILE = Profile(24, {"country": "FR", "plän": "é\U0001f3a7"}, (("artist", "a7"), ("item", "i1")), ("u2", "u3"))


def test_nothing_is_known_of_a_stranger(kept: Harness) -> None:
    assert kept.read("stranger") == StoredUser()
    assert not kept.read("stranger").is_known
    assert kept.read("stranger").to_signals() == Signals()
    kept.run(kept.store.ping())


def test_a_profile_is_kept_whole_and_replaced_whole(kept: Harness) -> None:
    kept.run(kept.store.put("u", PROFILE))
    found = kept.read("u").profile
    assert found is not None
    assert found.put_us >= kept.clock.us
    assert (found.age, found.columns, found.picks, found.friends) == (24, PROFILE.columns, PROFILE.picks, ("u2", "u3"))
    kept.run(kept.store.put("u", Profile(columns={"gender": "f"})))
    replaced = kept.read("u").profile
    assert replaced is not None
    assert (replaced.age, replaced.columns, replaced.picks, replaced.friends) == (None, {"gender": "f"}, (), ())


def test_events_come_back_as_they_came_in_their_order(kept: Harness) -> None:
    events = [
        Event("z", "stream", "item", "i1", 1_700_000_000_123),
        Event("a", "favorite", "artist", "ä\U0001f3a7", None),
        Event("m", "skip", "item", "'; DROP TABLE events; --", 0),
    ]
    assert kept.run(kept.store.add([("u", event) for event in events])) == 3
    found = kept.read("u").events
    assert [(e.event_id, e.signal, e.entity, e.entity_id, e.timestamp_ms) for e in found] == [
        (e.event_id, e.signal, e.entity, e.entity_id, e.timestamp_ms) for e in events
    ]
    received = [event.received_us for event in found]
    assert received == sorted(set(received))
    assert received[0] >= kept.clock.us


def test_what_is_kept_becomes_signals(kept: Harness) -> None:
    kept.run(kept.store.put("u", Profile(24, {"country": "FR"}, (("artist", "a7"),))))
    kept.add(("u", "e1"), ("u", "e2"))
    assert kept.read("u").to_signals() == Signals(
        age=24,
        country="FR",
        interactions=[("onboarding", "artist", "a7"), ("stream", "item", "i1"), ("stream", "item", "i1")],
    )


def test_an_event_is_known_by_its_id_within_its_user(kept: Harness) -> None:
    assert kept.add(("u", "e1"), ("u", "e1"), ("v", "e1")) == 2
    assert kept.add(("u", "e1"), ("u", "e2"), entity_id="other") == 1
    assert [(e.event_id, e.entity_id) for e in kept.read("u").events] == [("e1", "i1"), ("e2", "other")]
    assert kept.ids("v") == ["e1"]


def test_many_are_read_at_once_in_the_order_asked_for(kept: Harness) -> None:
    kept.add(("u", "e1"), ("v", "e2"))
    users = kept.run(kept.store.read(["v", "nobody", "u", "v"]))
    assert [[event.event_id for event in user.events] for user in users] == [["e2"], [], ["e1"], ["e2"]]
    assert kept.run(kept.store.read([])) == []


def test_of_one_user_the_newest_events_are_kept(kept: Harness) -> None:
    for number in range(CAP + 2):
        kept.add(("u", f"e{number}"))
    kept.add(("v", "e0"))
    assert kept.ids("u") == [f"e{number}" for number in range(2, CAP + 2)]
    assert kept.add(*[("u", f"x{number}") for number in range(3 * CAP)]) == 3 * CAP
    assert kept.ids("u") == [f"x{number}" for number in range(2 * CAP, 3 * CAP)]
    assert kept.ids("v") == ["e0"]
    assert kept.add(("u", "e0")) == 1  # who was forgotten is new again


def test_a_forgotten_user_leaves_nothing(kept: Harness) -> None:
    kept.run(kept.store.put("u", PROFILE))
    kept.add(("u", "e1"), ("v", "e1"))
    kept.run(kept.store.delete("u"))
    assert not kept.read("u").is_known
    assert kept.ids("v") == ["e1"]
    kept.run(kept.store.delete("u"))
    assert kept.add(("u", "e1")) == 1


def test_events_and_profiles_expire_each_after_its_own_time(kept: Harness) -> None:
    kept.run(kept.store.put("u", PROFILE))
    kept.add(("u", "old"))
    kept.clock.us += 6 * DAY_US
    kept.add(("u", "young"))
    assert kept.ids("u") == ["old", "young"]
    kept.clock.us += 5 * DAY_US
    assert kept.ids("u") == ["young"]
    assert kept.read("u").profile is None
    kept.run(kept.store.put("u", PROFILE))
    assert kept.add(("u", "old"), ("u", "young")) == 1  # an expired event does not count as known
    assert kept.ids("u") == ["young", "old"]
    kept.run(kept.store.purge())
    assert kept.ids("u") == ["young", "old"]
    kept.clock.us += 11 * DAY_US
    kept.run(kept.store.purge())
    assert not kept.read("u").is_known


def test_without_a_retention_nothing_expires(kept: Harness) -> None:
    kept.run(kept.store.close())
    kept.open(retention_us=0)
    kept.run(kept.store.put("u", PROFILE))
    kept.add(("u", "old"))
    kept.clock.us += 100_000 * DAY_US
    assert kept.run(kept.store.purge()) == 0
    assert kept.ids("u") == ["old"]
    assert kept.read("u").profile is not None


def test_what_was_acknowledged_is_there_after_closing_and_opening(kept: Harness) -> None:
    kept.run(kept.store.put("u", PROFILE))
    kept.add(("u", "e1"))
    kept.run(kept.store.close())
    kept.open()
    assert kept.ids("u") == ["e1"]
    assert kept.read("u").profile is not None


def test_many_writers_at_once(kept: Harness) -> None:
    async def write() -> list[int]:
        def batch(number: int) -> list[tuple[str, Event]]:
            return [(f"u{at % 7}", Event(f"{number}-{at}", "stream", "item", "i1")) for at in range(10)]

        return await asyncio.gather(*(kept.store.add(batch(number)) for number in range(50)))

    kept.run(kept.store.close())
    kept.open(max_events_per_user=1000)
    assert kept.run(write()) == [10] * 50
    users = kept.run(kept.store.read([f"u{at}" for at in range(7)]))
    assert sum(len(user.events) for user in users) == 500


@pytest.mark.parametrize("user_id", ["a:b", "{x}", "*", "a b", "\U0001f3a7", "%00", "profile:u"])
def test_any_id_is_one_users_alone(kept: Harness, user_id: str) -> None:
    others: dict[str, Any] = dict.fromkeys(("a", "x", "b", "", "u"))
    kept.add((user_id, user_id))
    assert kept.ids(user_id) == [user_id]
    assert not any(kept.read(other).is_known for other in others)
