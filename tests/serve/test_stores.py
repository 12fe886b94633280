"""The store's contract, shown on SQLite, and on a real Redis and Postgres."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from store_servers import RedisProcess

from firstday.features.signals import Signals
from firstday.features.wire_types import Impression
from firstday.serve.store.base import (
    NEVER,
    Entry,
    Event,
    Profile,
    Retention,
    ShownList,
    Store,
    StoredUser,
    now_us,
    to_time,
)
from tests.serve.store_harness import CAP, DAY_US, RETENTION_US, Harness, MakeLog, make_event, make_shown


@pytest.fixture
def kept(make_log: MakeLog) -> Iterator[Harness]:
    harness = Harness(make_log)
    yield harness
    harness.close()


PROFILE = Profile({"age": 24, "profile": {"country": "FR", "plän": "é\U0001f3a7"}, "picks": [["artist", "a7"]]})
LIST = ShownList("l1", "explore", ("i1", "ä\U0001f3a7", "i3"), (1.0, 0.25, 0.125))
CERTAIN = ShownList("a", "segment", ("i9",))


def lists(*list_ids: str) -> list[ShownList]:
    return [replace(LIST, list_id=list_id) for list_id in list_ids]


def list_ids(user: StoredUser) -> list[str]:
    return [entry.list_id for entry in user.lists]


def test_nothing_is_known_of_a_stranger(kept: Harness) -> None:
    assert kept.read("stranger") == StoredUser()
    assert kept.read("stranger").to_signals() == Signals()
    kept.run(kept.store.find_changes())


def test_records_come_back_as_they_came_and_in_their_order(kept: Harness) -> None:
    events = (
        make_event("z", timestamp=to_time(1_700_000_000_123_456)),
        make_event("a", "ä\U0001f3a7", signal="favorite", entity="artist"),
        make_event("m", "'; DROP TABLE events; --", signal="skip", timestamp=to_time(0)),
    )
    before_us = now_us()
    assert kept.append("u", PROFILE, *events, LIST, CERTAIN) == 6
    kept.reopen()
    user = kept.read("u")
    assert user.profile is not None
    received = [*(event.received_us for event in user.events), *(entry.received_us for entry in user.lists)]
    times = [user.profile.put_us, *received]
    assert before_us <= times[0] <= times[-1] <= now_us()
    assert times == sorted(set(times))
    assert replace(user.profile, put_us=0) == PROFILE
    assert [asdict(event) for event in user.events] == [
        {**asdict(event), "received_us": us} for event, us in zip(events, received, strict=False)
    ]
    assert tuple(replace(entry, received_us=0) for entry in user.lists) == (LIST, CERTAIN)


def test_a_profile_leaves_nothing_of_the_one_before(kept: Harness) -> None:
    kept.append("u", PROFILE)
    kept.append("u", Profile({"age": 20}))
    found = kept.read("u").profile
    assert found is not None
    assert replace(found, put_us=0) == Profile({"age": 20})


def test_of_records_with_one_id_in_a_call_the_last_profile_and_the_first_event_stay(kept: Harness) -> None:
    kept.append("u", PROFILE, Profile({"age": 30}), make_event("e", "i1"), make_event("e", "i2"))
    user = kept.read("u")
    assert user.profile is not None
    assert user.profile.signals == {"age": 30}
    assert [event.entity_id for event in user.events] == ["i1"]


def test_records_become_signals(kept: Harness) -> None:
    kept.append("u", Profile({"age": 24, "profile": {"country": "FR"}, "picks": [["artist", "a7"]]}), LIST, CERTAIN)
    kept.append("u", make_shown("e1", "i5"), make_event("e2", list_id="l1"))
    assert kept.read("u").to_signals("u") == Signals(
        user_id="u",
        age=24,
        country="FR",
        interactions=[("onboarding", "artist", "a7"), ("stream", "item", "i1")],
        shown=[
            Impression("i1", 1, "l1", 1.0, "explore"),
            Impression("ä\U0001f3a7", 2, "l1", 0.25, "explore"),
            Impression("i3", 3, "l1", 0.125, "explore"),
            Impression("i9", 1, "a", 1.0, "segment"),
            Impression("i5"),
        ],
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


def test_a_deleted_user_leaves_nothing(kept: Harness) -> None:
    kept.append("u", PROFILE, LIST)
    kept.add(("u", "e1"), ("v", "e1"))
    kept.assign("u", "x", "a")
    kept.delete("u")
    assert kept.read("u") == StoredUser()
    assert kept.ids("v") == ["e1"]
    kept.delete("u")
    assert kept.add(("u", "e1")) == 1
    assert kept.read("u").assignments == ()


def test_events_and_profiles_expire_each_after_its_own_time(kept: Harness) -> None:
    kept.append("u", PROFILE)
    kept.add(("u", "old"))
    kept.age(6 * DAY_US)
    kept.add(("u", "young"))
    assert kept.ids("u") == ["old", "young"]
    kept.age(5 * DAY_US)
    assert kept.ids("u") == ["young"]
    assert kept.read("u").profile is None
    kept.append("u", PROFILE)
    assert kept.add(("u", "old"), ("u", "young")) == 1  # an expired event does not count as known
    assert kept.ids("u") == ["young", "old"]
    kept.purge()
    assert kept.ids("u") == ["young", "old"]
    kept.age(11 * DAY_US)
    kept.purge()
    assert kept.read("u") == StoredUser()


def test_without_a_retention_nothing_expires(kept: Harness) -> None:
    kept.reopen(retention_us=0)
    kept.append("u", PROFILE)
    kept.add(("u", "old"))
    kept.age(20_000 * DAY_US)
    kept.purge()
    assert kept.ids("u") == ["old"]
    assert kept.read("u").profile is not None


def test_many_writers_at_once(kept: Harness) -> None:
    async def write() -> list[int]:
        def batch(number: int) -> list[tuple[str, Event]]:
            return [(f"u{at % 7}", make_event(f"{number}-{at}")) for at in range(10)]

        return await asyncio.gather(*(kept.store.append(batch(number)) for number in range(50)))

    kept.reopen(max_events_per_user=1000)
    assert kept.run(write()) == [10] * 50
    users = kept.run(kept.store.read([f"u{at}" for at in range(7)]))
    assert sum(len(user.events) for user in users) == 500


def test_any_id_is_one_users_alone(kept: Harness) -> None:
    ids = ["a:b", "{x}", "*", "a b", "\U0001f3a7", "%00", "profile:u"]
    kept.add(*((user_id, user_id) for user_id in ids))
    assert [kept.ids(user_id) for user_id in ids] == [[user_id] for user_id in ids]
    assert all(kept.read(other) == StoredUser() for other in ("a", "x", "b", "u"))


def test_what_a_caller_saw_stands_in_place_of_the_recorded_list(kept: Harness) -> None:
    """The caller's events say what was seen; the record says how it was chosen."""
    kept.append("u", LIST, ShownList("l2", "segment", ("i7",)))
    kept.append(
        "u",
        make_shown("e1", "i3", list_id="l1"),
        make_shown("e2", "i1", list_id="l1", position=1, propensity=0.5, policy="mine"),
        make_shown("e3", "new", list_id="l1", position=9),
        make_event("e4", list_id="l2"),
        make_shown("e1", "i1", list_id="l2"),  # its id is known: nothing new
    )
    assert kept.read("u").to_signals().shown == (
        Impression("i7", 1, "l2", 1.0, "segment"),
        Impression("i3", None, "l1", 0.125, "explore"),
        Impression("i1", 1, "l1", 0.5, "mine"),
        Impression("new", 9, "l1", None, None),
    )


