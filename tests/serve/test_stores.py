"""The store's contract, shown on SQLite and on a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from redis_process import RedisProcess

from firstday.features.impressions import Impression
from firstday.features.signals import Signals
from firstday.serve.store.base import Assignment, Clock, Event, Profile, Rules, ShownList, Store, StoredUser
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

    def open(self, max_events_per_user: int = CAP, retention_us: int = RETENTION_US, **caps: int) -> None:
        """Open the store, again if it was."""

        async def make() -> Store:
            return self._make(Rules(max_events_per_user, retention_us, **caps), self.clock)

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


def shown(identity: str, entity_id: str = "i1", **how: Any) -> Event:
    return Event(identity, "shown", "item", entity_id, **how)


def list_ids(user: StoredUser) -> list[str]:
    return [entry.list_id for entry in user.lists]


LIST = ShownList("l1", "explore", ("i1", "ä\U0001f3a7", "i3"), (1.0, 0.25, 0.125))


def test_recorded_lists_come_back_as_they_came_in_their_order(kept: Harness) -> None:
    certain = ShownList("a", "segment", ("i9",))
    kept.run(kept.store.record([("u", LIST), ("v", LIST), ("u", certain)]))
    found = kept.read("u")
    assert [replace(entry, received_us=0) for entry in found.lists] == [LIST, certain]
    times = [entry.received_us for entry in found.lists]
    assert kept.clock.us <= times[0] < times[1]
    assert found.is_known
    assert found.to_signals("u") == Signals(
        user_id="u",
        shown=[
            Impression("i1", 1, "l1", 1.0, "explore"),
            Impression("ä\U0001f3a7", 2, "l1", 0.25, "explore"),
            Impression("i3", 3, "l1", 0.125, "explore"),
            Impression("i9", 1, "a", 1.0, "segment"),
        ],
    )


def test_impressions_are_no_interactions(kept: Harness) -> None:
    kept.run(kept.store.record([("u", LIST)]))
    kept.run(kept.store.add([("u", shown("e1", "i5")), ("u", Event("e2", "stream", "item", "i1", list_id="l1"))]))
    signals = kept.read("u").to_signals()
    assert signals.interactions == (("stream", "item", "i1"),)
    assert [one.item_id for one in signals.shown] == ["i1", "ä\U0001f3a7", "i3", "i5"]
    assert kept.read("u").events[1].list_id == "l1"


def test_what_a_caller_saw_stands_in_place_of_the_recorded_list(kept: Harness) -> None:
    """The caller's events say what was seen; the record says how it was chosen."""
    kept.run(kept.store.record([("u", LIST), ("u", ShownList("l2", "segment", ("i7",)))]))
    kept.run(
        kept.store.add(
            [
                ("u", shown("e1", "i3", list_id="l1")),
                ("u", shown("e2", "i1", list_id="l1", position=1, propensity=0.5, policy="mine")),
                ("u", shown("e3", "new", list_id="l1", position=9)),
                ("u", Event("e4", "stream", "item", "i1", list_id="l2")),
                ("u", shown("e1", "i1", list_id="l2")),  # its id is known: nothing new
            ]
        )
    )
    assert kept.read("u").to_signals().shown == (
        Impression("i7", 1, "l2", 1.0, "segment"),
        Impression("i3", None, "l1", 0.125, "explore"),
        Impression("i1", 1, "l1", 0.5, "mine"),
        Impression("new", 9, "l1", None, None),
    )


