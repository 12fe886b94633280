"""What only a log in Postgres promises: rights, time limits, plans, and a password that nobody sees."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import re
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from itertools import count
from typing import TypeVar, cast

import psycopg
import pytest
from store_servers import PostgresProcess

from firstday.errors import ConfigError, MissingExtraError
from firstday.serve.settings import load_settings
from firstday.serve.store.log import Retention, StoreError
from firstday.serve.store.open import open_log
from firstday.serve.store.postgres import PostgresLog
from firstday.serve.store.records import ShownList
from firstday.serve.store.store import Store
from tests.serve.conftest import StartApp, assert_error, read_lines
from tests.serve.store_harness import make_event, make_shown

T = TypeVar("T")
RULES = Retention(1000, 0)
PATIENCE_S = 10
QUICK_S = 2


async def fails(call: Awaitable[object]) -> str:
    with pytest.raises(StoreError) as caught:
        await call
    return str(caught.value)


def with_role(postgres: PostgresProcess, url: str, rights: str) -> str:
    """Return the URL of a schema for a new role with some rights on what the schema has."""
    schema = url.rpartition("%3D")[2]
    role = f"{schema}_role"
    postgres.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'other-password'")
    postgres.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
    for kind in ("TABLES", "SEQUENCES"):
        granted = rights if kind == "TABLES" else rights.replace("INSERT, DELETE, ", "")
        postgres.execute(f"GRANT {granted} ON ALL {kind} IN SCHEMA {schema} TO {role}")
    return url.replace(f"firstday:{postgres.password}", f"{role}:other-password")


def test_a_role_without_the_right_to_create_tables_writes_to_those_that_are_there(postgres: PostgresProcess) -> None:
    url = postgres.make_schema()
    none = with_role(postgres, url, "SELECT, INSERT, DELETE, UPDATE")

    async def run() -> None:
        first = Store(PostgresLog(none, RULES, PATIENCE_S))
        assert "permission denied" in await fails(first.append([("u", make_event("e1"))]))
        owner = Store(PostgresLog(url, RULES, PATIENCE_S))
        await owner.append([("u", make_event("e1"))])
        with_rights = ("SELECT, INSERT, DELETE, UPDATE", "SELECT, UPDATE")
        role, schema = re.findall(r"//(\w+):.*%3D(\w+)", none)[0]
        for rights, kind in zip(with_rights, ("TABLES", "SEQUENCES"), strict=True):
            postgres.execute(f"GRANT {rights} ON ALL {kind} IN SCHEMA {schema} TO {role}")
        second = Store(PostgresLog(none, RULES, PATIENCE_S))
        assert await second.append([("u", make_event("e1")), ("u", make_event("e2"))]) == 1
        for store in (first, owner, second):
            await store.close()

    asyncio.run(run())


def test_a_scan_needs_no_right_to_write_and_creates_nothing(postgres: PostgresProcess) -> None:
    url = postgres.make_schema()

    async def run() -> None:
        empty = PostgresLog(url, RULES, PATIENCE_S, read_only=True)
        assert "does not exist" in await fails(empty.find_facts())
        await empty.close()
        store = Store(PostgresLog(url, Retention(1000, 77), PATIENCE_S))
        await store.append([("u", make_event("e1")), ("v", make_event("e2"))])
        await store.close()
        scan = PostgresLog(with_role(postgres, url, "SELECT"), RULES, PATIENCE_S, read_only=True)
        latest_us, retention_us = await scan.find_facts()
        assert retention_us == 77
        assert await scan.find_owners(0) == ["u", "v"]
        assert await scan.find_owners(latest_us - 1) == ["v"]
        assert "permission denied" in await fails(scan.delete(["u"], 0))
        await scan.close()

    asyncio.run(run())


def test_a_writer_waits_for_another_one_until_the_time_limit(postgres: PostgresProcess) -> None:
    url = postgres.make_schema()

    async def run() -> None:
        store = Store(PostgresLog(url, RULES, QUICK_S, 0))
        await store.append([("u", make_event("e1"))])
        connection = await psycopg.AsyncConnection.connect(url)  # has no time limit
        await connection.execute("SELECT pg_advisory_xact_lock('firstday_log'::regclass::bigint)")
        await fails(store.append([("u", make_event("e2"))]))
        await connection.close()
        assert [event.event_id for event in (await store.read(["u"]))[0].events] == ["e1"]
        assert await store.append([("u", make_event("e2"))]) == 1
        await store.close()

    asyncio.run(run())


def append_forever(url: str) -> None:
    async def run() -> None:
        store = Store(PostgresLog(url, RULES, PATIENCE_S))
        for number in count():
            await store.append([("other", make_event(str(number)))])

    asyncio.run(run())


def test_a_writer_that_hangs_does_not_hold_up_the_others(postgres: PostgresProcess) -> None:
    url = postgres.make_schema()
    other = multiprocessing.get_context("spawn").Process(target=append_forever, args=(url,))
    other.start()

    async def run() -> None:
        store = Store(PostgresLog(url, RULES, PATIENCE_S))
        for number in range(5):
            before = newest = (await store.read(["other"]))[0].newest_us
            while newest == before:
                newest = (await store.read(["other"]))[0].newest_us
            os.kill(cast("int", other.pid), signal.SIGSTOP)
            assert await store.append([("u", make_event(str(number)))]) == 1
            os.kill(cast("int", other.pid), signal.SIGCONT)
        await store.close()

    try:
        asyncio.run(run())
    finally:
        other.kill()
        other.join()


def test_each_statement_of_a_write_uses_an_index(postgres: PostgresProcess) -> None:
    """Also with plans that were made when there was one user."""
    url = postgres.make_schema()

    async def run() -> list[str]:
        log = PostgresLog(url, RULES, PATIENCE_S)
        store = Store(log)
        for number in range(20):
            await store.append([("u", make_event(f"e{number}"))])
        users = [f"u{number}" for number in range(3000)]
        await store.append([(user, make_event(f"e{number}")) for user in users for number in range(3)])
        scanned = "SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'firstday_log' AND schemaname = '{}'"
        query = scanned.format(url.rpartition("%3D")[2])
        await store.append([("u", ShownList("l", "segment", ("i1",)))])
        await store.append([("u", make_shown("s", list_id="l"))])
        await store.delete("u1")
        (user,) = await store.read(["u"])
        assert user.lists[0].is_told
        await store.close()
        await asyncio.sleep(1)  # until statistics are written
        return [str(row) for (row,) in postgres.execute(query)]

    assert asyncio.run(run()) == ["0"]


PASSWORDS = ("pa/ss@w?rd", "pa%zz", "pa%00")


@pytest.mark.parametrize("password", PASSWORDS)
def test_a_url_that_cannot_be_read_is_refused_without_being_shown(password: str) -> None:
    with pytest.raises(ConfigError, match="store: the URL of Postgres is not valid") as caught:
        open_log(load_settings({"store": f"postgresql://firstday:{password}@127.0.0.1/d"}))
    assert password[:2] not in str(caught.value).replace("PASSWORD", "").replace("percent", "").replace("special", "")
    assert caught.value.__suppress_context__


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "firstday.serve.store.postgres")
    with pytest.raises(MissingExtraError) as caught:
        open_log(load_settings({"store": "postgresql://h/d"}))
    assert caught.value.extra == "postgres"


def test_a_refused_password_is_told_and_not_shown(postgres: PostgresProcess) -> None:
    log = PostgresLog(postgres.url.replace(postgres.password, "not-the-password"), RULES, PATIENCE_S)
    said = asyncio.run(fails(log.read(["u"])))
    assert "password authentication failed" in said
    assert "not-the-password" not in said


def test_no_answer_and_no_line_of_the_log_has_the_password(
    log: Callable[[], str], start_app: StartApp, postgres: PostgresProcess
) -> None:
    event = {"event_id": "e", "user_id": "u", "entity_id": "i001"}
    app = start_app(store=postgres.make_schema(), store_timeout_s=QUICK_S, store_retry_s=0.05)
    with app.open_client() as http:

        def write() -> str:
            answer = http.post("/v1/events", json={"events": [event]})
            assert_error(answer, 503, "store_unavailable")
            return answer.text + http.get("/metrics").text + http.get("/readyz").text

        assert http.post("/v1/events", json={"events": [event]}).status_code == 200
        postgres.freeze()
        said = write()
        assert "TimeoutError" not in said
        postgres.thaw()
        postgres.stop()
        time.sleep(0.1)
        said += write()
    postgres.start()
    errors = [line["error"] for line in read_lines(log()) if line["event"] == "store failed"]
    assert any("cannot be reached (TimeoutError)" in error for error in errors)
    assert postgres.password not in said + log()
