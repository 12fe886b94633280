"""Tables of what the service learned: whole, growing, each thing once, while others write."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import sys
import time
from collections.abc import Awaitable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import polars as pl
import pytest
from redis_process import RedisProcess

from firstday.data.load import load
from firstday.errors import ConfigError
from firstday.features.impressions import Impression
from firstday.serve import export as module
from firstday.serve.export import STATE, Exported, export
from firstday.serve.store.base import Assignment, Clock, Event, Profile, Rules, ShownList, Store
from firstday.serve.store.open import open_readable
from firstday.serve.store.sqlite import SqliteStore
from tests.serve.conftest import StartServer, assert_error, open_client
from tests.serve.test_stores import DAY_US, SetClock

T = TypeVar("T")
LIST = ShownList("l1", "explore", ("i1", "i2", "i3"), (1.0, 0.5, 0.25))
RULES = Rules(1000, 0)


class Place:
    """A store to write to, and a folder to export to."""

    def __init__(self, folder: Path, redis: RedisProcess | None) -> None:
        self.folder, self.out, self.redis = folder, folder / "tables", redis
        self.clock = SetClock()
        self._loop = asyncio.new_event_loop()
        self.store: Store
        self.open()

    def open(self, rules: Rules = RULES, clock: Clock | None = None) -> None:
        """Open the store, again if it was."""
        if self.redis is None:
            self.store = SqliteStore(self.folder / "users.sqlite", rules, clock=clock or self.clock)
        else:
            from firstday.serve.store.redis import RedisStore

            prefix = f"a*[{self.folder.name}"
            self.store = RedisStore(self.redis.url, rules, prefix=prefix, clock=clock or self.clock)

    def reopen(self, rules: Rules = RULES, clock: Clock | None = None) -> None:
        """Open the store as a process that starts again does, with a clock of its own."""
        self.run(self.store.close())
        self.open(rules, clock)

    def run(self, call: Awaitable[T]) -> T:
        async def wait() -> T:
            return await call

        return self._loop.run_until_complete(wait())

    def add(self, *events: tuple[str, Event]) -> None:
        self.run(self.store.add(events))

    def copy(self) -> None:
        """Copy the file, as the service does."""
        if self.redis is None:
            self.run(self.store.back_up(self.folder / "copy.sqlite"))

    def export(self, **options: Any) -> Exported:
        """Export Redis, or the newest copy of the file."""

        async def run() -> Exported:
            if self.redis is not None:
                readable = open_readable(self.redis.url, redis_prefix=f"a*[{self.folder.name}")
            else:
                readable = open_readable(str(self.folder / "copy.sqlite"))
            try:
                return await export(readable, self.out, **options)
            finally:
                await readable.close()

        return self.run(run())

    def read(self, table: str) -> pl.DataFrame:
        path = self.out / table
        return pl.read_parquet(path if path.is_dir() else path.with_suffix(".parquet"))

    def close(self) -> None:
        self.run(self.store.close())
        self._loop.close()


@pytest.fixture(params=["sqlite", "redis"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path, None if request.param == "sqlite" else request.getfixturevalue("redis"))
    yield made
    made.close()


def time_of(us: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)


def shown_rows(place: Place) -> list[tuple[Any, ...]]:
    table = place.read("interactions").filter(pl.col("signal") == "shown")
    return sorted(table.select("user_id", "list_id", "item_id", "position", "propensity", "policy").rows(), key=str)


def test_ids_and_times_are_as_they_came(place: Place) -> None:
    profile = Profile(24, {"country": "FR", "plän": "007"}, (("artist", "a7"), ("item", "i9")), ("u2", "u3"))
    place.run(place.store.put("007", profile))
    place.add(
        ("007", Event("e1", "stream", "item", "i\U0001f3a7", 1_600_000_000_123, list_id="l1", position=3, policy="x")),
        ("007", Event("e2", "ban", "artist", "a1")),
        ("v", Event("e1", "favorite", "item", "i2", 5)),
        ("v", Event("e3", "shown", "item", "i4", 7, list_id="mine", propensity=0.125, policy="ours")),
    )
    place.run(place.store.record([("w", LIST)]))
    given = place.run(place.store.assign([("x", Assignment("test", "b"))]))
    users = dict(zip(["007", "v", "w", "x"], place.run(place.store.read(["007", "v", "w", "x"])), strict=True))
    place.copy()
    done = place.export()
    assert (done.uses, done.impressions, done.users, done.assignments, done.superseded) == (3, 4, 4, 1, 0)
    table = place.read("interactions").sort("user_id", "signal", "item_id")
    received = {event.event_id: event.received_us for event in users["007"].events}
    assert users["007"].profile is not None
    put_at, listed_at = time_of(users["007"].profile.put_us), time_of(users["w"].lists[0].received_us)
    none = (None, None, None, None)
    assert table.rows() == [
        ("007", None, "artist", "a1", "ban", time_of(received["e2"]), *none),
        ("007", None, "artist", "a7", "onboarding", put_at, *none),
        ("007", "i9", None, None, "onboarding", put_at, *none),
        ("007", "i\U0001f3a7", None, None, "stream", time_of(1_600_000_000_123_000), "l1", None, None, None),
        ("v", "i2", None, None, "favorite", time_of(5000), *none),
        ("v", "i4", None, None, "shown", time_of(7000), "mine", None, 0.125, "ours"),
        ("w", "i1", None, None, "shown", listed_at, "l1", 1, 1.0, "explore"),
        ("w", "i2", None, None, "shown", listed_at, "l1", 2, 0.5, "explore"),
        ("w", "i3", None, None, "shown", listed_at, "l1", 3, 0.25, "explore"),
    ]
    first = [time_of(user.first_us or 0) for user in users.values()]
    assert place.read("users").rows() == [
        ("007", first[0], 24, "FR", "007"),
        ("v", first[1], None, None, None),
        ("w", first[2], None, None, None),
        ("x", first[3], None, None, None),
    ]
    assert place.read("friends").rows() == [("007", "u2"), ("007", "u3")]
    assert place.read("assignments").rows() == [("x", "test", "b", time_of(given[0].assigned_us))]


def test_a_second_run_adds_what_is_new(place: Place) -> None:
    place.run(place.store.put("u", Profile(24, {"country": "FR"}, (("item", "i1"),), ("f1",))))
    place.add(("u", Event("e1", "stream", "item", "i1")), ("gone", Event("e1", "stream", "item", "i5")))
    place.run(place.store.record([("u", LIST)]))
    place.run(place.store.assign([("u", Assignment("test", "a"))]))
    place.copy()
    place.export()
    before = place.read("users")
    place.copy()
    again = place.export()
    assert (again.uses, again.impressions, again.users, again.assignments) == (0, 0, 0, 0)
    assert place.read("users").equals(before)
    place.run(place.store.delete("gone"))  # what was exported stays
    place.clock.us += DAY_US
    place.run(place.store.put("u", Profile(25, {"plan": "x"}, (("item", "i2"),), ("f2",))))
    place.add(("u", Event("e1", "stream", "item", "other")), ("u", Event("e2", "stream", "item", "i2")))
    place.add(("new", Event("e1", "stream", "item", "i3")))
    place.run(place.store.assign([("u", Assignment("second", "b")), ("new", Assignment("test", "c"))]))
    place.copy()
    done = place.export()
    assert (done.uses, done.impressions, done.users, done.assignments) == (2, 0, 2, 2)
    uses = place.read("interactions").filter(pl.col("signal") == "stream").sort("user_id", "item_id")
    assert uses.select("user_id", "item_id").rows() == [("gone", "i5"), ("new", "i3"), ("u", "i1"), ("u", "i2")]
    picks = place.read("interactions").filter(pl.col("signal") == "onboarding")
    assert picks["item_id"].to_list() == ["i2"]
    users = {row["user_id"]: row for row in place.read("users").to_dicts()}
    assert (users["u"]["age"], users["u"]["country"], users["u"]["plan"]) == (25, None, "x")
    assert users["u"]["registered_at"] == before.row(by_predicate=pl.col("user_id") == "u", named=True)["registered_at"]
    assert set(users) == {"u", "gone", "new"}
    assert place.read("friends").rows() == [("u", "f2")]
    assignments = place.read("assignments").select("user_id", "experiment", "variant").rows()
    assert assignments == [("u", "test", "a"), ("u", "second", "b"), ("new", "test", "c")]


def test_many_small_runs_give_what_one_gives(place: Place) -> None:
    for number in range(12):
        user = f"u{number % 3}"
        place.run(place.store.record([(user, replace(LIST, list_id=f"l{number}"))]))
        place.add((user, Event(f"e{number}", "stream", "item", f"i{number}", list_id=f"l{number}")))
        if number % 4 == 0:
            place.run(place.store.put(user, Profile(number)))
        if number > 3:  # what was really seen of a list of three runs ago
            seen = Event(f"s{number}", "shown", "item", "i2", number, list_id=f"l{number - 3}")
            place.add((user, seen))
        place.copy()
        place.export()
    small = {name: place.read(name) for name in ("interactions", "users")}
    shutil.rmtree(place.out)
    place.copy()
    place.export()
    for name, table in small.items():
        once = place.read(name)
        assert table.sort(table.columns).equals(once.sort(once.columns))
    lists = small["interactions"].filter(pl.col("signal") == "shown").group_by("list_id").len()
    assert dict(lists.rows()) == {f"l{n}": 1 if 1 <= n <= 8 else 3 for n in range(12)}


def test_what_the_caller_saw_takes_the_place_of_what_was_exported(place: Place) -> None:
    place.run(place.store.record([("u", LIST), ("v", LIST), ("u", replace(LIST, list_id="l2"))]))
    place.copy()
    assert place.export().impressions == 9
    place.add(("u", Event("s1", "shown", "item", "i2", list_id="l1")))
    place.copy()
    done = place.export()
    assert (done.impressions, done.superseded) == (1, 3)
    assert shown_rows(place) == sorted(
        [("u", "l1", "i2", None, 0.5, "explore")]
        + [
            (user, list_id, item, position, 1 / 2 ** (position - 1), "explore")
            for user, list_id in (("u", "l2"), ("v", "l1"))
            for position, item in enumerate(("i1", "i2", "i3"), 1)
        ],
        key=str,
    )


@pytest.mark.parametrize("fails_at", range(6))
def test_a_run_that_ends_early_changes_nothing_that_the_next_one_does_not_mend(
    place: Place, fails_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends at each renaming of a file in turn."""
    place.run(place.store.record([("u", LIST)]))
    place.add(("u", Event("e1", "stream", "item", "i1")))
    place.copy()
    place.export()
    place.run(place.store.put("u", Profile(24, picks=(("item", "i9"),), friends=("f",))))
    place.add(("u", Event("e2", "stream", "item", "i2")), ("u", Event("s", "shown", "item", "i1", list_id="l1")))
    place.copy()
    plain, renamed = Path.replace, 0

    def fail(path: Path, target: Path) -> Path:
        nonlocal renamed
        renamed += 1
        if renamed > fails_at:
            raise OSError("killed")
        return plain(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fail)
        with pytest.raises(OSError, match="killed"):
            place.export()
    place.add(("u", Event("e3", "stream", "item", "i3")))
    place.copy()
    place.export()
    kept = {name: place.read(name) for name in ("interactions", "users", "friends")}
    assert not [path for path in place.out.rglob("*") if path.name.endswith(".new")]
    shutil.rmtree(place.out)
    place.copy()
    place.export()
    for name, table in kept.items():
        assert table.sort(table.columns).equals(place.read(name).sort(table.columns))