def test_a_list_stays_told_though_what_was_told_is_forgotten(kept: Harness) -> None:
    """Of l1 the caller saw one item; that is over the cap later, and the whole list was still not seen."""
    kept.run(kept.store.close())
    kept.open(max_shown_per_user=2)
    kept.run(kept.store.record([("u", LIST), ("u", replace(LIST, list_id="l2"))]))
    assert [entry.is_told for entry in kept.read("u").lists] == [False, False]
    kept.run(kept.store.add([("u", shown("s1", "i1", list_id="l1")), ("v", shown("s1", "i1", list_id="l2"))]))
    kept.run(kept.store.add([("u", Event("e1", "stream", "item", "i1", list_id="l2"))]))
    kept.run(kept.store.add([("u", shown("s1", "i1", list_id="l2"))]))  # its id is known: nothing new
    kept.run(kept.store.add([("u", shown(f"s{n}", f"i{n}")) for n in range(5, 7)]))
    found = kept.read("u")
    assert [(entry.list_id, entry.is_told) for entry in found.lists] == [("l1", True), ("l2", False)]
    assert [replace(entry, received_us=0, is_told=False) for entry in found.lists] == [
        LIST,
        replace(LIST, list_id="l2"),
    ]
    assert [(one.list_id, one.item_id) for one in found.find_impressions()] == [
        *(("l2", item) for item in LIST.items),
        (None, "i5"),
        (None, "i6"),
    ]
    kept.run(kept.store.record([("u", replace(LIST, list_id="l3"))]))
    kept.run(kept.store.add([("u", shown("s7", "i3", list_id="l1"))]))  # the record still says how it was chosen
    assert kept.read("u").find_impressions()[-1] == Impression("i3", None, "l1", 0.125, "explore")
    assert [entry.is_told for entry in kept.read("u").lists] == [True, False, False]


def test_lists_and_impressions_have_caps_of_their_own(kept: Harness) -> None:
    kept.run(kept.store.close())
    kept.open(max_lists_per_user=2, max_shown_per_user=3)
    kept.run(kept.store.record([("u", replace(LIST, list_id=f"l{n}")) for n in range(4)]))
    kept.run(kept.store.record([("v", LIST)]))
    kept.run(kept.store.add([("u", shown(f"s{n}")) for n in range(5)]))
    kept.add(*(("u", f"e{n}") for n in range(CAP + 1)))
    assert list_ids(kept.read("u")) == ["l2", "l3"]
    assert list_ids(kept.read("v")) == ["l1"]
    assert kept.ids("u") == ["s2", "s3", "s4", *(f"e{n}" for n in range(1, CAP + 1))]
    kept.run(kept.store.record([("u", LIST)]))
    assert list_ids(kept.read("u")) == ["l3", "l1"]


def test_impressions_expire_and_are_forgotten(kept: Harness) -> None:
    kept.run(kept.store.record([("u", LIST), ("v", LIST)]))
    kept.run(kept.store.add([("u", shown("s1"))]))
    kept.run(kept.store.delete("v"))
    assert kept.read("v") == StoredUser()
    kept.clock.us += 9 * DAY_US
    kept.run(kept.store.record([("u", replace(LIST, list_id="l2"))]))
    kept.clock.us += 2 * DAY_US
    assert list_ids(kept.read("u")) == ["l2"]
    assert kept.ids("u") == []
    kept.run(kept.store.purge())
    assert list_ids(kept.read("u")) == ["l2"]
    kept.clock.us += 12 * DAY_US
    kept.run(kept.store.purge())
    assert kept.read("u") == StoredUser()


def test_lists_are_there_after_closing_and_opening(kept: Harness) -> None:
    kept.run(kept.store.record([("u", LIST)]))
    before = kept.read("u")
    kept.run(kept.store.close())
    kept.open()
    assert kept.read("u") == before


def test_a_users_first_time_stays_while_anything_does(kept: Harness) -> None:
    kept.run(kept.store.put("u", PROFILE))
    first = kept.read("u").first_us
    assert first is not None
    assert kept.clock.us <= first
    for _ in range(4):
        kept.clock.us += 8 * DAY_US
        kept.add(("u", f"e{kept.clock.us}"))
    assert kept.read("u").profile is None
    assert kept.read("u").first_us == first
    kept.clock.us += 30 * DAY_US
    kept.run(kept.store.purge())
    kept.add(("u", "new"))
    again = kept.read("u").first_us
    assert again is not None
    assert again >= kept.clock.us


def test_the_order_of_receipt_holds_where_a_clock_was_put_back(kept: Harness) -> None:
    kept.add(("u", "e1"))
    kept.run(kept.store.close())
    kept.clock.us -= DAY_US
    kept.open()
    kept.add(("u", "e2"))
    kept.run(kept.store.record([("u", LIST)]))
    user = kept.read("u")
    assert [event.event_id for event in user.events] == ["e1", "e2"]
    assert user.lists[0].received_us > user.events[1].received_us


