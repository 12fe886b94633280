"""Tables of what the service learned: whole, growing, each thing once, while others write."""

from __future__ import annotations

import json
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from firstday.data.load import load
from firstday.errors import ConfigError, DataError
from firstday.features.wire_types import Impression
from firstday.recommend.recommender import Recommender
from firstday.serve import export as module
from firstday.serve.export import STATE, ExportSummary, export
from firstday.serve.settings import load_settings
from firstday.serve.store.log import now_us
from firstday.serve.store.open import open_log
from firstday.serve.store.records import Event, Profile, ShownList, StoredItem
from tests.serve.conftest import StartServer, add_events, open_client, run_command
from tests.serve.in_process import running_app
from tests.serve.store_harness import DAY_US, Harness, MakeLog, copy_store, make_event, make_shown


class Place(Harness):
    """A store to write to, and a folder to export to."""

    def __init__(self, folder: Path, make: MakeLog, settings: dict[str, Any]) -> None:
        self.folder, self.out, self.settings = folder, folder / "tables", settings
        super().__init__(make)

    def open(self, max_events_per_user: int = 1000, retention_us: int = 0, **caps: int) -> None:
        super().open(max_events_per_user, retention_us, **caps)

    def export(self, **options: Any) -> ExportSummary:
        async def run() -> ExportSummary:
            log = open_log(load_settings(self.settings), read_only=True)
            try:
                return await export(log, self.out, **options)
            finally:
                await log.close()

        return self.run(run())

    def table(self, name: str) -> pl.DataFrame:
        path = self.out / name
        return pl.read_parquet(path if path.is_dir() else path.with_suffix(".parquet"))

    def export_whole(self) -> dict[str, pl.DataFrame]:
        """Return the tables of an export of everything into a new folder."""
        shutil.rmtree(self.out)
        self.export()
        return {name: self.table(name) for name in ("interactions", "users")}


@pytest.fixture
def place(make_log: MakeLog, store_settings: dict[str, Any], tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path, make_log, store_settings)
    yield made
    made.close()


def time_of(us: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)


def use(number: int, item: int | None = None, **how: Any) -> Event:
    return make_event(f"e{number}", f"i{number if item is None else item}", **how)


def show(number: int, item: str, **how: Any) -> Event:
    return make_shown(f"s{number}", item, **how)


def profile(age: int, pick: str, friend: str, **columns: str) -> Profile:
    return Profile({"age": age, "profile": columns, "picks": [["item", pick]], "friends": [friend]})


def listed(list_id: str) -> ShownList:
    return ShownList(list_id, "explore", ("i1", "i2", "i3"), (1.0, 0.5, 0.25))


def listed_rows(user: str, list_id: str) -> list[tuple[Any, ...]]:
    return [(user, list_id, f"i{n}", n, 1 / 2 ** (n - 1), "explore") for n in (1, 2, 3)]


def shown_rows(place: Place) -> list[tuple[Any, ...]]:
    table = place.table("interactions").filter(pl.col("signal") == "shown")
    return sorted(table.select("user_id", "list_id", "item_id", "position", "propensity", "policy").rows(), key=str)


def items(place: Place) -> list[str]:
    return sorted(place.table("interactions")["item_id"].to_list())


def assert_same(tables: dict[str, pl.DataFrame], others: dict[str, pl.DataFrame]) -> None:
    for name, table in tables.items():
        assert table.sort(table.columns).equals(others[name].sort(table.columns))