def test_large_exports_are_in_several_files(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 10)
    place.add(*((f"u{n % 7}", Event(f"e{n}", "stream", "item", f"i{n}")) for n in range(100)))
    place.copy()
    place.export()
    assert len(list((place.out / "interactions").glob("events-*.parquet"))) > 3
    assert sorted(place.read("interactions")["item_id"].to_list()) == sorted(f"i{n}" for n in range(100))


def test_tables_are_read_by_check_and_train(place: Place) -> None:
    place.run(place.store.put("u0", Profile(24, {"country": "FR"}, (("artist", "a1"),), ("u1",))))
    place.add(*((f"u{n % 3}", Event(f"e{n}", "stream", "item", f"i{n}", 1_600_000_000_000 + n)) for n in range(9)))
    place.copy()
    place.export()
    pl.DataFrame({"item_id": [f"i{n}" for n in range(9)], "artist_id": ["a1"] * 9}).write_csv(place.out / "items.csv")
    dataset = load(place.out)
    assert sorted(map(str, dataset.users.values.to_list())) == ["u0", "u1", "u2"]
    assert dataset.ages is not None
    assert "country" in dataset.groups


def test_only_what_came_since_a_time_where_the_folder_is_new(place: Place) -> None:
    place.add(("u", Event("e1", "stream", "item", "i1")))
    place.clock.us += DAY_US
    since = time_of(place.clock.us)
    place.clock.us += 1
    place.add(("u", Event("e2", "stream", "item", "i2")))
    place.copy()
    place.export(since=since)
    assert place.read("interactions")["item_id"].to_list() == ["i2"]
    assert place.read("users")["user_id"].to_list() == ["u"]
    place.copy()
    place.export(since=since - timedelta(days=10))  # there was a run: it goes on from there
    assert place.read("interactions")["item_id"].to_list() == ["i2"]


