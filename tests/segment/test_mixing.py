"""Several segments speak, weighted by nearness, computed by hand."""

from __future__ import annotations

import numpy as np

from firstday.segment.segments import ItemCounts, Mixing, Segments, smooth_shares, weigh_segments
from tests.matrices import to_rows

CENTROIDS = np.array([[1, 0], [0, 1], [-1, 0]], np.float32)
COUNTS = ItemCounts(to_rows([[4, 2, 0, 0], [0, 1, 0, 0], [0, 0, 3, 0]]), np.array([4, 1, 5]))
SEGMENTS = Segments(CENTROIDS, COUNTS, np.array([[0, 1], [1, -1], [2, -1]], np.int32), np.zeros(3))
POPULARITY = np.array([0.4, 0.3, 0.3, 0.0], np.float32)


def test_weights_fall_with_squared_distance() -> None:
    vectors = np.array([[0.6, 0.8], [1, 0]], np.float32)
    nearest, weights = weigh_segments(vectors, SEGMENTS, Mixing(temperature=0.5))
    for row, vector in enumerate(vectors):
        expected = np.exp(-((vector - CENTROIDS) ** 2).sum(axis=1))
        assert sorted(nearest[row]) == [0, 1, 2]
        np.testing.assert_allclose(weights[row], (expected / expected.sum())[nearest[row]], rtol=1e-5)


def test_a_low_temperature_is_the_nearest_segment_alone() -> None:
    vectors = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
    nearest, weights = weigh_segments(vectors, SEGMENTS, Mixing(temperature=1e-6))
    assert np.isfinite(weights).all()
    loudest = np.take_along_axis(nearest, weights.argmax(axis=1)[:, None], axis=1)[:, 0]
    np.testing.assert_array_equal(loudest, SEGMENTS.assign(vectors))
    np.testing.assert_allclose(weights.max(axis=1), 1)


def test_shares_lean_on_everyones() -> None:
    plain = smooth_shares(SEGMENTS, POPULARITY, Mixing(smoothing=0))
    np.testing.assert_allclose(plain, np.array([[1, 0.5], [1, 0], [0.6, 0]]))
    leaning = smooth_shares(SEGMENTS, POPULARITY, Mixing(smoothing=10))
    expected = np.array([[8 / 14, 5 / 14], [4 / 11, 0], [6 / 15, 0]])
    np.testing.assert_allclose(leaning, expected, rtol=1e-6)
