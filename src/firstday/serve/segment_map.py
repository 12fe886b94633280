"""The segments in two dimensions: where each lies and how large its dot is.

Distances between hundreds of points cannot all be right on a plane; the two directions in which centroids differ most
(principal components, weighted by users) keep most of what can be kept. Two thirds of each coordinate are then its
rank, since components crowd in the middle, and dots that overlap are pushed apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from firstday.artifact.trained_model import TrainedModel

HALF_WIDTH, HALF_HEIGHT = 1.5, 1.0
"""The map goes from -1.5 to 1.5 and from -1 to 1."""
COVERED = 0.17
"""Part of the map that the dots cover together."""
SMALLEST, LARGEST = 0.016, 0.15
"""Radii of dots, in the map's units."""
ROUNDS = 80
"""How often overlapping dots are pushed apart, at most."""


@dataclass(frozen=True, eq=False)
class SegmentMap:
    """Where segments lie.

    Parameters
    ----------
    places
        float64, shape (n_segments, 2).
    radii
        float64, shape (n_segments,): the area follows the users.
    everyone
        float64, shape (2,): the mean of the places, weighted by users; where a user is of whom nothing is known.
    kept
        Part of the centroids' variance that the two components have, from 0 to 1.
    """

    places: np.ndarray
    radii: np.ndarray
    everyone: np.ndarray
    kept: float


def make_segment_map(model: TrainedModel) -> SegmentMap:
    """Lay the segments of a model out in two dimensions; the same model gives the same map.

    Parameters
    ----------
    model
        The trained model.

    Returns
    -------
    SegmentMap
        Places within `HALF_WIDTH` and `HALF_HEIGHT`, dots apart as far as there is room.
    """
    sizes = np.asarray(model.segments.items.sizes, dtype=np.float64)
    weights = sizes / max(1.0, sizes.sum())
    components, kept = _principal_components(np.asarray(model.segments.centroids, dtype=np.float64), weights)
    radii = np.sqrt(COVERED * 4 * HALF_WIDTH * HALF_HEIGHT * weights / np.pi).clip(SMALLEST, LARGEST)
    places = _push_apart(_fill_map(components, radii), radii)
    return SegmentMap(places, radii, weights @ places, kept)


def _principal_components(points: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the first two components of weighted points, (n, 2), and the part of the variance that they have."""
    centred = points - weights @ points
    _, strengths, directions = np.linalg.svd(centred * np.sqrt(weights)[:, None], full_matrices=False)
    n = min(2, len(strengths))
    scores = centred @ directions[:n].T
    leading = scores[np.abs(scores).argmax(axis=0), np.arange(n)]
    scores = np.pad(scores * np.where(leading < 0, -1.0, 1.0), ((0, 0), (0, 2 - n)))
    total = float((strengths**2).sum())
    return scores, float((strengths[:n] ** 2).sum()) / total if total > 0 else 1.0


def _fill_map(components: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Stretch components over the map: a third by their value, two by their rank."""
    n = len(components)
    if n < 2:
        return np.zeros((n, 2))
    ranks = components.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")
    reach = np.abs(components).max(axis=0)
    by_value = components / np.where(reach > 0, reach, 1.0)
    limits = np.array([HALF_WIDTH, HALF_HEIGHT]) - radii.max()
    filled: np.ndarray = (by_value + 2 * (2 * ranks / (n - 1) - 1)) / 3 * limits
    return filled


def _push_apart(places: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Move dots that overlap away from one another, within the map, until none does or the rounds are over."""
    limits = np.array([HALF_WIDTH, HALF_HEIGHT]) - radii[:, None]
    clear = 1.15 * (radii[:, None] + radii)  # a little air between them
    np.fill_diagonal(clear, 0.0)
    turn = np.arange(len(places)) * np.pi * (3 - np.sqrt(5))  # dots in one place part in different directions
    nudges = 1e-6 * np.column_stack([np.cos(turn), np.sin(turn)])
    for _ in range(ROUNDS):
        between = (places + nudges)[:, None] - (places + nudges)  # (n, n, 2)
        distance = np.sqrt((between**2).sum(axis=2))
        overlap = np.maximum(clear - distance, 0.0)
        if not (overlap > 1e-3).any():
            break
        push = np.divide(overlap, distance, out=np.zeros_like(overlap), where=distance > 0)
        places = np.clip(places + 0.4 * (between * push[:, :, None]).sum(axis=1), -limits, limits)
    return places