def test_a_list_stays_told_though_what_was_told_is_forgotten(kept: Harness) -> None:
    """Of l1 the caller saw one item; that is over the cap later, and the whole list was still not seen."""
    kept.reopen(max_shown_per_user=2)
    kept.append("u", *lists("l1", "l2"))
    kept.append("u", make_shown("s1", "i1", list_id="l1"), make_event("e1", list_id="l2"))
    kept.append("v", make_shown("s1", "i1", list_id="l2"))
    kept.append("u", make_shown("s1", "i1", list_id="l2"))  # its id is known: nothing new
    kept.append("u", *(make_shown(f"s{n}", f"i{n}") for n in range(5, 7)))
    found = kept.read("u")
    told = [replace(LIST, is_told=True), *lists("l2")]
    assert [replace(entry, received_us=0) for entry in found.lists] == told
    assert [(one.list_id, one.item_id) for one in found.to_signals().shown] == [
        *(("l2", item) for item in LIST.items),
        (None, "i5"),
        (None, "i6"),
    ]
    kept.append("u", *lists("l3"), make_shown("s7", "i3", list_id="l1"))  # the record still says how it was chosen
    assert kept.read("u").to_signals().shown[-1] == Impression("i3", None, "l1", 0.125, "explore")
    assert [entry.is_told for entry in kept.read("u").lists] == [True, False, False]


