"""Updates of the model's items since training, over HTTP, and at another worker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from firstday.data.ids import Ids
from firstday.recommend.recommender import Recommender
from firstday.serve.http_errors import ApiError
from firstday.serve.models import ModelHolder
from firstday.serve.store.log import KEPT_ITEMS, now_us
from firstday.serve.store.records import StoredItem
from firstday.serve.stored_items import StoredItems
from firstday.serve.telemetry import Metrics
from tests.serve.conftest import assert_error, get_list, ids_of, read_body, wait_for
from tests.serve.in_process import RunningApp, running_app
from tests.serve.store_harness import RETENTION_US, Harness, MakeLog
from tests.tiny import make_content, make_model

EAST = {"profile": {"country": "FR"}}
sqlite_alone = pytest.mark.parametrize("store_settings", ["sqlite"], indirect=True)
"""For what a store has no part in."""
both = pytest.mark.parametrize("store_settings", ["sqlite", "redis"], indirect=True)
"""Stores whose other workers must see an update."""
MODEL = make_model().with_learned(content=make_content())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Recommender(MODEL).save(tmp_path / "model")


@pytest.fixture
def workers(folder: Path, tmp_path: Path, store_settings: dict[str, Any]) -> Iterator[list[RunningApp]]:
    """Two workers, or one for SQLite."""
    with ExitStack() as stack:
        n_workers = 1 if store_settings["store"].startswith("sqlite") else 2
        yield [stack.enter_context(running_app(folder, tmp_path, **store_settings)) for _ in range(n_workers)]


@pytest.fixture
def clients(workers: list[RunningApp]) -> Iterator[list[httpx.Client]]:
    with ExitStack() as stack:
        clients = [stack.enter_context(app.open_client()) for app in workers]
        assert clients[0].put("/v1/users/u", json=EAST).status_code == 200
        yield clients


def listed(http: httpx.Client, **parameters: Any) -> list[str]:
    return ids_of(get_list(http, "u", **{"k": 6, **parameters}))


def find_everywhere(http: httpx.Client) -> set[str]:
    """Return the ids of all items that any answer names, without those of the user's own past."""
    found = set(listed(http, pin="1:i1"))
    for answer in (
        get_list(http, "u", explain=True, k=6)["explanation"],
        read_body(http.post("/v1/users/u/recommendations", json={"rows": [{"name": "a"}, {"name": "b"}]})),
        read_body(http.get("/v1/items/i2/similar", params={"k": 6})),
        read_body(http.get("/v1/onboarding", params={"k": 6})),
        read_body(http.get("/v1/items", params={"query": ""})),
        read_body(http.get("/v1/segments", params={"items": 6})),
    ):
        found |= {part.split('"')[0] for part in json.dumps(answer).split('_id": "')[1:]}
    return found


def read_item(http: httpx.Client, item_id: str) -> dict[str, Any]:
    return read_body(http.get(f"/v1/items/{item_id}"))


@both
def test_a_withdrawn_item_is_nowhere_until_it_is_restored(clients: list[httpx.Client]) -> None:
    one, other = clients[0], clients[-1]
    assert "i1" in find_everywhere(one)
    assert read_item(one, "i1")["origin"] == "model"
    assert one.delete("/v1/items/i1").status_code == 204
    assert "i1" not in find_everywhere(one)
    wait_for(lambda: "i1" not in find_everywhere(other))
    for http, values in ((one, {"title": "again"}), (other, {"recommendable": False})):
        assert http.put("/v1/items/i1", json=values).status_code == 200
    lines = '{"item_id": "i1", "recommendable": true}'
    assert other.post("/v1/items", content=lines, headers={"Content-Type": "application/x-ndjson"}).status_code == 200
    for http in clients:
        wait_for(lambda http=http: read_item(http, "i1")["origin"] == "withdrawal")
        assert "i1" not in find_everywhere(http)
    assert other.put("/v1/items/i1", json={"recommendable": True}).status_code == 200
    for http in clients:
        wait_for(lambda http=http: "i1" in listed(http))
        assert read_item(http, "i1")["is_listed"]


