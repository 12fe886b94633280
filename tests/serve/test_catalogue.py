"""Segments, items and the model over HTTP."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx

from firstday.recommend.recommender import Recommender
from firstday.serve.model_views import ModelViews
from tests.serve.conftest import add_events, assert_error, ids_of


def test_segments_come_largest_first_in_pages(http: httpx.Client, opened: Recommender) -> None:
    sizes = opened.model.segments.items.sizes
    whole = http.get("/v1/segments", params={"limit": 200, "items": 3}).json()
    assert whole["total"] == len(sizes) == len(whole["segments"])
    assert [entry["users"] for entry in whole["segments"]] == sorted(sizes.tolist(), reverse=True)
    pages = [http.get("/v1/segments", params={"offset": at, "limit": 3, "items": 3}).json() for at in (0, 3, 6, 9)]
    assert [entry for page in pages for entry in page["segments"]] == whole["segments"]
    for entry in whole["segments"]:
        one = http.get(f"/v1/segments/{entry['segment']}", params={"items": 3}).json()
        assert one.pop("model") == whole["model"]
        assert one == entry
        top = opened.model.segments.top_items[entry["segment"], :3].tolist()
        assert [item["item_id"] for item in entry["top_items"]] == [opened.model.catalogue.items[ix] for ix in top]


def test_items_are_found_by_a_part_of_the_title_and_by_id(by_hand: httpx.Client) -> None:
    def find(query: str, limit: int = 100) -> list[str]:
        return ids_of(by_hand.get("/v1/items", params={"query": query, "limit": limit}).json())

    assert find("o") == ["i1", "i2", "i4"]
    assert find("T") == ["i3", "i2"]
    assert find("i4") == ["i4"]
    assert find("", 2) == ["i1", "i3"]
    assert find("\n") == find(" ") == find("")
    assert find("no such thing") == find("One\nTwo") == []


def test_words_of_a_title_are_found_in_any_order_without_accents(tiny: Recommender) -> None:
    titles = ("Château Musar", "Cabernet Sauvignon, Caymus", "Cabernet, Musar", "", "ÉTÉ", "e\u0301te\u0301 2")
    catalogue = replace(tiny.model.catalogue, titles=titles)
    views = ModelViews(replace(tiny.model, catalogue=catalogue))

    def find(text: str) -> set[str]:
        return {titles[item] for item in views.find_items(text)}

    assert find("chateau") == find("MUSAR  château") == {titles[0]}
    assert find("caymus cabernet") == {titles[1]}
    assert find("cab mus") == {titles[1], titles[2]}
    assert find("ete") == find("été") == {titles[4], titles[5]}
    assert find("cabernet chateau") == set()


def test_similar_items_obey_rules_and_know_the_user(by_hand: httpx.Client) -> None:
    def find(**parameters: Any) -> list[str]:
        return ids_of(by_hand.get("/v1/items/i1/similar", params={"k": 3, **parameters}).json())

    assert find() == ["i2", "i3", "i4"]
    assert find(deny=["i2", "i5"], pin="1:i4") == ["i4", "i3", "i6"]
    assert find(allow="i3") == ["i3"]
    assert find(allow=["i3", "i4"]) == ["i3", "i4"]
    assert by_hand.put("/v1/users/northern", json={"profile": {"country": "DE"}}).status_code == 200
    assert find(user="northern") == ["i3", "i2", "i4"]
    add_events(by_hand, "northern", "i3")
    assert find(user="northern") == ["i2", "i4", "i5"]
    assert sorted(find(user="northern", keep_used=True)) == ["i2", "i3", "i4"]
    assert find(user="unknown") == find()
    stored = by_hand.get("/v1/items/i1/similar", params={"user": "northern"}).json()
    assert (stored["user_id"], stored["signals_from"], stored["segment"]) == ("northern", "store", 1)


def test_similar_items_of_an_unknown_item_are_not_found(by_hand: httpx.Client) -> None:
    assert_error(by_hand.get("/v1/items/i7/similar"), 404, "not_found", "item")
    assert_error(by_hand.get("/v1/items/a%2Fb/similar"), 404, "not_found", "item")