def test_nothing_is_written_over(place: Place, tmp_path: Path) -> None:
    place.add(("u", Event("e1", "stream", "item", "i1")))
    place.copy()
    for name in ("users.csv", "interactions.parquet"):
        other = tmp_path / f"other-{name}"
        other.mkdir()
        (other / name).write_text("mine")
        place.out = other
        with pytest.raises(ConfigError, match="has tables that are no export"):
            place.export()
        assert (other / name).read_text() == "mine"
    place.out = tmp_path / "damaged"
    place.out.mkdir()
    (place.out / STATE).write_text("{")
    with pytest.raises(ConfigError, match="is damaged; export into another folder"):
        place.export()


def test_an_older_copy_is_refused(tmp_path: Path) -> None:
    place = Place(tmp_path, None)
    place.add(("u", Event("e1", "stream", "item", "i1")))
    place.run(place.store.back_up(tmp_path / "old.sqlite"))
    place.clock.us += DAY_US
    place.add(("u", Event("e2", "stream", "item", "i2")))
    place.copy()
    place.export()
    with pytest.raises(ConfigError, match="further than this store"):
        place.run(export(open_readable(str(tmp_path / "old.sqlite")), place.out))
    place.close()


def test_what_has_expired_is_in_no_table(place: Place) -> None:
    """By the retention of the service that had the store, and as of the export."""
    place.reopen(Rules(1000, 10 * DAY_US))
    place.clock.us = time.time_ns() // 1000 - 11 * DAY_US
    place.run(place.store.put("u", Profile(24, {"country": "FR"}, (("item", "i9"),), ("f",))))
    place.run(place.store.record([("u", LIST), ("gone", LIST)]))
    place.add(("u", Event("e1", "stream", "item", "i1")), ("u", Event("s1", "shown", "item", "i1")))
    place.clock.us += 2 * DAY_US
    place.add(("u", Event("e2", "stream", "item", "i2")))
    place.copy()
    done = place.export()
    assert (done.uses, done.impressions, done.users) == (1, 0, 1)
    table = place.read("interactions")
    assert table.select("user_id", "signal", "item_id").rows() == [("u", "stream", "i2")]
    assert place.read("users").select("user_id", "age").rows() == [("u", None)]
    place.reopen(Rules(1000, 0))  # another setting, noted by the service, at the latest when it writes
    place.add(("u", Event("e3", "stream", "item", "i3")))
    place.copy()
    shutil.rmtree(place.out)
    assert place.export().uses == 3