def test_lists_and_impressions_have_caps_of_their_own(kept: Harness) -> None:
    kept.reopen(max_lists_per_user=2, max_shown_per_user=3)
    kept.append("u", *lists("l0", "l1", "l2", "l3"), *(make_shown(f"s{n}") for n in range(5)))
    kept.append("v", LIST)
    kept.add(*(("u", f"e{n}") for n in range(CAP + 1)))
    assert list_ids(kept.read("u")) == ["l2", "l3"]
    assert list_ids(kept.read("v")) == ["l1"]
    assert kept.ids("u") == ["s2", "s3", "s4", *(f"e{n}" for n in range(1, CAP + 1))]
    kept.append("u", LIST)
    assert list_ids(kept.read("u")) == ["l3", "l1"]


def test_impressions_expire(kept: Harness) -> None:
    kept.append("u", LIST, make_shown("s1"))
    kept.age(9 * DAY_US)
    kept.append("u", *lists("l2"))
    kept.age(2 * DAY_US)
    assert list_ids(kept.read("u")) == ["l2"]
    assert kept.ids("u") == []
    kept.purge()
    assert list_ids(kept.read("u")) == ["l2"]
    kept.age(12 * DAY_US)
    kept.purge()
    assert kept.read("u") == StoredUser()


def test_a_users_first_time_stays_while_anything_does(kept: Harness) -> None:
    kept.append("u", PROFILE)
    first_us = kept.read("u").first_us
    assert first_us is not None
    for number in range(4):
        kept.age(8 * DAY_US)
        kept.add(("u", f"e{number}"))
    assert kept.read("u").profile is None
    assert kept.read("u").first_us == first_us - 4 * 8 * DAY_US
    kept.age(30 * DAY_US)
    kept.purge()
    kept.add(("u", "new"))
    assert (kept.read("u").first_us or 0) > first_us


def test_the_order_of_receipt_holds_where_a_clock_was_put_back(kept: Harness) -> None:
    kept.add(("u", "e1"))
    kept.age(-DAY_US)
    kept.reopen()
    kept.add(("u", "e2"))
    kept.append("u", LIST)
    user = kept.read("u")
    assert [event.event_id for event in user.events] == ["e1", "e2"]
    assert user.lists[0].received_us > user.events[1].received_us


def test_an_experiment_starts_when_its_name_is_first_seen(kept: Harness) -> None:
    before_us = now_us()
    start = kept.run(kept.store.start_experiment("onboarding-2026"))
    assert start >= before_us
    kept.age(DAY_US)
    assert kept.run(kept.store.start_experiment("onboarding-2026")) == start - DAY_US
    assert kept.run(kept.store.start_experiment("another")) > start
    kept.reopen()
    assert kept.run(kept.store.start_experiment("onboarding-2026")) == start - DAY_US


def test_a_user_keeps_the_first_variant_of_an_experiment(kept: Harness) -> None:
    first = kept.assign("u", "x y", "control ü")
    other = kept.assign("u", "z", "a")
    assert [(entry.experiment, entry.variant) for entry in (first, other)] == [("x y", "control ü"), ("z", "a")]
    assert first.assigned_us < other.assigned_us <= now_us()
    assert kept.assign("u", "x y", "b") == first
    assert kept.assign("v", "x y", "b").variant == "b"
    assert kept.read("u").assignments == (first, other)
    kept.age(9 * DAY_US)
    kept.add(("u", "e"))
    kept.age(5 * DAY_US)  # as long as anything else is kept
    aged = [replace(one, assigned_us=one.assigned_us - 14 * DAY_US) for one in (first, other)]
    assert kept.read("u").assignments == tuple(aged)
    kept.age(20 * DAY_US)
    kept.purge()
    assert kept.read("v") == StoredUser()


def test_who_comes_back_after_all_has_expired_has_no_variant(kept: Harness) -> None:
    kept.assign("u", "x", "a")
    kept.age(20 * DAY_US)
    kept.add(("u", "e1"))  # nothing was purged meanwhile
    assert kept.read("u").assignments == ()


def test_of_entries_written_at_once_the_one_that_knows_the_newest_replaces_it(kept: Harness) -> None:
    log = kept.store.log

    async def append_all() -> list[list[bool]]:
        await log.append([Entry("u", "alias", "alias", '"old"', NEVER)])
        newest_us = next(us for kind, us, *_ in (await log.read(["u"]))[0] if kind == "alias")
        known = (NEVER, newest_us, newest_us + 1, newest_us + 1)
        writes = [Entry("u", "alias", "alias", f'"{number}"', us) for number, us in enumerate(known)]
        first = log.append([Entry("u", "use", "e", "{}", NEVER)])
        _, *is_new = await asyncio.gather(first, *(log.append([one]) for one in writes))
        return is_new

    is_new = kept.run(append_all())
    assert is_new[:2] == [[False], [False]]
    assert sorted(is_new[2:]) == [[False], [True]]
    (entries,) = kept.run(log.read(["u"]))
    assert [body for kind, *_, body in entries if kind == "alias"] == [f'"{is_new.index([True])}"']


