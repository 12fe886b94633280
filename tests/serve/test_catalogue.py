"""Segments, items and the model over HTTP."""

from __future__ import annotations

import httpx

from firstday.recommend.recommender import Recommender
from tests.serve.conftest import ids_of


def test_segments_come_largest_first_in_pages(http: httpx.Client, opened: Recommender) -> None:
    sizes = opened.model.segments.items.sizes
    whole = http.get("/v1/segments", params={"limit": 200, "items": 3}).json()
    assert whole["total"] == len(sizes) == len(whole["segments"])
    assert [entry["users"] for entry in whole["segments"]] == sorted(sizes.tolist(), reverse=True)
    assert [dot["segment"] for dot in http.get("/v1/map").json()["segments"]] == [
        entry["segment"] for entry in whole["segments"]
    ]
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
    assert find("no such thing") == find("\n") == find(" ") == find("One\nTwo") == []
