"""Layout of the segments in two dimensions, for the page.

Centroids are projected onto their first two principal components, weighted by users. Since most values lie near the
middle, each coordinate is two thirds rank and one third value. Overlapping dots are then pushed apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from firstday.model.trained_model import TrainedModel

HALF_WIDTH, HALF_HEIGHT = 1.5, 1.0
"""The map spans -1.5 to 1.5 by -1 to 1."""
DOT_AREA = 0.17
"""Share of the map's area covered by all dots together."""
MIN_RADIUS, MAX_RADIUS = 0.016, 0.15
"""Limits of a dot's radius, in map units."""
MAX_ITERATIONS = 80
"""Maximum iterations of pushing overlapping dots apart."""


@dataclass(frozen=True, eq=False)
class SegmentMap:
    """Positions and sizes of the segments, float64; radii grow with the number of users, within limits.

    `everyone`, the mean of the centres weighted by users, is the position of users without signals.
    `explained_variance` is the share of the centroids' variance that the two components explain.
    """

    centres: np.ndarray  # shape (n_segments, 2)
    radii: np.ndarray  # shape (n_segments,)
    everyone: np.ndarray  # shape (2,)
    explained_variance: float


def make_segment_map(model: TrainedModel) -> SegmentMap:
    """Lay out the segments of a model in two dimensions, deterministically; overlaps remain if space is short."""
    sizes = np.asarray(model.segments.items.sizes, dtype=np.float64)
    weights = sizes / max(1.0, sizes.sum())
    components, explained = _principal_components(np.asarray(model.segments.centroids, dtype=np.float64), weights)
    radii = np.sqrt(DOT_AREA * 4 * HALF_WIDTH * HALF_HEIGHT * weights / np.pi).clip(MIN_RADIUS, MAX_RADIUS)
    centres = _push_apart(_fill_map(components, radii), radii)
    return SegmentMap(centres, radii, weights @ centres, explained)


def _principal_components(points: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the first two components of weighted points, shape (n, 2), and their share of the variance."""
    centred = points - weights @ points
    variances, directions = np.linalg.eigh(centred.T @ (centred * weights[:, None]))
    scores = centred @ directions[:, :-3:-1]
    scores = np.pad(scores, ((0, 0), (0, 2 - scores.shape[1])))  # one-dimensional vectors
    leading = scores[np.abs(scores).argmax(axis=0), [0, 1]]
    total = float(variances.sum())
    explained = min(1.0, float(variances[-2:].sum()) / total) if total > 0 else 1.0
    return scores * np.sign(leading), explained


def _fill_map(components: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Scale components to the map: one third by value, two thirds by rank."""
    n = len(components)
    if n < 2:
        return np.zeros((n, 2))
    ranks = components.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")
    largest = np.abs(components).max(axis=0)
    by_value = components / np.maximum(largest, 1e-12)
    limits = np.array([HALF_WIDTH, HALF_HEIGHT]) - radii.max()
    return (by_value + 2 * (2 * ranks / (n - 1) - 1)) / 3 * limits


def _push_apart(centres: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Push overlapping dots apart, within the map, for at most `MAX_ITERATIONS` iterations."""
    limits = np.array([HALF_WIDTH, HALF_HEIGHT]) - radii[:, None]
    min_distance = 1.15 * (radii[:, None] + radii)  # 15% margin
    np.fill_diagonal(min_distance, 0.0)
    for _ in range(MAX_ITERATIONS):
        differences = centres[:, None] - centres  # (n, n, 2)
        distance = np.sqrt((differences**2).sum(axis=2))
        overlap = np.maximum(min_distance - distance, 0.0)
        if not (overlap > 1e-3).any():
            break
        push = overlap / np.maximum(distance, 1e-12)
        centres = np.clip(centres + 0.4 * (differences * push[:, :, None]).sum(axis=1), -limits, limits)
    return centres