@pytest.mark.parametrize("store_settings", ["redis", "postgres"], indirect=True)
def test_times_increase_across_workers_and_what_a_scan_may_read_is_complete(kept: Harness, make_log: MakeLog) -> None:
    """Two workers write; a third reads up to the time by which all is readable."""
    users = [f"u{number}" for number in range(5)]
    kept.reopen(max_events_per_user=1000)
    stores = [kept.store, *(Store(make_log(Retention(1000, RETENTION_US))) for _ in range(2))]
    scans: list[tuple[int, set[int]]] = []

    async def read_times() -> list[int]:
        found = await stores[2].read(users)
        return [event.received_us for user in found for event in user.events]

    async def write(store: Store, name: str) -> None:
        for number in range(60):
            events = [(user, make_event(f"{name}-{number}")) for user in users]
            await asyncio.gather(store.append(events[:2]), store.append(events[2:]))

    async def scan(writing: asyncio.Task[None]) -> None:
        while not writing.done():
            until_us, _ = await stores[2].log.find_facts()
            scans.append((until_us, set(await read_times())))

    async def run() -> list[int]:
        writing = [asyncio.create_task(write(store, f"w{number}")) for number, store in enumerate(stores[:2])]
        await asyncio.gather(*writing, scan(writing[1]))
        times = await read_times()
        await asyncio.gather(*(store.close() for store in stores[1:]))
        return times

    times = kept.run(run())
    assert len(set(times)) == len(times) == 2 * 60 * 5
    assert len(scans) > 5
    for until_us, seen in scans:
        assert {us for us in times if us <= until_us} <= seen


@pytest.mark.parametrize("store_settings", ["redis", "postgres"], indirect=True)
def test_a_worker_whose_clock_is_ahead_erases_nothing(
    kept: Harness, make_log: MakeLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.append("u", PROFILE, make_event("e1"), LIST)
    kept.add(("v", "e1"))
    with monkeypatch.context() as patch:
        patch.setattr(time, "time_ns", lambda now_ns=time.time_ns: now_ns() + 100 * DAY_US * 1000)
        ahead = Store(make_log(Retention(CAP, RETENTION_US)))
        assert kept.run(ahead.append([("u", make_event("e1")), ("u", make_event("e2"))])) == 1
        kept.run(ahead.purge())
        assert [len(user.events) for user in kept.run(ahead.read(["u", "v"]))] == [2, 1]
        kept.run(ahead.close())
    user = kept.read("u")
    assert user.profile is not None
    assert (kept.ids("u"), kept.ids("v"), len(user.lists)) == (["e1", "e2"], ["e1"], 1)
    assert user.newest_us <= now_us()


def test_redis_forgets_users_by_itself(redis: RedisProcess, tmp_path: Path) -> None:
    from redis.asyncio import Redis

    from firstday.serve.store.redis import RedisLog

    async def find_lives() -> list[int]:
        store = Store(RedisLog(redis.url, Retention(CAP, RETENTION_US), prefix=tmp_path.name))
        await store.append([("u", make_event("e1"))])
        await store.close()
        async with Redis.from_url(redis.url) as client:
            keys = [key async for key in client.scan_iter(f"{tmp_path.name}:*") if b"u" in key.split(b":")]
            return [await client.pttl(key) for key in keys]

    lives = asyncio.run(find_lives())
    assert lives
    assert all(10 * DAY_US // 1000 - 60_000 < life <= 11 * DAY_US // 1000 for life in lives)


def test_users_are_found_by_the_time_of_their_last_entry(kept: Harness) -> None:
    kept.add(("u", "e1"), ("v", "e1"))
    kept.age(1_000_000)
    latest_us, _ = kept.run(kept.store.log.find_facts())

    def find(since_us: int) -> list[str]:
        return kept.run(kept.store.log.find_owners(since_us))

    assert (find(0), find(latest_us)) == (["u", "v"], [])
    kept.add(("v", "e2"))
    assert find(latest_us) == ["v"]
    kept.delete("v")
    assert (find(0), find(latest_us)) == (["u"], [])
    kept.age(2 * RETENTION_US)
    kept.purge()
    assert find(0) == []
