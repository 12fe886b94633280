"""The search for near warm users by segments."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from firstday.data.ids import Ids
from firstday.embed.kept_users import WarmUsers
from firstday.methods import people
from firstday.methods.people import find_neighbors
from firstday.model.trained_model import TrainedModel
from firstday.ranking import unit_rows, weigh_nearest
from firstday.recommend.belief import find_members
from firstday.segment.segments import Segments
from firstday.sparse import SparseRows
from tests.tiny import make_model


@pytest.fixture
def model() -> TrainedModel:
    """Return a model that keeps 900 users around three directions of the plane, 300 around each."""
    tiny = make_model()
    rng = np.random.default_rng(5)
    centroids = unit_rows(np.array([[1, 0], [-1, 1], [-1, -1]], np.float32))
    people = unit_rows(np.repeat(centroids, 300, axis=0) + rng.normal(0, 0.1, (900, 2)).astype(np.float32))
    order = rng.permutation(900)
    warm = WarmUsers(Ids.of([f"u{ix}" for ix in range(900)]), people[order], SparseRows.empty(900, tiny.n_items))
    of_three = np.array([0, 1, 0])
    items = replace(
        tiny.segments.items, counts=tiny.segments.items.counts.take(of_three), sizes=np.full(3, 300, np.int64)
    )
    segments = Segments(centroids, items, tiny.segments.top_items[of_three], np.zeros(3, np.float32))
    return replace(tiny, warm=warm, segments=segments)


@pytest.mark.parametrize(("n_users", "n_found"), [(1, 300), (300, 300), (301, 600), (900, 900), (901, 900)])
def test_members_of_the_nearest_segments_are_found(model: TrainedModel, n_users: int, n_found: int) -> None:
    found = find_members(model, np.array([0.1, 0.9, 0.5]), n_users)
    segments = [1, 2, 0][: n_found // 300]
    np.testing.assert_array_equal(np.sort(found), np.sort(model.kept_by_segment.take(np.array(segments)).columns))


@pytest.mark.parametrize("n_searched", [250, 301, 10_000])
def test_the_nearest_of_the_nearest_segments_are_found(
    model: TrainedModel, n_searched: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Vectors stand beside a centroid, far from the others: the 200 nearest users are all of its segment."""
    monkeypatch.setattr(people, "N_SEARCHED", n_searched)
    vectors = unit_rows(model.segments.centroids + np.float32(0.01))
    assert model.warm is not None
    nearest, weights = find_neighbors(model, vectors, 0.05, model.segments.closeness(vectors))
    expected, expected_weights = weigh_nearest(vectors @ model.warm.vectors.T, 200, 0.05)
    for row in range(3):
        order = np.argsort(nearest[row])
        expected_order = np.argsort(expected[row])
        np.testing.assert_array_equal(nearest[row][order], expected[row][expected_order])
        np.testing.assert_allclose(weights[row][order], expected_weights[row][expected_order], rtol=1e-3)
    alone, _ = find_neighbors(model, vectors[1:2], 0.05, model.segments.closeness(vectors[1:2]))
    np.testing.assert_array_equal(np.sort(alone[0]), np.sort(nearest[1]))