@both
def test_an_update_replaces_the_one_before_and_leaves_the_rest_to_the_model(clients: list[httpx.Client]) -> None:
    one, other = clients[0], clients[-1]
    one.put("/v1/items/i1", json={"title": "Uno", "year": 2030, "genre": ["folk"]})
    for http in clients:
        wait_for(lambda http=http: read_item(http, "i1")["origin"] == "update")
        found = read_item(http, "i1")
        assert (found["title"], found["values"]["year"], found["values"]["mood"]) == ("Uno", 2030, "calm")
        assert found["updated"] == ["genre", "year", "title"]
        assert listed(http, filter='year == 2030 and mood == "calm"') == ["i1"]
        assert "i1" not in listed(http, filter='"jazz" in genre')
    other.put("/v1/items/i1", json={"in_stock": False})
    for http in clients:
        wait_for(lambda http=http: "i1" not in listed(http, filter="in_stock"))
        assert read_item(http, "i1")["title"] == "One"
        assert listed(http, filter="year == 2019") == ["i1"]


@sqlite_alone
def test_an_item_expires(clients: list[httpx.Client], monkeypatch: pytest.MonkeyPatch) -> None:
    (http,) = clients
    expires_at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    http.put("/v1/items/i1", json={"expires_at": expires_at})
    http.put("/v1/items/n1", json={"title": "Dawn", "artist_id": ["a1"], "expires_at": expires_at})
    assert {"i1", "n1"} <= set(listed(http))
    later_us = now_us() + 2 * 3_600_000_000
    monkeypatch.setattr("firstday.serve.store.sqlite.now_us", lambda: later_us)
    wait_for(lambda: not {"i1", "n1"} & find_everywhere(http))
    assert not read_item(http, "n1")["is_listed"]


@both
def test_updates_end_once_a_model_has_them_and_withdrawals_do_not(
    folder: Path, workers: list[RunningApp], clients: list[httpx.Client]
) -> None:
    http = clients[0]
    http.put("/v1/items/i1", json={"year": 2030, "mood": "new"})
    assert_error(http.delete("/v1/items/unknown"), 404, "not_found")
    assert_error(http.get("/v1/items/unknown"), 404, "not_found")  # nothing is stored
    for _ in range(2):
        assert clients[-1].delete("/v1/items/unknown?ahead=true").status_code == 204
        assert http.delete("/v1/items/i2").status_code == 204
    assert http.delete("/v1/items/unknown").status_code == 204  # another worker's

    def load(year: float, *updated: int) -> None:
        years = MODEL.catalogue.columns["year"].clone().scatter(0, year)
        catalogue = replace(MODEL.catalogue, columns={**MODEL.catalogue.columns, "year": years})
        Recommender(replace(MODEL, catalogue=catalogue, updated=np.array(updated, np.int32))).save(folder)
        for client, app in zip(clients, workers, strict=True):
            assert client.post("/v1/model/reload").status_code == 200
            app.run(app.service.items.poll())

    load(2030)
    for client in clients:
        assert read_item(client, "i1")["updated"] == ["mood"]
        assert 'firstday_items{state="changed"} 2.0' in client.get("/metrics").text
        assert 'firstday_items{state="withdrawn"} 2.0' in client.get("/metrics").text
    load(2031)
    for client in clients:
        assert read_item(client, "i1")["values"]["year"] == 2031
        assert read_item(client, "i1")["values"]["mood"] == "new"
        assert "i2" not in find_everywhere(client)
        assert read_item(client, "unknown")["origin"] == "withdrawal"
    http.put("/v1/items/i1", json={"year": 2032})
    load(2032, 0)  # which the model has from the update alone
    load(2031)
    assert read_item(http, "i1")["values"]["year"] == 2032
    load(2032)
    assert read_item(http, "i1")["origin"] == "model"


@both
def test_a_loaded_model_lists_items_as_they_are_from_the_first_list_on(
    folder: Path, workers: list[RunningApp], clients: list[httpx.Client]
) -> None:
    clients[0].delete("/v1/items/i1")
    clients[0].put("/v1/items/n1", json={"title": "Dawn", "artist_id": ["a1"]})
    Recommender(replace(MODEL, facts={**MODEL.facts, "number": 2})).save(folder)

    async def load(app: RunningApp) -> tuple[Any, Any]:
        holder = app.service.holder
        before = holder.current
        await holder.reload()
        return before, holder.current

    for app in workers:
        before, after = app.run(load(app))
        assert after.version != before.version
        current = after.recommender.current_items
        assert not current.listed[0]
        assert current.new.ids.values.to_list() == ["n1"]


