"""New items over HTTP: the five users' service gets an item of the artist a1, which users of the east like."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest
from store_servers import RedisProcess

from firstday.data.ids import Ids
from firstday.recommend.new_items.attributes import tabulate
from firstday.recommend.recommender import Recommender
from firstday.serve.export import export
from firstday.serve.http_errors import ApiError
from firstday.serve.models import ModelHolder
from firstday.serve.store.log import ITEM_USE, ITEMS, SERVICE, StoredEntry
from firstday.serve.store.records import ItemUse, ShownList, StoredItem, to_time
from firstday.serve.store.store import read_all_items
from firstday.serve.stored_items import COUNT_EVERY_US, StoredItems
from firstday.serve.telemetry import Metrics
from tests.serve.conftest import (
    add_events,
    assert_error,
    get_list,
    ids_of,
    read_body,
)
from tests.serve.in_process import RunningApp, running_app
from tests.serve.store_harness import RETENTION_US, Harness, MakeLog, make_event, make_shown
from tests.tiny import make_content, make_model

DAWN = {"title": "Dawn", "artist_id": ["a1"], "genre": ["jazz"], "year": 2026, "in_stock": True}
EAST = {"profile": {"country": "FR"}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = make_model().with_learned(content=make_content())
    return Recommender(model).save(tmp_path_factory.mktemp("new") / "model")


@pytest.fixture(scope="module")
def app(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    with running_app(folder, tmp_path_factory.mktemp("app")) as running:
        yield running


@pytest.fixture
def http(app: RunningApp) -> Iterator[httpx.Client]:
    with app.open_client() as client:
        assert client.put("/v1/users/u", json=EAST).status_code == 200
        yield client
    app.run(app.service.store.log.delete(["u", "v", SERVICE, ITEMS], 2**60))
    app.run(app.service.items.poll())


def put(http: httpx.Client, item_id: str = "n1", **values: Any) -> dict[str, Any]:
    return read_body(http.put(f"/v1/items/{item_id}", json={**DAWN, **values}))


def add_lines(http: httpx.Client, *lines: str) -> httpx.Response:
    return http.post("/v1/items", content="\n".join(lines), headers={"Content-Type": "application/x-ndjson"})


def listed(http: httpx.Client, **parameters: Any) -> list[str]:
    return ids_of(get_list(http, "u", **parameters))


def read_items(app: RunningApp) -> dict[str, StoredItem]:
    new, kept, _ = app.run(read_all_items(app.service.store.log))
    return new | kept


def test_an_item_is_in_lists_until_it_is_deleted(http: httpx.Client) -> None:
    before = get_list(http, "u")
    assert ids_of(before) == ["i1", "i3", "i2", "i4"]
    answer = put(http)
    assert (answer["item_id"], answer["ignored"]) == ("n1", [])
    found = get_list(http, "u")
    assert ids_of(found) == ["i1", "i3", "n1", "i2"]
    assert found["items"][2]["title"] == "Dawn"
    assert listed(http, filter="year >= 2026") == ["n1"]
    assert put(http, title="Dusk")["item_id"] == "n1"
    assert get_list(http, "u")["items"][2]["title"] == "Dusk"
    for _ in range(2):
        assert http.delete("/v1/items/n1").status_code == 204
        assert get_list(http, "u") == before


def test_what_the_model_does_not_know_is_stored_and_reported(http: httpx.Client) -> None:
    answer = put(http, artist_id=["a1", "a9"], colour="red", mood="calm")
    assert answer["ignored"] == ["artist 'a9' is unknown", "column 'colour' is unknown"]
    assert_error(http.put("/v1/items/n1", json={**DAWN, "year": "late"}), 422, "invalid", "year")
    assert listed(http, filter='mood == "calm"') == ["i1", "n1", "i2"]
    assert len(put(http, n_shown=3)["ignored"]) == 1
    assert len(read_body(http.put("/v1/items/n2", json={"year": 2026}))["ignored"]) == 1  # nothing places it


def test_a_stream_adds_many_and_names_bad_lines(http: httpx.Client) -> None:
    lines = [{"item_id": f"n{number}", **DAWN} for number in range(3)]
    body = "\n".join([*map(json.dumps, lines), '{"title": "nameless"}', '{"item_id": "n9", "size": null}', ""])
    answer = http.post("/v1/items", content=body, headers={"Content-Type": "application/x-ndjson"})
    found = read_body(answer)
    assert (found["accepted"], found["refused"]) == (3, 2)
    assert [(one["line"], one["field"]) for one in found["errors"]] == [(4, "item_id"), (5, "size")]
    assert {"n0", "n1", "n2"} <= set(listed(http, k=6))
    assert_error(http.post("/v1/items", json=DAWN), 415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"title": 3}, "title"),
        ({"year": {"from": 2026}}, "year"),
        ({f"c{number}": 1 for number in range(51)}, "body"),
        ({"added_at": "yesterday"}, "added_at"),
        ({"description": "é" * 20_000}, "body"),
    ],
)
def test_a_wrong_item_is_refused_and_nothing_is_stored(
    http: httpx.Client, app: RunningApp, body: dict[str, Any], field: str
) -> None:
    assert_error(http.put("/v1/items/n1", json=body), 422, "invalid", field)
    assert read_items(app) == {}


def test_a_new_item_speaks_for_its_user(http: httpx.Client) -> None:
    put(http, "n2", artist_id=["a2"])
    add_events(http, "v", "n2")
    answer = get_list(http, "v", explain=True)
    assert (ids_of(answer), answer["explanation"]["known"]) == (["i4", "i3", "i5", "i1"], "1-3")


def test_what_a_user_does_with_a_new_item_counts(http: httpx.Client) -> None:
    put(http)
    assert add_events(http, "u", "n1", "n2")["not_understood"] == 1
    answer = get_list(http, "u")
    assert ids_of(answer) == ["i1", "i3", "i2", "i4"]
    assert answer["ignored"] == ["item 'n2' is unknown"]


def test_a_page_begun_before_continues_unchanged(http: httpx.Client) -> None:
    parameters: dict[str, Any] = {"k": 2, "record": True}
    first = get_list(http, "u", **parameters)
    put(http)
    second = get_list(http, "u", after=first["list_id"], **parameters)
    assert ids_of(first) + ids_of(second) == ["i1", "i3", "i2", "i4"]
    assert http.put("/v1/users/v", json=EAST).status_code == 200
    new = get_list(http, "v", **parameters)
    put(http, title="changed")
    rest = get_list(http, "v", after=new["list_id"], **parameters)
    assert ids_of(new) + ids_of(rest) == ["i1", "i3", "n1", "i2"]


def test_items_survive_a_restart_and_are_exported(folder: Path, tmp_path: Path) -> None:
    with running_app(folder, tmp_path) as app, app.open_client() as http:
        put(http, added_at="2026-11-01T12:00:00Z")
        put(http, "n2")
        assert http.delete("/v1/items/n2").status_code == 204
    with running_app(folder, tmp_path) as app, app.open_client() as http:
        http.put("/v1/users/u", json=EAST)
        assert "n1" in listed(http)
        for _ in range(2):
            app.run(export(app.service.store.log, tmp_path / "tables"))
    (row,) = pl.read_parquet(tmp_path / "tables" / "new_items.parquet").rows(named=True)
    assert (row["item_id"], row["title"], row["artist_id"], row["year"]) == ("n1", "Dawn", ["a1"], 2026)
    assert f"{row['added_at']:%Y-%m-%d %H}" == "2026-11-01 12"
    assert (row["n_shown"], row["n_used"]) == (0, 0)


def test_a_model_that_learned_nothing_stores_items_and_says_so(by_hand: httpx.Client) -> None:
    answer = read_body(by_hand.put("/v1/items/n1", json=DAWN))
    assert len(answer["ignored"]) == 1
    assert by_hand.delete("/v1/items/n1").status_code == 204


def test_a_new_model_lists_what_its_users_used_as_it_learned(folder: Path, tmp_path: Path) -> None:
    model = make_model().with_learned(content=make_content())
    place = Recommender(model).save(tmp_path / "model")
    with running_app(place, tmp_path) as app, app.open_client() as http:
        http.put("/v1/users/u", json=EAST)
        put(http)
        put(http, "n2")
        ids = ("i1", "i2", "i3", "i4", "n1", "i6")  # n1 was i5: users of the new model used it
        renamed = replace(model.catalogue, items=Ids.of(ids))
        Recommender(replace(model, catalogue=renamed)).save(place)
        assert read_body(http.post("/v1/model/reload"))["changed"]
        app.run(app.service.items.poll())
        current = app.service.holder.current.recommender.current_items
        assert current is not None
        assert current.new.ids.values.to_list() == ["n2"]
        assert {"n1", "n2"} <= set(listed(http, k=6))


RIGHTS = {"read_keys": "r" * 16, "write_keys": "w" * 16, "items_keys": "i" * 16, "admin_keys": "a" * 16}


def test_items_need_their_own_right(folder: Path, tmp_path: Path) -> None:
    line = json.dumps({"item_id": "n1"})
    with running_app(folder, tmp_path, **RIGHTS) as app:
        for right, key in RIGHTS.items():
            expected = 200 if right == "items_keys" else 403
            with app.open_client(key) as http:
                assert http.put("/v1/items/n1", json=DAWN).status_code == expected
                assert add_lines(http, line).status_code == expected
                assert http.delete("/v1/items/n1").status_code == (204 if expected == 200 else 403)


def test_later_puts_keep_the_time_of_the_first(folder: Path, tmp_path: Path, redis: RedisProcess) -> None:
    """At another worker too, and after a model was loaded."""
    place = shutil.copytree(folder, tmp_path / "model")
    settings = {"store": redis.url, "redis_prefix": "put-again"}
    with ExitStack() as stack:
        apps = [stack.enter_context(running_app(place, tmp_path, **settings)) for _ in range(2)]
        clients = [stack.enter_context(app.open_client()) for app in apps]
        first_us = []
        for http in (*clients, clients[0]):
            put(http)
            item = read_items(apps[0])["n1"]
            assert item.row["added_at"] == to_time(item.first_us).isoformat()
            first_us.append(item.first_us)
            Recommender(make_model().with_learned(content=make_content(cosine=len(first_us) / 10))).save(place)
            assert read_body(clients[0].post("/v1/model/reload"))["changed"]
        assert len(set(first_us)) == 1


def test_use_of_new_items_is_counted_once(make_log: MakeLog, folder: Path) -> None:
    """Users a and b are shown n1, b in a list that reports i1 alone; a and the guest of b use it, a twice."""
    harness = Harness(make_log)
    holders = [ModelHolder(folder, Metrics()) for _ in range(2)]
    tables = [StoredItems(harness.store, holder, 2**26) for holder in holders]

    def find_use() -> tuple[list[float], list[float]]:
        harness.run(tables[1].poll())
        current = holders[1].current.recommender.current_items
        assert current is not None
        new_items = current.new
        return new_items.items["n_shown"].to_list(), new_items.items["n_used"].to_list()

    def pass_time() -> None:
        harness.age(2 * COUNT_EVERY_US)
        use = harness.run(harness.store.read_item_use())
        harness.run(harness.store.put(ITEM_USE, {"until_us": use.until_us - 2 * COUNT_EVERY_US}))

    harness.run(tables[0].put_items({"n1": DAWN, "n2": DAWN}))
    harness.append("a", make_shown("s1", "n1"), make_event("e1", "n1"), ShownList("l", "p", ("n1", "i1")))
    harness.append("b", ShownList("l", "p", ("n1", "i1")), make_shown("s2", "i1", list_id="l"))
    harness.append("g", make_shown("s3", "n1"), make_event("e2", "n1"), make_event("e3", "n1", signal="skip"))
    assert harness.run(harness.store.merge("b", "g"))
    harness.run(tables[0].count())
    assert find_use() == ([0, 0], [0, 0])  # too early
    for _ in range(2):
        pass_time()
        for table in tables:
            harness.run(table.count())
        assert find_use() == ([3, 0], [2, 0])
        harness.append("a", make_event("e4", "n1"))
    harness.append("c", make_shown("s4", "n1"))
    pass_time()
    harness.run(tables[0].count())
    assert find_use() == ([4, 0], [2, 0])
    harness.run(tables[0].put_items({"n1": None}))
    assert find_use() == ([0], [0])


def test_a_vector_is_taken_if_the_model_has_such(http: httpx.Client) -> None:
    bare: dict[str, Any] = {"title": "", "artist_id": []}
    assert put(http, vector=[2.0, 0.0], **bare)["ignored"] == []
    assert "n1" in listed(http)
    assert len(put(http, vector=[2.0, 0.0, 0.0], **bare)["ignored"]) == 2  # and nothing else places it
    assert "n1" not in listed(http)
    assert_error(http.put("/v1/items/n1", json={"vector": ["a"]}), 422, "invalid", "vector[0]")


def test_values_of_other_types_than_those_of_the_model_are_missing() -> None:
    rows: list[dict[str, Any]] = [{"genre": "pop", "year": "late", "stock": True}, {"genre": ["jazz"], "year": 2026.0}]
    table = tabulate(rows, {"genre": pl.List(pl.String), "year": pl.Float64()})
    assert table["genre"].to_list() == [["pop"], ["jazz"]]
    assert table["year"].to_list() == [None, 2026]
    assert "stock" not in table.columns
    assert tabulate(rows)["year"].to_list() == ["late", "2026.0"]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        *((f'"year": {value}', "year") for value in ("NaN", "1e999", "9" * 400, 2**53, "[1, NaN]")),
        ('"vector": [NaN]', "vector[0]"),
    ],
)
def test_numbers_that_not_every_json_parser_reads_are_refused(
    http: httpx.Client, app: RunningApp, values: str, field: str
) -> None:
    answer = http.put("/v1/items/n1", content=f"{{{values}}}", headers={"Content-Type": "application/json"})
    assert_error(answer, 422, "invalid", field)
    assert_error(add_lines(http, f'{{"item_id": "n1", {values}}}'), 422, "invalid", f"line 1, {field}")
    assert read_items(app) == {}


def test_the_largest_numbers_are_kept(http: httpx.Client, app: RunningApp) -> None:
    put(http, year=2**53 - 1, least=-(2**53) + 1, price=1.5e15)
    values = read_items(app)["n1"].values
    assert (values["year"], values["least"], values["price"]) == (2**53 - 1, -(2**53) + 1, 1.5e15)


def test_all_items_have_a_maximum_size(folder: Path, tmp_path: Path) -> None:
    with running_app(folder, tmp_path, max_items_bytes=10_000) as app, app.open_client() as http:
        http.put("/v1/users/u", json=EAST)
        for _ in range(2):
            for item_id in ("n1", "n2"):
                put(http, item_id, description="x" * 4_000)
        assert_error(http.put("/v1/items/n3", json={"description": "x" * 2_000}), 409, "items_full")
        assert_error(add_lines(http, *(f'{{"item_id": "n{n}"}}' for n in range(3, 60))), 409, "items_full")
        assert read_items(app).keys() == {"n1", "n2"}
        assert http.delete("/v1/items/n1").status_code == 204
        put(http, "n3", description="x" * 2_000)
        assert {"n2", "n3"} <= set(listed(http, k=6))
    with running_app(folder, tmp_path, max_items_bytes=1_024) as app, app.open_client() as http:
        assert_error(http.put("/v1/items/n4", json={}), 409, "items_full")
        assert http.delete("/v1/items/n2").status_code == 204


def test_expired_items_have_no_size(make_log: MakeLog, folder: Path) -> None:
    harness = Harness(make_log)
    table = StoredItems(harness.store, ModelHolder(folder, Metrics()), 10_000)
    for other in ("n2", "n3"):
        harness.run(table.put_items({"n1": {"description": "x" * 6_000}}))
        with pytest.raises(ApiError):
            harness.run(table.put_items({other: {"description": "x" * 6_000}}))
        harness.age(2 * RETENTION_US)
        harness.run(table.put_items({other: {"description": "x" * 6_000}}))
        harness.run(table.put_items({other: None}))
    harness.close()


@pytest.mark.parametrize("store_settings", ["sqlite"], indirect=True)
def test_a_put_reads_and_predicts_what_changed(make_log: MakeLog, folder: Path) -> None:
    """Puts, deletions and counts in random order give the same arrays as a new process, bit by bit."""
    rng = random.Random(0)
    harness = Harness(make_log)
    tables = [StoredItems(harness.store, ModelHolder(folder, Metrics()), 2**26) for _ in range(2)]
    harness.run(tables[0].put_items({f"n{number}": make_values(rng) for number in range(300)}))
    harness.run(tables[1].poll())
    read = harness.store.read_items
    n_read = list[int]()

    async def read_and_count(since_us: int) -> list[StoredEntry]:
        entries = await read(since_us)
        n_read.append(len(entries))
        return entries

    harness.store.read_items = read_and_count  # type: ignore[method-assign]
    for step in range(12):
        changed = rng.sample(range(-2, 310), rng.choice([1, 1, 5]))  # nobody uses i6 of the model
        items = {f"n{number}" if number > 0 else f"i{6 + number}": make_values(rng) for number in changed}
        harness.run(tables[step % 2].put_items(items))
        if step == 8:
            harness.run(
                harness.store.put(ITEM_USE, asdict(ItemUse(5, {"n_shown": {"n3": 7, "n4": 2}, "n_used": {"n3": 2}})))
            )
        for table in tables:
            harness.run(table.poll())
        assert max(n_read) <= 5
    fresh = StoredItems(harness.store, ModelHolder(folder, Metrics()), 2**26)
    harness.run(fresh.poll())
    assert n_read.pop() >= 300
    for table in tables:
        assert_same(table, fresh)
    harness.run(harness.store.log.delete([SERVICE, ITEMS], 2**60))  # as if an empty copy of the store was restored
    harness.run(fresh.poll())
    assert fresh._holder.current.recommender.current_items is None
    harness.close()


def make_values(rng: random.Random) -> dict[str, Any] | None:
    """Make an item, or None to delete it."""
    values: dict[str, Any] = {
        "title": rng.choice(["Dawn", "east", "north of east"]),
        "artist_id": rng.sample(["a1", "a2", "a3"], 2),
        "year": rng.randrange(2000, 2030),
        "vector": [rng.random() for _ in range(rng.choice([2, 2, 3]))],
        "added_at": rng.choice(["2026-11-01T12:00:00Z", "2020-11-01T12:00:00Z"]),
    }
    return rng.choice([{name: values[name] for name in rng.sample(list(values), 4)}] * 3 + [None])


def assert_same(one: StoredItems, other: StoredItems) -> None:
    """Assert that lists have the same items, with the same predictions."""
    current, other_current = (table._holder.current.recommender.current_items for table in (one, other))
    assert current is not None
    assert other_current is not None
    np.testing.assert_array_equal(current.listed, other_current.listed)
    new_items, expected = current.new, other_current.new
    for name in ("vectors", "index"):
        np.testing.assert_array_equal(getattr(new_items, name), getattr(expected, name), name)
    assert new_items.items.equals(expected.items)
    assert current.catalogue.titles == other_current.catalogue.titles
    assert current.catalogue.items.values.equals(other_current.catalogue.items.values)
    for name, column in other_current.catalogue.columns.items():
        assert current.catalogue.columns[name].equals(column)
    assert one._holder.current.put_us == other._holder.current.put_us
    assert [current.catalogue.items.index_of(item) for item in new_items.ids.values] == new_items.index.tolist()
