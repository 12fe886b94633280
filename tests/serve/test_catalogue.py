"""Segments, items and the model over HTTP."""

from __future__ import annotations

import httpx

from firstday.recommend.recommender import Recommender


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


def test_items_are_found_by_a_part_of_the_title_and_by_id(http: httpx.Client, opened: Recommender) -> None:
    def find(query: str, limit: int = 100) -> list[str]:
        answer = http.get("/v1/items", params={"query": query, "limit": limit}).json()
        return [item["item_id"] for item in answer["items"]]

    model = opened.model
    by_use = model.popular_items.tolist()
    named = [ix for ix in by_use if "7" in model.catalogue.title_of(ix)]
    assert find("7") == [model.catalogue.items[ix] for ix in named]
    assert find("ITEM 7") == find("item 7")
    assert find("i081")[0] == "i081"
    assert find("", 5) == [model.catalogue.items[ix] for ix in by_use[:5]]
    assert find("no such thing") == []
    assert find("\n") == find(" ")
    assert find("Item 12\nItem") == []