def test_an_experiment_starts_when_its_name_is_first_seen(kept: Harness) -> None:
    start = kept.run(kept.store.start_experiment("onboarding-2026"))
    assert start >= kept.clock.us
    kept.clock.us += DAY_US
    assert kept.run(kept.store.start_experiment("onboarding-2026")) == start
    assert kept.run(kept.store.start_experiment("another")) > start
    kept.run(kept.store.close())
    kept.open()
    assert kept.run(kept.store.start_experiment("onboarding-2026")) == start


def test_a_user_keeps_the_first_variant_of_an_experiment(kept: Harness) -> None:
    given = kept.run(
        kept.store.assign(
            [("u", Assignment("x y", "control ü")), ("v", Assignment("x y", "b")), ("u", Assignment("z", "a"))]
        )
    )
    assert [(entry.experiment, entry.variant) for entry in given] == [("x y", "control ü"), ("x y", "b"), ("z", "a")]
    assert all(entry.assigned_us >= kept.clock.us for entry in given)
    again = kept.run(kept.store.assign([("u", Assignment("x y", "b")), ("w", Assignment("x y", "b"))]))
    assert again[0] == given[0]
    assert again[1].variant == "b"
    user = kept.read("u")
    assert user.is_known
    assert user.assignments == (given[0], given[2])
    kept.clock.us += 9 * DAY_US
    kept.add(("u", "e"))
    kept.clock.us += 5 * DAY_US  # as long as anything else is kept
    assert kept.read("u").assignments == (given[0], given[2])
    kept.run(kept.store.delete("u"))
    assert kept.read("u") == StoredUser()
    kept.clock.us += 20 * DAY_US
    kept.run(kept.store.purge())
    assert not kept.read("v").is_known


def test_both_stores_give_the_same_signals(tmp_path: Path, redis: RedisProcess) -> None:
    from firstday.serve.store.redis import RedisStore

    clocks = SetClock(), SetClock()
    rules = Rules(CAP, RETENTION_US, 3, 4)

    async def fill(store: Store) -> StoredUser:
        await store.put("u", PROFILE)
        for number in range(5):
            await store.record([("u", replace(LIST, list_id=f"l{number}"))])
            await store.add(
                [("u", shown(f"s{number}", f"i{number}", list_id=f"l{number}", propensity=0.1 + number / 9))]
            )
            await store.add([("u", Event(f"e{number}", "favorite", "artist", "a", 5, list_id="l1"))])
        await store.add([("u", shown("s1"))])
        user = (await store.read(["u"]))[0]
        await store.close()
        return user

    async def both() -> list[StoredUser]:
        return [
            await fill(SqliteStore(tmp_path / "u.sqlite", rules, clock=clocks[0])),
            await fill(RedisStore(redis.url, rules, prefix=tmp_path.name, clock=clocks[1])),
        ]

    sqlite, with_redis = asyncio.run(both())
    assert sqlite.to_signals("u") == with_redis.to_signals("u")
    assert sqlite.to_signals("u").shown != ()
    assert [(one.list_id, one.is_told) for one in sqlite.lists] == [
        (one.list_id, one.is_told) for one in with_redis.lists
    ]
    assert [replace(event, received_us=0) for event in sqlite.events] == [
        replace(event, received_us=0) for event in with_redis.events
    ]


def test_who_comes_back_after_all_has_expired_has_no_variant(kept: Harness) -> None:
    kept.run(kept.store.assign([("u", Assignment("x", "a"))]))
    kept.clock.us += 20 * DAY_US
    kept.add(("u", "e1"))  # nothing was purged meanwhile
    assert kept.read("u").assignments == ()


def test_redis_forgets_users_by_itself(redis: RedisProcess, tmp_path: Path) -> None:
    from redis.asyncio import Redis

    from firstday.serve.store.redis import RedisStore

    async def find_lives() -> list[int]:
        store = RedisStore(redis.url, Rules(CAP, RETENTION_US), prefix=tmp_path.name)
        await store.add([("u", Event("e1", "stream", "item", "i1"))])
        await store.close()
        async with Redis.from_url(redis.url) as client:
            keys = [key async for key in client.scan_iter(f"{tmp_path.name}:*") if b"u" in key.split(b":")]
            return [await client.pttl(key) for key in keys]

    lives = asyncio.run(find_lives())
    assert lives
    assert all(10 * DAY_US // 1000 - 60_000 < life <= 11 * DAY_US // 1000 for life in lives)
