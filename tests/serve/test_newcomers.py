"""What the page shows a newcomer: the map of segments."""

from __future__ import annotations

from dataclasses import replace

import httpx
import numpy as np
import pytest

from firstday.model.trained_model import TrainedModel
from firstday.recommend.recommender import Recommender
from firstday.segment.segments import ItemCounts
from firstday.serve.segment_map import HALF_HEIGHT, HALF_WIDTH, SegmentMap, make_segment_map
from firstday.sparse import SparseRows


def test_every_segment_has_a_place_and_is_named_by_what_sets_it_apart(by_hand: httpx.Client) -> None:
    answer = by_hand.get("/v1/map").json()
    assert answer == by_hand.get("/v1/map").json()
    east, north = answer["segments"]
    assert [(dot["segment"], dot["users"]) for dot in (east, north)] == [(0, 3), (1, 2)]
    for dot, lifts in ((east, {"i1": 1.5, "i2": 1.5, "i3": 13 / 12}), (north, {"i4": 2, "i5": 2, "i3": 8 / 9})):
        assert {item["item_id"]: item["lift"] for item in dot["apart"]} == pytest.approx(lifts)
    assert answer["everyone"] == pytest.approx({axis: (3 * east[axis] + 2 * north[axis]) / 5 for axis in "xy"})


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
def test_dots_stay_on_the_map_and_apart(tiny: Recommender, n: int) -> None:
    rng = np.random.default_rng(n)
    drawn = lay_out(tiny.model, rng.normal(size=(n, 12)), rng.integers(1, 200, size=n))
    assert (np.abs(drawn.centres) + drawn.radii[:, None] <= [HALF_WIDTH + 1e-9, HALF_HEIGHT + 1e-9]).all()
    assert overlaps(drawn) <= n // 100
    assert 0 < drawn.explained_variance <= 1
