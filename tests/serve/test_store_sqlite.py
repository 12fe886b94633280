"""The SQLite log: what it refuses, how it commits, who else reads it."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from firstday.errors import ConfigError
from firstday.serve.settings import load_settings
from firstday.serve.store.log import Retention, StoreError, now_us
from firstday.serve.store.open import open_log
from firstday.serve.store.records import Assignment, Profile, ShownList, StoredUser
from firstday.serve.store.sqlite import PURGE_BATCH, SqliteLog
from firstday.serve.store.store import Store
from tests.serve.store_harness import DAY_US, age, make_event

RULES = Retention(1000, 10 * DAY_US)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "users.sqlite"


def make_store(path: Path, rules: Retention = RULES, **options: Any) -> Store:
    return Store(SqliteLog(path, rules, **options))


def write_text(path: Path) -> None:
    path.write_text("not a database, but long enough to be looked at" * 50)


def set_version(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 8")
    connection.close()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (write_text, "cannot be opened"),
        (Path.mkdir, "cannot be opened"),
        (set_version, r"it has version 8, not 7\); give another file"),
    ],
)
def test_a_file_that_is_no_store_is_refused(path: Path, make: Callable[[Path], None], sentence: str) -> None:
    make(path)
    with pytest.raises(ConfigError, match=sentence):
        make_store(path)


def test_a_file_that_was_moved_takes_no_writes(path: Path) -> None:
    """Its data would be lost with the process."""

    async def move_and_return() -> None:
        store = make_store(path)
        await store.append([("u", Profile({"age": 20}))])
        await store.find_changes()
        for replace in (False, True):
            elsewhere = path.rename(path.with_suffix(".away"))
            if replace:
                path.write_bytes(elsewhere.read_bytes())
            for call in (store.find_changes(), store.read(["u"]), store.append([("u", Profile({"age": 30}))])):
                with pytest.raises(StoreError, match="was moved, replaced or deleted; restart the service"):
                    await call
            elsewhere.replace(path)
        await store.append([("u", Profile({"age": 40}))])
        await store.find_changes()
        (user,) = await store.read(["u"])
        assert user.profile is not None
        assert user.profile.signals == {"age": 40}
        await store.close()

    asyncio.run(move_and_return())


def test_a_store_in_use_is_refused(path: Path) -> None:
    store = make_store(path)
    code = (
        "import sys, pathlib; from firstday.serve.store import sqlite as s; s.LOCK_TIMEOUT_S = 0.1\n"
        "from firstday.serve.store.log import Retention\n"
        "try: s.SqliteLog(pathlib.Path(sys.argv[1]), Retention(1, 0))\nexcept Exception as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    asyncio.run(store.close())
    assert "is in use by another process; stop it, or use Redis or Postgres for several workers" in done.stdout


def test_a_call_that_is_given_up_does_not_stop_the_others(path: Path) -> None:
    store = make_store(path)

    async def run() -> int:
        tasks = [asyncio.create_task(store.append([("u", make_event(f"e{n}"))])) for n in range(20)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        after = await store.append([("v", make_event("after"))])
        await store.close()
        return after

    assert asyncio.run(run()) == 1


def test_a_failed_group_keeps_nothing_and_the_next_works(path: Path) -> None:
    log = SqliteLog(path, RULES)
    store = Store(log)

    def fail(_connection: sqlite3.Connection) -> None:
        raise ValueError("no such work")

    async def run() -> list[str]:
        works = store.append([("u", Profile({"age": 20}))]), log._commits.write([fail])
        assert all(isinstance(one, StoreError) for one in await asyncio.gather(*works, return_exceptions=True))
        assert await store.read(["u"]) == [StoredUser()]
        await store.append([("u", make_event("e"))])
        found = (await store.read(["u"]))[0].events
        await store.close()
        return [one.event_id for one in found]

    assert asyncio.run(run()) == ["e"]


def test_expired_rows_leave_the_file_in_parts(path: Path) -> None:
    store = make_store(path, Retention(100_000, DAY_US))

    began_us = now_us()

    async def run() -> None:
        await store.append([(f"u{number % 5}", make_event(f"e{number}")) for number in range(PURGE_BATCH + 10)])
        await store.append([("u", Profile({"age": 20}))])
        await age(store.log, 2 * DAY_US)
        await store.append([("u", make_event("young"))])
        await store.purge()
        await store.close()

    asyncio.run(run())
    with sqlite3.connect(path) as connection:
        found = connection.execute(
            "SELECT kind FROM log WHERE us < ? AND kind NOT IN ('user', 'retention') OR kind = 'use'", (began_us,)
        )
        assert found.fetchall() == [("use",)]


def test_a_deleted_user_is_overwritten_in_the_file(path: Path) -> None:
    store = make_store(path)
    user = "someone-private"
    records = (
        Profile({"profile": {"country": "ZZ-private"}}),
        make_event("private-event"),
        ShownList("private-list", "segment", ("private-item",)),
        Assignment("test", "private-variant"),
    )

    async def run() -> None:
        await store.append([(user, record) for record in records])
        assert b"private" in read_all()
        await store.delete(user)
        assert b"private" not in read_all()
        await store.close()

    def read_all() -> bytes:
        return b"".join(file.read_bytes() for file in path.parent.iterdir())

    asyncio.run(run())
    assert b"private" not in path.read_bytes()
    assert {entry.name for entry in path.parent.iterdir()} == {"users.sqlite", "users.sqlite-lock"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_expired_or_was_deleted_during_a_copy_is_in_no_file(path: Path) -> None:
    log = SqliteLog(path, RULES)
    store = Store(log)

    async def run() -> None:
        for user in ("expired", "deleted"):
            await store.append([(user, Profile({"profile": {"country": "private"}}))])
            if user == "expired":
                await age(log, 20 * DAY_US)
                await store.purge()
                assert b"private" not in read_all()
        reader = SqliteLog(path, RULES, read_only=True)
        await store.delete("deleted")
        assert b"private" in read_all()
        await reader.close()
        await store.probe()  # as every ten seconds
        assert b"private" not in read_all()
        await store.close()

    def read_all() -> bytes:
        return b"".join(file.read_bytes() for file in path.parent.iterdir())

    asyncio.run(run())


def test_a_clock_that_is_set_ahead_erases_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make_store(path)

    async def run() -> None:
        await store.append([("u", make_event("e1")), ("v", make_event("e1"))])
        monkeypatch.setattr(time, "time_ns", lambda now_ns=time.time_ns: now_ns() + 100 * DAY_US * 1000)
        with pytest.raises(StoreError):
            await store.purge()
        await store.append([("u", make_event("e2"))])
        assert [len(user.events) for user in await store.read(["u", "v"])] == [2, 1]
        await store.close()

    asyncio.run(run())


@pytest.mark.parametrize("url", ["mysql://h/d", "sqlite://", "sqlite:///", "users.sqlite", "redis://", "http://h"])
def test_a_url_that_names_no_store_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="store: the URL is not supported"):
        open_log(load_settings({"store": url}))


def test_relative_and_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for url, name in (("sqlite:///a.sqlite", "a.sqlite"), (f"sqlite:///{tmp_path}/deep/b?c.sqlite", "deep/b?c.sqlite")):
        asyncio.run(open_log(load_settings({"store": url})).close())
        assert (tmp_path / name).is_file()