def test_a_told_list_is_not_shown_again_where_what_was_told_is_forgotten(place: Place) -> None:
    """Neither one that an earlier run wrote, nor one that is new."""
    place.reopen(Rules(1000, 0, max_shown_per_user=1))
    place.run(place.store.record([("u", LIST), ("v", LIST)]))
    place.copy()
    assert place.export().impressions == 6
    place.run(place.store.record([("u", replace(LIST, list_id="l2"))]))
    for number, list_id in enumerate(("l1", "l2", None)):
        place.add(("u", Event(f"s{number}", "shown", "item", "i2", 7, list_id=list_id, propensity=0.5, policy="x")))
    place.copy()
    done = place.export()
    assert (done.impressions, done.superseded) == (1, 3)
    rows = [("v", "l1", f"i{n}", n, 1 / 2 ** (n - 1), "explore") for n in (1, 2, 3)]
    assert shown_rows(place) == [("u", None, "i2", None, 0.5, "x"), *rows]
    small = place.read("interactions")
    shutil.rmtree(place.out)
    place.copy()
    place.export()
    assert place.read("interactions").sort(small.columns).equals(small.sort(small.columns))


def test_who_was_deleted_makes_no_copy_older(place: Place) -> None:
    place.add(("u", Event("e1", "stream", "item", "i1")))
    place.clock.us += DAY_US
    place.add(("newest", Event("e1", "stream", "item", "i2")))
    place.copy()
    place.export()
    place.run(place.store.delete("newest"))
    place.copy()
    assert place.export().uses == 0


def test_no_time_is_given_twice_where_the_newest_is_gone_and_the_clock_went_back(place: Place) -> None:
    place.add(("u", Event("e1", "stream", "item", "i1")))
    place.clock.us += 1000
    place.add(("newest", Event("e1", "stream", "item", "i2")))
    place.copy()
    place.export()
    place.run(place.store.delete("newest"))
    back = SetClock()
    back.us = place.clock.us - 500
    place.reopen(clock=back)
    place.add(("late", Event("e1", "stream", "item", "i3")))
    place.copy()
    assert place.export().uses == 1
    assert sorted(place.read("interactions")["item_id"].to_list()) == ["i1", "i2", "i3"]


