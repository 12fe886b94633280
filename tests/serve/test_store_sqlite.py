"""The SQLite store: what it refuses, how it commits, what it copies."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from firstday.errors import ConfigError
from firstday.serve.settings import load_settings
from firstday.serve.store.base import Assignment, Event, Profile, Rules, ShownList, StoreError
from firstday.serve.store.open import open_store
from firstday.serve.store.sqlite import PURGED_AT_ONCE, SqliteLog, SqliteStore
from tests.serve.test_stores import DAY_US, SetClock

RULES = Rules(1000, 10 * DAY_US)


def event(identity: str) -> Event:
    return Event(identity, "stream", "item", "i1")


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "users.sqlite"
    asyncio.run(SqliteStore(path, RULES).close())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "users.sqlite"
    path.write_text("not a database, but long enough to be looked at" * 50)
    with pytest.raises(ConfigError, match="cannot be opened"):
        SqliteStore(path, RULES)
    with pytest.raises(ConfigError, match="cannot be opened"):
        SqliteStore(tmp_path, RULES)


def test_a_store_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "users.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 7")
    with pytest.raises(ConfigError, match=r"it is of version 7, not 3\); give another file"):
        SqliteStore(path, RULES)


def test_a_store_in_use_is_refused(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "users.sqlite", RULES)
    code = (
        "import sys; from firstday.serve.store import sqlite as s; s.BUSY_TIMEOUT_S = 0.1\n"
        "from firstday.serve.store.base import Rules\n"
        "try: s.SqliteStore(sys.argv[1], Rules(1, 0))\nexcept Exception as error: print(error)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "users.sqlite")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    asyncio.run(store.close())
    assert "is in use by another process; stop that one, give several workers Redis, or export" in done.stdout


def test_writes_that_wait_are_committed_together(tmp_path: Path) -> None:
    """While one commit is under way the others gather, and share the next one."""
    store = SqliteStore(tmp_path / "users.sqlite", RULES)
    commits: list[int] = []
    go = threading.Event()
    log = store.log
    assert isinstance(log, SqliteLog)
    plain = log._commit

    def counted(works: list[Any]) -> list[Any]:
        go.wait(5)
        commits.append(len(works))
        return plain(works)

    log._commit = counted  # type: ignore[method-assign,assignment]

    async def run() -> int:
        tasks = [asyncio.create_task(store.add([("u", event(f"e{n}"))])) for n in range(101)]
        await asyncio.sleep(0.05)
        go.set()
        added = sum(await asyncio.gather(*tasks))
        await store.close()
        return added

    assert asyncio.run(run()) == 101
    assert sum(commits) == 101
    assert len(commits) <= 3


def test_a_call_that_is_given_up_does_not_stop_the_others(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "users.sqlite", RULES)

    async def run() -> int:
        tasks = [asyncio.create_task(store.add([("u", event(f"e{n}"))])) for n in range(20)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        after = await store.add([("v", event("after"))])
        await store.close()
        return after

    assert asyncio.run(run()) == 1


def test_a_failed_group_keeps_nothing_and_the_next_works(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "users.sqlite", RULES)

    log = store.log
    assert isinstance(log, SqliteLog)

    def fail(_connection: sqlite3.Connection) -> None:
        raise ValueError("no such work")

    async def run() -> list[str]:
        put, failed = await asyncio.gather(store.put("u", Profile(20)), log._write(fail), return_exceptions=True)
        assert isinstance(failed, StoreError)
        known = (await store.read(["u"]))[0].is_known
        assert known == (put is None)  # together with the failed work nothing, before it all
        await store.add([("u", event("e"))])
        found = (await store.read(["u"]))[0].events
        await store.close()
        return [one.event_id for one in found]

    assert asyncio.run(run()) == ["e"]


def test_expired_rows_leave_the_file_in_parts(tmp_path: Path) -> None:
    clock = SetClock()
    store = SqliteStore(tmp_path / "users.sqlite", Rules(100_000, DAY_US), clock=clock)
    n = PURGED_AT_ONCE + 10

    async def run() -> int:
        await store.add([(f"u{number % 5}", event(f"e{number}")) for number in range(n)])
        await store.put("u", Profile(20))
        clock.us += 2 * DAY_US
        await store.add([("u", event("young"))])
        removed = await store.purge()
        await store.close()
        return removed

    assert asyncio.run(run()) == n + 1
    with sqlite3.connect(tmp_path / "users.sqlite") as connection:
        kinds = connection.execute(
            "SELECT kind FROM log WHERE us < ? AND kind NOT IN ('user', 'retention')", (clock.us,)
        ).fetchall()
        assert kinds == []
        assert connection.execute("SELECT count(*) FROM log WHERE kind = 'use'").fetchone() == (1,)


def test_a_deleted_user_is_overwritten_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "users.sqlite"
    store = SqliteStore(path, RULES)

    async def run() -> None:
        await store.put("someone-private", Profile(20, {"country": "ZZ-private"}))
        await store.add([("someone-private", event("private-event"))])
        await store.record([("someone-private", ShownList("private-list", "segment", ("private-item",)))])
        await store.assign([("someone-private", Assignment("test", "private-variant"))])
        await store.delete("someone-private")
        await store.close()

    asyncio.run(run())
    assert b"private" not in path.read_bytes()
    assert [entry.name for entry in tmp_path.iterdir()] == ["users.sqlite"]


def test_a_copy_is_whole_while_writes_go_on(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "users.sqlite", RULES)
    target = tmp_path / "copy.sqlite"

    async def run() -> None:
        await store.add([("u", event("before"))])
        copying = asyncio.create_task(store.back_up(target))
        for number in range(50):
            await store.add([("v", event(f"e{number}"))])
        await copying
        await asyncio.gather(store.back_up(target), store.back_up(target))  # over the older one, and two at once
        with pytest.raises(StoreError, match="cannot be copied"):
            await store.back_up(tmp_path / "none" / "copy.sqlite")
        await store.close()

    asyncio.run(run())
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    copy = SqliteStore(target, RULES)
    users = asyncio.run(copy.read(["u", "v"]))
    asyncio.run(copy.close())
    assert [len(user.events) for user in users] == [1, 50]


@pytest.mark.parametrize("url", ["mysql://h/d", "sqlite://", "sqlite:///", "users.sqlite", "redis://", "http://h"])
def test_a_url_that_names_no_store_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="store: its URL begins with neither"):
        open_store(load_settings({"store": url}))


def test_relative_and_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for url, path in (("sqlite:///a.sqlite", tmp_path / "a.sqlite"), (f"sqlite:///{tmp_path}/b?c.sqlite", None)):
        asyncio.run(open_store(load_settings({"store": url})).close())
        assert (path or tmp_path / "b?c.sqlite").is_file()


@pytest.mark.skipif(os.name != "posix", reason="the index of the log is in a file there")
def test_there_is_no_mapped_file_that_a_broken_disk_could_kill_by(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "users.sqlite", RULES)
    asyncio.run(store.add([("u", event("e"))]))
    names = {entry.name for entry in tmp_path.iterdir()}
    asyncio.run(store.close())
    assert names == {"users.sqlite", "users.sqlite-wal"}
