"""What the page shows a newcomer: profile columns, the map, and the segments near to them with their lists."""

from __future__ import annotations

from dataclasses import replace

import httpx
import numpy as np
import pytest

from firstday.artifact.trained_model import TrainedModel
from firstday.features.signals import Signals
from firstday.recommend.recommender import Recommender
from firstday.segment.segments import ItemCounts, weigh_segments
from firstday.serve.segment_map import HALF_HEIGHT, HALF_WIDTH, SegmentMap, make_segment_map
from firstday.sparse import SparseRows
from tests.serve.test_explain import predict
from tests.synthetic import cluster_of_items

LIKED = ("i001", "i005", "i009")  # of one cluster
USER = "near"


@pytest.fixture(scope="module")
def trained(opened: Recommender) -> TrainedModel:
    return opened.model


def tell(http: httpx.Client, *events: tuple[str, str]) -> None:
    http.delete(f"/v1/users/{USER}")
    body = [{"event_id": f"e{n}", "user_id": USER, "signal": s, "entity_id": i} for n, (s, i) in enumerate(events)]
    assert http.post("/v1/events", json={"events": body}).json()["not_understood"] == 0


def test_every_segment_has_a_place_and_is_named_by_what_sets_it_apart(
    http: httpx.Client, trained: TrainedModel
) -> None:
    answer = http.get("/v1/map").json()
    assert answer == http.get("/v1/map").json()
    dots = answer["segments"]
    sizes = trained.segments.items.sizes
    assert sorted(dot["segment"] for dot in dots) == list(range(len(sizes)))
    assert [dot["users"] for dot in dots] == sorted(sizes.tolist(), reverse=True)
    clusters = cluster_of_items()
    for dot in dots:
        assert dot["users"] == sizes[dot["segment"]]
        counted = trained.segments.items.counts
        used, users = counted.row(dot["segment"]), counted.row_weights(dot["segment"])
        own = clusters[used[np.argmax(users)]]
        lifts = [item["lift"] for item in dot["apart"]]
        assert len(lifts) == 3
        assert min(lifts) > 1.5
        assert {clusters[int(item["item_id"][1:])] for item in dot["apart"]} == {own}
    places = np.array([(dot["x"], dot["y"]) for dot in dots])
    everyone = np.average(places, axis=0, weights=[dot["users"] for dot in dots])
    assert (answer["everyone"]["x"], answer["everyone"]["y"]) == pytest.approx(tuple(everyone))


def test_the_nearest_segments_speak_as_soft_segments_weighs_them(http: httpx.Client, opened: Recommender) -> None:
    trained = opened.model
    events = [("stream", item) for item in LIKED]
    tell(http, *events)
    answer = http.get(f"/v1/users/{USER}/segments", params={"limit": 4, "items": 7}).json()
    signals = Signals(interactions=[(signal, "item", item) for signal, item in events])
    near, shares = weigh_segments(predict(opened, signals)[None], trained.segments, trained.mixing)
    expected = sorted(zip(shares[0].tolist(), near[0].tolist(), strict=True), key=lambda one: (-one[0], one[1]))
    assert [one["segment"] for one in answer["segments"]] == [segment for _, segment in expected[:4]]
    assert [one["weight"] for one in answer["segments"]] == pytest.approx([w for w, _ in expected[:4]], abs=1e-4)
    dots = {dot["segment"]: dot for dot in http.get("/v1/map").json()["segments"]}
    for axis in ("x", "y"):
        mean = sum(weight * dots[segment][axis] for weight, segment in expected)
        assert answer["place"][axis] == pytest.approx(mean, abs=1e-3)
    for one in answer["segments"]:
        assert one["apart"] == dots[one["segment"]]["apart"]
        top = [trained.catalogue.items[ix] for ix in trained.segments.top_items[one["segment"]].tolist() if ix >= 0]
        assert [item["item_id"] for item in one["items"]] == [item for item in top if item not in LIKED][:7]
        shown = trained.segments.top_shares[one["segment"]]
        for item in one["items"]:
            assert item["share"] == pytest.approx(float(shown[top.index(item["item_id"])]))
            assert item["most_like"]["item_id"] in LIKED


def test_what_is_banned_is_in_no_segments_list(http: httpx.Client) -> None:
    tell(http, ("stream", LIKED[0]))
    before = http.get(f"/v1/users/{USER}/segments").json()["segments"][0]["items"]
    banned = before[0]["item_id"]
    tell(http, ("stream", LIKED[0]), ("ban", banned))
    for one in http.get(f"/v1/users/{USER}/segments", params={"limit": 32, "items": 200}).json()["segments"]:
        assert banned not in [item["item_id"] for item in one["items"]]


def test_somebody_unknown_is_in_the_middle_and_no_segment_speaks(http: httpx.Client) -> None:
    answer = http.get("/v1/users/nobody-yet/segments").json()
    assert answer["segments"] == []
    assert answer["place"] == http.get("/v1/map").json()["everyone"]


def lay_out(trained: TrainedModel, centroids: np.ndarray, sizes: np.ndarray) -> SegmentMap:
    """Make the map of segments with these centroids and sizes, which use nothing."""
    n = len(centroids)
    counts = ItemCounts(SparseRows.empty(n, trained.n_items), sizes.astype(np.int64))
    top = np.full((n, 3), -1, dtype=np.int32)
    segments = replace(
        trained.segments, centroids=centroids.astype(np.float32), items=counts, top_items=top, spread=np.zeros(n)
    )
    return make_segment_map(replace(trained, segments=segments))


def overlaps(drawn: SegmentMap) -> int:
    """Count pairs of dots that overlap by more than a tenth of the smaller one."""
    distance = np.linalg.norm(drawn.centres[:, None] - drawn.centres, axis=2)
    touching = drawn.radii[:, None] + drawn.radii - 0.1 * np.minimum(drawn.radii[:, None], drawn.radii)
    return int((np.triu(distance < touching, k=1)).sum())


@pytest.mark.parametrize("n", [1, 2, 3, 30, 300])
def test_dots_stay_on_the_map_and_apart(trained: TrainedModel, n: int) -> None:
    rng = np.random.default_rng(n)
    drawn = lay_out(trained, rng.normal(size=(n, 12)), rng.integers(1, 200, size=n))
    assert (np.abs(drawn.centres) + drawn.radii[:, None] <= [HALF_WIDTH + 1e-9, HALF_HEIGHT + 1e-9]).all()
    assert overlaps(drawn) <= n // 100
    assert 0 < drawn.explained_variance <= 1


def test_segments_in_one_place_part(trained: TrainedModel) -> None:
    drawn = lay_out(trained, np.ones((9, 12)), np.full(9, 10))
    assert np.isfinite(drawn.centres).all()
    assert overlaps(drawn) == 0


def test_the_map_shows_the_directions_in_which_segments_differ_most(trained: TrainedModel) -> None:
    rng = np.random.default_rng(0)
    wide = np.linspace(-3, 3, 40)
    centroids = 0.01 * rng.normal(size=(40, 12))
    centroids[:, 4] += rng.permutation(wide)
    centroids[:, 7] += 0.5 * rng.permutation(wide)
    drawn = lay_out(trained, centroids, np.full(40, 10))
    assert drawn.explained_variance > 0.95
    for axis, column in ((0, 4), (1, 7)):
        assert abs(np.corrcoef(drawn.centres[:, axis], centroids[:, column])[0, 1]) > 0.95
