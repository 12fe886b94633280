"""Segments, items, the questionnaire and the model over HTTP."""

from __future__ import annotations

from pathlib import Path

import httpx
import numpy as np
import pytest

from firstday.artifact.files import read_manifest
from firstday.recommend.recommender import Recommender, open_model
from firstday.recommend.strategies import STRATEGIES
from tests.serve.conftest import assert_error


@pytest.fixture(scope="module")
def opened(model: Path) -> Recommender:
    return open_model(model)


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
    found = http.get("/v1/items", params={"query": "i081"}).json()["items"][0]
    assert (found["title"], found["share_of_everyone"]) == ("Item 81", pytest.approx(float(model.popularity[81])))


def test_the_questionnaire_asks_what_tells_most(http: httpx.Client, opened: Recommender) -> None:
    model = opened.model
    user_id = "asked"
    liked: list[str] = []
    passed: list[str] = []
    asked: list[str] = []
    for turn in range(8):
        answer = http.get("/v1/onboarding", params={"user_id": user_id, "liked": liked, "passed": passed}).json()
        assert answer["answered"] == turn
        question = answer["question"]
        assert question["entity"] == "item"
        assert question["item_id"] not in asked
        assert 0 <= question["gain_bits"] <= 1
        asked.append(question["item_id"])
        ix = model.catalogue.items.index_of(question["item_id"])
        (liked if ix % 4 == 2 else passed).append(question["item_id"])
    top = model.segments.top_items[answer["likely_segments"][0], :5]
    assert (top % 4 == 2).sum() >= 4  # it is somebody of the third taste
    picks = [{"entity_id": item} for item in liked]
    http.put(f"/v1/users/{user_id}", json={"picks": picks})
    stored = http.get("/v1/onboarding", params={"user_id": user_id, "passed": passed}).json()
    given = http.get("/v1/onboarding", params={"liked": liked, "passed": passed}).json()
    assert (stored.pop("signals_from"), given.pop("signals_from")) == ("store", "request")
    assert stored == given
    assert http.get("/v1/onboarding", params={"liked": ["never seen"]}).json()["answered"] == 0


def test_the_model_says_what_it_is(http: httpx.Client, model: Path, opened: Recommender) -> None:
    told = http.get("/v1/model").json()
    manifest = read_manifest(model)
    assert told["model"] == manifest["version"]
    assert told["created_at"] == manifest["created_at"]
    assert (told["items"], told["segments"], told["dimensions"]) == (121, len(opened.model.segments), 12)
    assert told["entities"] == ["item", "artist", "genre"]
    assert told["profile_columns"] == ["age", "country", "gender"]
    assert told["strategies"] == list(STRATEGIES)
    assert told["features"] == list(opened.model.encoder.blocks())
    assert (told["default_strategy"], told["default_k"]) == ("segment", 20)
    assert told["data"] == manifest["data"]
    assert told["metrics"] == manifest["metrics"]


def test_numbers_of_segments(http: httpx.Client, opened: Recommender) -> None:
    assert_error(http.get(f"/v1/segments/{len(opened.model.segments)}"), 404, "not_found")
    assert_error(http.get("/v1/segments/-1"), 422, "invalid", "segment")
    assert np.isfinite(http.get("/v1/segments/0").json()["spread"])