def test_what_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    for store, sentence in (
        ("none.sqlite", "is no file"),
        (f"sqlite:///{tmp_path}/none.sqlite", "is no file"),
        ("mysql://h/d", "begins with neither"),
        ("sqlite://h", "begins with neither"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            open_readable(store)
    (tmp_path / "text.sqlite").write_text("not a database, but long enough to be looked at" * 50)
    with pytest.raises(ConfigError, match="cannot be opened"):
        open_readable(str(tmp_path / "text.sqlite"))
    with sqlite3.connect(tmp_path / "other.sqlite") as connection:
        connection.execute("PRAGMA user_version = 7")
    connection.close()
    with pytest.raises(ConfigError, match="is of version 7, not 3"):
        open_readable(str(tmp_path / "other.sqlite"))


def run_export(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    from firstday.cli import main

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["firstday", "export", *arguments])
        with pytest.raises(SystemExit) as ended:
            main.main()
    written = capsys.readouterr()
    return int(ended.value.code or 0), written.out + written.err


def test_a_running_service_is_exported_by_its_copy(
    start_server: StartServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy, out = tmp_path / "copy.sqlite", tmp_path / "tables"
    server = start_server(backup_file=copy)
    with open_client(server) as http:
        list_id = http.get("/v1/users/u/recommendations?record=true&k=3").json()["list_id"]
        event = {"event_id": "e", "user_id": "u", "entity_id": "i001", "list_id": list_id}
        http.post("/v1/events", json={"events": [event]})
        assert http.post("/v1/store/backup").json()["bytes"] > 1000
        status, text = run_export([str(tmp_path / "server" / "users.sqlite"), "--out", str(out)], capsys)
        assert (status, "export the copy that FIRSTDAY_SERVE_BACKUP_FILE names" in text) == (2, True)
        assert run_export([str(copy), "--out", str(out)], capsys) == (0, _line(out, 1, 3, 1))
        http.post("/v1/events", json={"events": [{**event, "event_id": "e2"}]})
        http.post("/v1/store/backup")
        assert run_export([f"sqlite:///{copy}", "--out", str(out)], capsys)[1].startswith(
            f"{out}: 1 uses, 0 impressions"
        )
    server.kill()  # what it acknowledged is in the file's log
    shutil.rmtree(out)
    status, text = run_export([str(tmp_path / "server" / "users.sqlite"), "--out", str(out)], capsys)
    assert (status, text.startswith(f"{out}: 2 uses, 3 impressions, 1 users")) == (0, True), text


def _line(out: Path, uses: int, impressions: int, users: int) -> str:
    until = datetime.fromisoformat(json.loads((out / STATE).read_text())["until"])
    counts = f"{uses} uses, {impressions} impressions, {users} users and 0 assignments"
    return f"{out}: {counts} more, up to {until:%Y-%m-%d %H:%M:%S} UTC\n"


def test_without_a_file_for_copies_there_is_none(start_server: StartServer) -> None:
    with open_client(start_server()) as http:
        assert_error(http.post("/v1/store/backup"), 409, "no_backup_file")


def test_mistakes_on_the_command_line_are_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, text = run_export(["none.sqlite", "--out", str(tmp_path / "t"), "--since", "monday"], capsys)
    assert (status, text) == (
        2,
        "error: Invalid value for '--since': 'monday' does not match the formats '%Y-%m-%d', '%Y-%m-%dT%H:%M:%S%z'; "
        "see --help.\n",
    )
    (tmp_path / "file").write_text("")
    status, text = run_export(["none.sqlite", "--out", str(tmp_path / "file")], capsys)
    assert (status, text) == (2, f"error: {tmp_path / 'file'}: is a file; give a folder.\n")


def test_an_export_that_was_killed_before_its_first_table_goes_on(place: Place) -> None:
    place.add(("u", Event("e1", "stream", "item", "i1")))
    place.copy()
    place.out.mkdir()
    (place.out / STATE).write_text('{"until_us": 0}\n', encoding="utf-8")
    place.export()
    assert place.read("interactions")["item_id"].to_list() == ["i1"]


def test_what_was_put_as_shown_is_exported_as_impressions(place: Place) -> None:
    place.run(place.store.put("u", Profile(shown=(Impression("i2", 3, "theirs", 0.5, "explore"),))))
    place.copy()
    place.export()
    columns = ("signal", "item_id", "position", "list_id", "propensity", "policy")
    assert place.read("interactions").select(columns).rows() == [("shown", "i2", 3, "theirs", 0.5, "explore")]