def test_what_the_service_lets_in_by_day_is_a_note_by_night(
    tiny: Recommender, tmp_path: Path, store_settings: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows that are not understood are left out up to a tenth; n7, an item unknown to the tables, stays."""
    out = tmp_path / "tables"
    ids = [f"i{number}" for number in range(1, 7)]
    with running_app(tiny.save(tmp_path / "model"), tmp_path, **store_settings) as app, app.open_client() as http:
        for number in range(10):
            add_events(http, "u", *ids, list_id=f"l{number}")
        assert add_events(http, "u", "i1", "00i3", "n7")["not_understood"] == 2
        unknown = [{"signal": "sale"}, {"entity": "maker"}, {"entity": "artist"}]
        assert [add_events(http, "u", "i2", **what)["not_understood"] for what in unknown] == [1, 1, 1]
        app.run(export(app.service.store.log, out))
    items = pl.DataFrame({"item_id": ids, "artist_id": [["a1"]] * 6})
    items.write_parquet(out / "items.parquet")
    _, text = run_command(capsys, "check", str(out))  # too few users to train
    notes = [line for line in text.splitlines() if "1 of 66 rows" in line]
    assert len(notes) == 4
    for value in ("'00i3'", "'sale'", "'maker'", "'i2'"):
        assert sum(value in note for note in notes) == 1
    dataset = load(out)
    assert dataset.items.values.to_list() == [*ids, "n7"]
    used = dataset.items.take(dataset.events.whole()["target_ix"].to_numpy())
    assert used.value_counts().sort("item_id").rows() == [("i1", 11), *((item, 10) for item in ids[1:]), ("n7", 1)]
    few = pl.read_parquet(out / "interactions").with_columns(signal=pl.lit("sale"))
    few.tail(10).write_parquet(out / "interactions" / "more.parquet")  # 11 of 76 are too many
    with pytest.raises(DataError, match="11 of 76 rows"):
        load(out)


def test_ids_and_times_are_as_they_came(place: Place) -> None:
    picks = [["artist", "a7"], ["item", "i9"]]
    columns = {"country": "FR", "plän": "007"}
    place.append("007", Profile({"age": 24, "profile": columns, "picks": picks, "friends": ["u2", "u3"]}))
    place.append(
        "007",
        make_event("e1", "i\U0001f3a7", timestamp=time_of(1_600_000_000_123_000), list_id="l1", position=3, policy="x"),
        make_event("e2", "a1", signal="ban", entity="artist"),
    )
    place.append("v", make_event("e1", "i2", signal="favorite", timestamp=time_of(5000)))
    place.append("v", show(3, "i4", timestamp=time_of(7000), list_id="mine", propensity=0.125, policy="ours"))
    place.append("w", listed("l1"))
    place.append("w2", Profile({"shown": [Impression("i2", 3, "theirs", 0.5, "explore")]}))
    given = place.assign("x", "test", "b")
    names = ("007", "v", "w", "w2", "x")
    users = {name: place.read(name) for name in names}
    done = place.export()
    assert (done.interactions, done.users, done.assignments) == (7, 5, 1)
    received = {event.event_id: event.received_us for event in users["007"].events}
    put_at = {name: time_of(user.profile.put_us) for name, user in users.items() if user.profile}
    listed_at = time_of(users["w"].lists[0].received_us)
    none = (None, None, None, None)
    assert place.table("interactions").sort("user_id", "signal", "item_id").rows() == [
        ("007", None, "artist", "a1", "ban", time_of(received["e2"]), *none),
        ("007", None, "artist", "a7", "onboarding", put_at["007"], *none),
        ("007", "i9", None, None, "onboarding", put_at["007"], *none),
        ("007", "i\U0001f3a7", None, None, "stream", time_of(1_600_000_000_123_000), "l1", None, None, None),
        ("v", "i2", None, None, "favorite", time_of(5000), *none),
        ("v", "i4", None, None, "shown", time_of(7000), "mine", None, 0.125, "ours"),
        ("w", "i1", None, None, "shown", listed_at, "l1", 1, 1.0, "explore"),
        ("w", "i2", None, None, "shown", listed_at, "l1", 2, 0.5, "explore"),
        ("w", "i3", None, None, "shown", listed_at, "l1", 3, 0.25, "explore"),
        ("w2", "i2", None, None, "shown", put_at["w2"], "theirs", 3, 0.5, "explore"),
    ]
    assert place.table("users").rows() == [
        (name, time_of(user.first_us or 0), *((24, "FR", "007") if name == "007" else (None, None, None)))
        for name, user in users.items()
    ]
    assert place.table("friends").rows() == [("007", "u2"), ("007", "u3")]
    assert place.table("assignments").rows() == [("x", "test", "b", time_of(given.assigned_us))]


def test_a_second_run_adds_what_is_new(place: Place) -> None:
    place.append("u", profile(24, "i1", "f1", country="FR"), use(1), listed("l1"))
    place.append("gone", use(1, 5))
    place.assign("u", "test", "a")
    place.export()
    before = place.table("users")
    again = place.export()
    assert (again.interactions, again.users, again.assignments) == (0, 0, 0)
    assert place.table("users").equals(before)
    place.delete("gone")  # what was exported stays
    place.append("u", profile(25, "i2", "f2", plan="x"), use(1, 99), use(2))
    place.append("new", use(1, 3))
    place.assign("u", "second", "b")
    place.assign("new", "test", "c")
    done = place.export()
    assert (done.interactions, done.users, done.assignments) == (2, 1, 2)
    uses = place.table("interactions").filter(pl.col("signal") == "stream").sort("user_id", "item_id")
    assert uses.select("user_id", "item_id").rows() == [("gone", "i5"), ("new", "i3"), ("u", "i1"), ("u", "i2")]
    picks = place.table("interactions").filter(pl.col("signal") == "onboarding")
    assert picks["item_id"].to_list() == ["i2"]
    users = {row["user_id"]: row for row in place.table("users").to_dicts()}
    assert (users["u"]["age"], users["u"]["country"], users["u"]["plan"]) == (25, None, "x")
    assert users["u"]["registered_at"] == before.row(by_predicate=pl.col("user_id") == "u", named=True)["registered_at"]
    assert set(users) == {"u", "gone", "new"}
    assert place.table("friends").rows() == [("u", "f2")]
    assignments = place.table("assignments").select("user_id", "experiment", "variant").rows()
    assert assignments == [("u", "test", "a"), ("u", "second", "b"), ("new", "test", "c")]


def test_what_the_caller_saw_takes_the_place_of_what_was_exported(place: Place) -> None:
    place.append("u", listed("l1"), listed("l2"))
    place.append("v", listed("l1"))
    assert place.export().interactions == 9
    place.append("u", show(1, "i2", list_id="l1"))
    assert place.export().interactions == 1
    expected = [("u", "l1", "i2", None, 0.5, "explore"), *listed_rows("u", "l2"), *listed_rows("v", "l1")]
    assert shown_rows(place) == sorted(expected, key=str)


@pytest.mark.parametrize("fails_at", range(6))
def test_a_run_that_ends_early_changes_nothing_that_the_next_one_does_not_mend(
    place: Place, fails_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends at each renaming of a file in turn."""
    place.append("u", listed("l1"), use(1))
    place.export()
    place.append("u", profile(24, "i9", "f"), use(2), show(1, "i1", list_id="l1"))
    plain = Path.replace
    renamed = 0

    def fail(path: Path, target: Path) -> Path:
        nonlocal renamed
        renamed += path.is_relative_to(place.out)
        if renamed > fails_at:
            raise OSError("killed")
        return plain(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fail)
        with pytest.raises(OSError, match="killed"):
            place.export()
    place.append("u", use(3))
    place.export()
    mended = {name: place.table(name) for name in ("interactions", "users")}
    assert place.table("friends").rows() == [("u", "f")]
    assert {path.name for path in place.out.glob(".*")} == {STATE}
    assert_same(mended, place.export_whole())


def test_large_exports_are_in_several_files(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 10)
    for n in range(7):
        place.append(f"u{n}", *(use(number) for number in range(n, 100, 7)))
    place.export()
    assert len(list((place.out / "interactions").glob("events-*.parquet"))) > 3
    assert items(place) == sorted(f"i{n}" for n in range(100))


def test_only_what_came_since_a_time_where_the_folder_is_new(place: Place) -> None:
    place.append("u", use(1))
    place.age(DAY_US)
    since = time_of(now_us())
    place.append("u", use(2))
    place.export(since=since)
    assert items(place) == ["i2"]
    assert place.table("users")["user_id"].to_list() == ["u"]
    place.export(since=since - timedelta(days=10))  # there was a run: it goes on from there
    assert items(place) == ["i2"]


def test_nothing_is_written_over(place: Place, tmp_path: Path) -> None:
    place.append("u", use(1))
    for name in ("users.csv", "interactions.parquet"):
        place.out = tmp_path / f"other-{name}"
        place.out.mkdir()
        (place.out / name).write_text("mine")
        with pytest.raises(ConfigError, match="has tables from another source"):
            place.export()
        assert (place.out / name).read_text() == "mine"
    place.out = tmp_path / "damaged"
    place.out.mkdir()
    (place.out / STATE).write_text("{")
    with pytest.raises(ConfigError, match="is damaged; export into another folder"):
        place.export()


@pytest.mark.parametrize("store_settings", ["sqlite"], indirect=True)
def test_an_older_copy_is_refused(place: Place, tmp_path: Path) -> None:
    place.append("u", use(1))
    old = copy_store(place.settings["store"], tmp_path / "old.sqlite")
    place.append("u", use(2))
    place.export()
    place.settings = {"store": old}
    with pytest.raises(ConfigError, match="but this store ends at"):
        place.export()


def test_what_has_expired_is_in_no_table(place: Place) -> None:
    """By the retention of the service that had the store, and as of the export."""
    place.reopen(retention_us=10 * DAY_US)
    place.append("u", profile(24, "i9", "f", country="FR"), listed("l1"), use(1), show(1, "i1"))
    place.append("gone", listed("l1"))
    place.age(2 * DAY_US)
    place.append("u", use(2))
    place.age(9 * DAY_US)
    done = place.export()
    assert (done.interactions, done.users) == (1, 1)
    table = place.table("interactions")
    assert table.select("user_id", "signal", "item_id").rows() == [("u", "stream", "i2")]
    assert place.table("users").select("user_id", "age").rows() == [("u", None)]
    place.reopen()  # another setting, noted by the service, at the latest when it writes
    place.append("u", use(3))
    shutil.rmtree(place.out)
    assert place.export().interactions == 10


def test_a_told_list_is_not_shown_again_where_what_was_told_is_forgotten(place: Place) -> None:
    """Neither one that an earlier run wrote, nor one that is new."""
    place.reopen(max_shown_per_user=1)
    place.append("u", listed("l1"))
    place.append("v", listed("l1"))
    assert place.export().interactions == 6
    place.append("u", listed("l2"))
    for number, list_id in enumerate(("l1", "l2", None)):
        place.append("u", show(number, "i2", timestamp=time_of(7), list_id=list_id, propensity=0.5, policy="x"))
    assert place.export().interactions == 1
    assert shown_rows(place) == [("u", None, "i2", None, 0.5, "x"), *listed_rows("v", "l1")]
    small = {"interactions": place.table("interactions")}
    assert_same(small, place.export_whole())


@pytest.mark.parametrize("behind_us", [0, DAY_US])
def test_no_time_is_given_twice_where_the_newest_is_gone(place: Place, behind_us: int) -> None:
    """Also by a clock that was put back. Nor does a deleted user make the next copy an older one."""
    place.append("u", use(1))
    place.age(-behind_us)
    place.append("newest", use(2))
    place.export()
    place.delete("newest")
    assert place.export().interactions == 0
    place.reopen()
    place.append("late", use(3))
    assert place.export().interactions == 1
    assert items(place) == ["i1", "i2", "i3"]


def test_what_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.sqlite").write_text("not a database, but long enough to be looked at" * 50)
    sqlite3.connect(tmp_path / "other.sqlite").execute("CREATE TABLE other (id INTEGER)")
    for name in ("none", "text", "other"):
        with pytest.raises(ConfigError, match="cannot be opened"):
            open_log(load_settings({"store": f"sqlite:///{tmp_path}/{name}.sqlite"}), read_only=True)


def test_a_running_service_is_exported(
    start_server: StartServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "tables"
    store = str(tmp_path / "server" / "users.sqlite")
    server = start_server()
    with open_client(server) as http:
        list_id = http.get("/v1/users/u/recommendations?record=true&k=3").json()["list_id"]
        event = {"event_id": "e", "user_id": "u", "entity_id": "i001", "list_id": list_id}
        http.post("/v1/events", json={"events": [event]})
        assert run_command(capsys, "export", store, "--out", str(out)) == (0, _line(out, 4))
        http.post("/v1/events", json={"events": [{**event, "event_id": "e2"}]})
        assert run_command(capsys, "export", f"sqlite:///{store}", "--out", str(out))[1].startswith(
            f"{out}: 1 interactions"
        )
    server.kill()  # what it acknowledged is in the file's log
    shutil.rmtree(out)
    assert run_command(capsys, "export", store, "--out", str(out)) == (
        0,
        _line(out, 5),
    )


def _line(out: Path, interactions: int) -> str:
    until = datetime.fromisoformat(json.loads((out / STATE).read_text())["until"])
    counts = f"{interactions} interactions, 1 users and 0 assignments"
    return f"{out}: {counts} added, up to {until:%Y-%m-%d %H:%M:%S} UTC\n"


def test_the_store_may_come_from_the_environment_and_only_its_owner_reads_the_tables(
    place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place.append("u", use(1), listed("l1"))
    place.export()
    expected = {name: place.table(name) for name in ("interactions", "users")}
    monkeypatch.setenv("FIRSTDAY_SERVE_STORE", place.settings["store"])
    monkeypatch.setenv("FIRSTDAY_SERVE_REDIS_PREFIX", place.settings.get("redis_prefix", "firstday"))
    place.out = place.folder / "other"
    status, text = run_command(capsys, "export", "--out", str(place.out))
    assert status == 0, text
    assert_same(expected, {name: place.table(name) for name in expected})
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in place.out.rglob("*.parquet")}
    assert len(modes) > 2
    assert set(modes.values()) == {0o600}


@pytest.mark.parametrize(
    "url",
    [
        "redis://:secret/word@h:6379/0",
        "redis://user:12/secret@h",
        "redis://u:12#secret@h/0",
        "rediss://u:12?secret@h/0",
        "redis://u:secret@h:port/0",
        "redis://u:secret@[h/0",
        "postgresql://u:secret/word@h/d",
    ],
)
def test_a_url_that_is_no_url_is_told_without_its_password(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, text = run_command(capsys, "export", url, "--out", str(tmp_path / "tables"))
    assert (status, text.count("\n")) == (2, 1)
    assert "secret" not in text


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    status, text = run_command(capsys, "export", "none.sqlite", "--out", str(tmp_path / "file"))
    assert (status, text) == (2, f"error: {tmp_path / 'file'}: is a file; give a folder.\n")


def test_an_export_that_was_killed_before_its_first_table_goes_on(place: Place) -> None:
    place.append("u", use(1))
    place.out.mkdir()
    (place.out / STATE).write_text('{"until": "1970-01-01 00:00:00+00:00"}', encoding="utf-8")
    place.export()
    assert items(place) == ["i1"]


def test_updates_and_withdrawals_are_exported_until_they_end_and_training_reads_them(place: Place) -> None:
    """n1 is new, n2 a withdrawn new item, i1 updated, i2 withdrawn; only i1 to i3 are used."""
    place.append("u", *(make_event(f"e{number}", f"i{number}") for number in (1, 2, 3)))
    put = place.store.put_items
    values = {"title": "New", "genre": ["jazz"], "expires_at": "2020-01-01T00:00:00Z"}
    items = {
        "n1": StoredItem(values, 1),
        "n2": StoredItem(values, 1, 2),
        "i1": StoredItem(values, 1),
        "i2": StoredItem({}, 1, 2),
    }
    place.run(put(items, {"n2", "i1", "i2"}))
    place.export()
    assert place.table("new_items")["item_id"].to_list() == ["n1"]
    updates = {row.pop("item_id"): row for row in place.table("item_updates").to_dicts()}
    stated = {name: {key: value for key, value in row.items() if value is not None} for name, row in updates.items()}
    updated = {**values, "expires_at": datetime(2020, 1, 1, tzinfo=UTC)}
    assert stated == {"n2": {"recommendable": False}, "i1": updated, "i2": {"recommendable": False}}
    assert stat.S_IMODE((place.out / "item_updates.parquet").stat().st_mode) == 0o600
    pl.DataFrame({"item_id": ["i1", "i2", "i3"], "title": "Old", "genre": [["pop"]] * 3}).write_parquet(
        place.out / "items.parquet"
    )
    dataset = load(place.out)
    assert dataset.titles == ("New", "Old", "Old")
    assert dataset.columns["genre"].to_list() == [["jazz"], ["pop"], ["pop"]]
    assert dataset.find_unlisted().tolist() == [0, 1]
    place.run(put(dict.fromkeys(items), ()))
    place.export()
    assert load(place.out).find_unlisted().tolist() == []