@sqlite_alone
def test_an_update_ends_with_its_description_and_a_new_item_becomes_an_update(
    folder: Path, workers: list[RunningApp], clients: list[httpx.Client]
) -> None:
    http = clients[0]
    http.put("/v1/items/i1", json={"title": "Uno", "description": "one long text", "other": 3})
    log = workers[0].service.store
    workers[0].run(log.put_items({"i2": StoredItem({"recommendable": False}, 1)}, ()))  # by a worker that lacks i2
    titles = ("Uno", *(MODEL.catalogue.titles or ())[1:])
    Recommender(replace(MODEL, catalogue=replace(MODEL.catalogue, titles=titles))).save(folder)
    assert http.post("/v1/model/reload").status_code == 200
    assert read_item(http, "i1")["origin"] == "model"
    (entry,) = workers[0].run(log.read_items(0))
    assert (entry[0], '"i2"' in entry[3]) == (KEPT_ITEMS, True)


@both
def test_withdrawals_and_updates_survive_restarts_and_retention(make_log: MakeLog, folder: Path) -> None:
    harness = Harness(make_log)
    items = StoredItems(harness.store, ModelHolder(folder, Metrics()), 2**26)
    harness.run(items.put_items({"i1": None, "i2": {"year": 2030}, "n1": {"title": "Dawn"}}))
    harness.age(2 * RETENTION_US)
    holder = ModelHolder(folder, Metrics())
    harness.run(StoredItems(harness.store, holder, 2**26).poll())
    current = holder.current.recommender.current_items
    assert current is not None
    assert current.changed.tolist() == [0, 1]
    assert current.catalogue.columns["year"][1] == 2030
    assert not len(current.new)
    harness.close()


@both
def test_nothing_is_dropped_to_make_room_for_withdrawals(
    make_log: MakeLog, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither beyond the number of new items that a store keeps."""
    monkeypatch.setattr("firstday.serve.stored_items.MAX_WITHDRAWN", 10)
    monkeypatch.setattr("firstday.serve.store.log.MAX_NEW", 5)
    harness = Harness(make_log)
    holder = ModelHolder(folder, Metrics())
    items = StoredItems(harness.store, holder, 2**26)
    harness.run(items.put_items({"i1": None}))
    harness.run(items.put_items({f"x{n}": None for n in range(9)}))
    with pytest.raises(ApiError) as raised:
        harness.run(items.put_items({"i2": None}))
    assert raised.value.code == "items_full"
    assert not holder.current.recommender.current_items.listed[0]  # type: ignore[union-attr]
    harness.close()


@sqlite_alone
def test_ids_may_have_slashes(clients: list[httpx.Client]) -> None:
    http = clients[0]
    assert http.put("/v1/items/a%2Fb/c", json={"title": "Dawn", "artist_id": ["a1"]}).status_code == 200
    assert read_item(http, "a/b/c")["origin"] == "new"
    assert "a/b/c" in listed(http)
    assert http.delete("/v1/items/a/b%2Fc").status_code == 204
    assert "a/b/c" not in listed(http)
    assert_error(http.get("/v1/items/nobody"), 404, "not_found")
    assert http.put("/v1/items/a/similar", json={}).status_code == 405


def test_ids_of_a_model_may_be_integers(tmp_path: Path) -> None:
    numbered = replace(MODEL, catalogue=replace(MODEL.catalogue, items=Ids.of([1, 2, 3, 4, 5, 6])))
    folder = Recommender(numbered).save(tmp_path / "model")
    with running_app(folder, tmp_path) as app, app.open_client() as http:
        http.put("/v1/users/u", json=EAST)
        assert http.delete("/v1/items/1").status_code == 204
        assert_error(http.delete("/v1/items/02"), 404, "not_found")  # another item
        http.put("/v1/items/3", json={"year": 2030})
        http.put("/v1/items/n1", json={"title": "Dawn", "artist_id": ["a1"]})
        for rules in ({}, {"cap": "item_id:1"}, {"cap": "artist:1"}, {"pin": "1:1"}, {"filter": "item_id != 9"}):
            found = set(map(str, listed(http, **rules)))
            assert "1" not in found
            assert {"3", "n1"} <= found
        assert list(map(str, listed(http, filter="year == 2030"))) == ["3"]


@sqlite_alone
def test_the_search_finds_new_items_and_new_titles(clients: list[httpx.Client]) -> None:
    http = clients[0]
    http.put("/v1/items/n1", json={"title": "Café Dawn", "artist_id": ["a1"]})
    http.put("/v1/items/i2", json={"title": "Dawn chorus"})

    def find(query: str) -> list[str]:
        return [one["item_id"] for one in read_body(http.get("/v1/items", params={"query": query}))["items"]]

    assert find("dawn") == ["i2", "n1"]
    assert find("cafe dawn") == find("n1") == ["n1"]
    assert find("two") == []
