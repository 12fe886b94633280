from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstday.config import SegmentConfig
from firstday.errors import ConfigError
from firstday.ranking import NO_ITEM
from firstday.segment.kmeans import fit_segments
from firstday.segment.segments import ItemCounts, Segments, count_items
from firstday.sparse import SparseRows
from tests.matrices import to_matrix, to_rows


def random_uses(rng: np.random.Generator, n_users: int, n_items: int, share: float = 0.3) -> SparseRows:
    return to_rows(rng.random((n_users, n_items)) < share)


def nearest(vectors: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Return the nearest centroid of each vector, computed in the plainest way."""
    apart = vectors[:, None].astype(np.float64) - centroids[None].astype(np.float64)
    best: np.ndarray = (apart**2).sum(axis=2).argmin(axis=1)
    return best


def fit(vectors: np.ndarray, n_segments: int, uses: SparseRows | None = None, **settings_: int) -> Segments:
    uses = uses or SparseRows.empty(len(vectors), 1)
    vectors = vectors.astype(np.float32)
    return fit_segments(vectors.__getitem__, uses, n_segments, SegmentConfig(**settings_), seed=0)


@pytest.fixture
def blobs() -> np.ndarray:
    """Return 120 vectors in three clouds far apart, 60, 40 and 20 of them, mixed."""
    rng = np.random.default_rng(1)
    centres = np.repeat([[0, 0], [10, 0], [0, 10]], [60, 40, 20], axis=0)
    vectors: np.ndarray = rng.permutation(centres + rng.normal(0, 0.5, (120, 2))).astype(np.float32)
    return vectors


def test_clouds_become_segments(blobs: np.ndarray) -> None:
    segments = fit(blobs, 3)
    assert len(segments) == 3
    assert sorted(segments.items.sizes.tolist()) == [20, 40, 60]
    cloud = nearest(blobs, np.array([[0, 0], [10, 0], [0, 10]]))
    for number, members in enumerate([blobs[cloud == c] for c in range(3)]):
        own = segments.assign(members)
        assert len(set(own.tolist())) == 1, number
        np.testing.assert_allclose(segments.centroids[own[0]], members.mean(axis=0), atol=1e-4)
        spread = ((members - members.mean(axis=0)) ** 2).sum(axis=1).mean()
        assert segments.spread[own[0]] == pytest.approx(spread, rel=1e-4)


def test_assign_gives_ties_to_the_lower_segment() -> None:
    centroids = np.array([[1, 0], [-1, 0], [1, 0]], dtype=np.float32)
    nothing = ItemCounts(SparseRows.empty(3, 1), np.ones(3, np.int64))
    segments = Segments(centroids, nothing, np.zeros((3, 1), np.int32), np.zeros(3, np.float32))
    assert segments.assign(np.array([[0, 3], [2, 1], [-2, 1]], np.float32)).tolist() == [0, 0, 1]


def test_counts_sizes_and_top_items_are_those_of_the_users_assigned(blobs: np.ndarray) -> None:
    uses = random_uses(np.random.default_rng(4), len(blobs), 40, share=0.1)  # few users an item: many ties
    segments = fit(blobs, 20, uses, top_items=25)
    own = nearest(blobs, segments.centroids)
    counts = np.array([to_matrix(uses)[own == segment].sum(axis=0) for segment in range(20)])
    sizes = np.bincount(own, minlength=20)
    popularity = counts.sum(axis=0)
    np.testing.assert_array_equal(to_matrix(segments.items.counts), counts)
    np.testing.assert_array_equal(segments.items.sizes, sizes)
    for segment, used in enumerate(counts):
        ranked = sorted(np.flatnonzero(used), key=lambda item: (-used[item], -popularity[item], item))[:25]
        n_missing = 25 - len(ranked)
        assert segments.top_items[segment].tolist() == ranked + [NO_ITEM] * n_missing
        shares = used[ranked] / sizes[segment]
        np.testing.assert_allclose(segments.top_shares[segment], [*shares, *[0] * n_missing], rtol=1e-6)


def test_users_of_no_group_are_not_counted() -> None:
    uses = SparseRows.from_lists([[0, 1], [1], [2], [0, 2]], 3)
    counted = count_items(np.array([1, -1, 1, -1]), uses, 3)
    np.testing.assert_array_equal(to_matrix(counted.counts), [[0, 0, 0], [1, 1, 1], [0, 0, 0]])
    np.testing.assert_array_equal(counted.sizes, [0, 2, 0])


@given(st.data())
@settings(deadline=None, max_examples=25)
def test_no_segment_is_empty_and_none_is_missing_without_need(data: st.DataObject) -> None:
    """Duplicates in plenty: as many segments as asked for, or as there are distinct vectors."""
    n_users = data.draw(st.integers(1, 60))
    n_points = data.draw(st.integers(1, 12))
    n_segments = data.draw(st.integers(1, min(n_users, 20)))
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    vectors = rng.normal(size=(n_points, 3)).astype(np.float32)[rng.integers(n_points, size=n_users)]
    segments = fit(vectors, n_segments, random_uses(rng, n_users, 5), iterations=4, restarts=1)
    n_distinct = len(np.unique(vectors, axis=0))
    assert len(segments) == min(n_segments, n_distinct)
    assert segments.items.sizes.min() >= 1
    assert segments.items.sizes.sum() == n_users
    assert np.isfinite(segments.spread).all()
    assert segments.top_items.shape == (len(segments), 5)


def test_more_segments_than_users_are_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        fit(np.zeros((1500, 2)), 2000)
    assert str(caught.value) == "segments.n_segments: is 2,000, with 1,500 warm users; set it to at most that number."
