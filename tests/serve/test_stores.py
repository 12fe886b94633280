"""Clocks, writes at the same moment and several workers, which `test_store_machine.py` does not have."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from store_servers import RedisProcess

from firstday.serve.store import log
from firstday.serve.store.log import NEVER, Entry, Retention, now_us
from firstday.serve.store.records import Profile, ShownList, StoredItem
from firstday.serve.store.store import Store, read_all_items
from tests.serve.store_harness import CAP, DAY_US, RETENTION_US, Harness, MakeLog, make_event

PROFILE = Profile({"age": 24, "profile": {"country": "FR", "plän": "é\U0001f3a7"}, "picks": [["artist", "a7"]]})
LIST = ShownList("l1", "explore", ("i1", "ä\U0001f3a7", "i3"), (1.0, 0.25, 0.125))


def test_the_order_of_receipt_holds_where_a_clock_was_put_back(kept: Harness) -> None:
    kept.add(("u", "e1"))
    kept.age(-DAY_US)
    kept.reopen()
    kept.add(("u", "e2"))
    kept.append("u", LIST)
    user = kept.read("u")
    assert [event.event_id for event in user.events] == ["e1", "e2"]
    assert user.lists[0].received_us > user.events[1].received_us


def test_the_newest_new_items_stay_and_all_updates(kept: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "MAX_NEW", 2)
    for name in ("n1", "k1", "n2", "k2", "n3", "k3"):
        kept.run(kept.store.put_items({name: StoredItem({}, 7, 1)}, {name} - {"n1", "n2", "n3"}))
    new, updates, _ = kept.run(read_all_items(kept.store.log))
    assert (list(new), list(updates)) == (["n2", "n3"], ["k1", "k2", "k3"])


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
    assert scans
    for until_us, seen in scans:
        assert {us for us in times if us <= until_us} <= seen


@pytest.mark.parametrize("store_settings", ["sqlite", "postgres"], indirect=True)
def test_purging_removes_what_has_expired_and_only_that(kept: Harness) -> None:
    kept.append("u", PROFILE, make_event("e1"), LIST)
    kept.age(RETENTION_US + 2 * DAY_US)
    kept.append("v", make_event("e2"))
    kept.purge()
    kept.reopen(retention_us=0)  # would read what is still there
    user = kept.read("u")
    assert (user.profile, user.events, user.lists) == (None, (), ())
    assert kept.ids("v") == ["e2"]


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
        store = Store(RedisLog(redis.url, Retention(CAP, RETENTION_US), prefix=tmp_path.name, timeout_s=10))
        await store.append([("u", make_event("e1"))])
        await store.close()
        async with Redis.from_url(redis.url) as client:
            keys = [key async for key in client.scan_iter(f"{tmp_path.name}:*") if b"u" in key.split(b":")]
            return [await client.pttl(key) for key in keys]

    lives = asyncio.run(find_lives())
    assert lives
    assert all(10 * DAY_US // 1000 - 60_000 < life <= 11 * DAY_US // 1000 for life in lives)
