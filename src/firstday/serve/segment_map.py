"""The segments in two dimensions: where each lies, how large its dot is, what sets it apart; and where a user is.

Distances between hundreds of points cannot all be right on a plane; the two directions in which centroids differ most
(principal components, weighted by users) keep most of what can be kept. Two thirds of each coordinate are then its
rank, since components crowd in the middle, and dots that overlap are pushed apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from firstday.artifact.trained_model import TrainedModel
from firstday.recommend.segment_description import SegmentItem, describe_segment
from firstday.segment.segments import Segments, weigh_segments

HALF_WIDTH, HALF_HEIGHT = 1.5, 1.0
"""The map goes from -1.5 to 1.5 and from -1 to 1."""
COVERED = 0.17
"""Part of the map that the dots cover together."""
SMALLEST, LARGEST = 0.016, 0.15
"""Radii of dots, in the map's units."""
ROUNDS = 80
"""How often overlapping dots are pushed apart, at most."""
N_NAMES = 3
"""Items that name a segment."""


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
    names
        For each segment the items that set it apart most, `N_NAMES` at most.
    """

    places: np.ndarray
    radii: np.ndarray
    everyone: np.ndarray
    kept: float
    names: tuple[tuple[SegmentItem, ...], ...]

    def place(self, segments: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return where a user is: the mean of the places of some segments, weighted, float64, shape (2,)."""
        mean: np.ndarray = weights @ self.places[segments] / weights.sum()
        return mean


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
    names = tuple(describe_segment(model, segment, N_NAMES).distinctive for segment in range(len(sizes)))
    return SegmentMap(places, radii, weights @ places, kept, names)


def near_weights(vector: np.ndarray, model: TrainedModel) -> tuple[np.ndarray, np.ndarray]:
    """Return segments near a vector and their weights, the heaviest first, as `soft_segments` weighs them.

    Parameters
    ----------
    vector
        float32, shape (d,).
    model
        The trained model.

    Returns
    -------
    segments : numpy.ndarray
        int64, shape (m,).
    weights : numpy.ndarray
        float64, shape (m,); they add up to 1.
    """
    segments: Segments = model.segments
    nearest, shares = weigh_segments(vector[None], segments, model.mixing)
    order = np.lexsort((nearest[0], -shares[0]))
    return nearest[0][order], shares[0][order].astype(np.float64)


def _principal_components(points: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the first two components of weighted points, (n, 2), and the part of the variance that they have."""
    centred = points - weights @ points
    _, strengths, directions = np.linalg.svd(centred * np.sqrt(weights)[:, None], full_matrices=False)
    scores = np.zeros((len(points), 2))
    n = min(2, len(strengths))
    projected = centred @ directions[:n].T
    leading = projected[np.abs(projected).argmax(axis=0), np.arange(n)]
    scores[:, :n] = projected * np.where(leading < 0, -1.0, 1.0)
    total = float((strengths**2).sum())
    return scores, float((strengths[:n] ** 2).sum()) / total if total > 0 else 1.0


def _fill_map(components: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Stretch components over the map: a third by their value, two by their rank."""
    n = len(components)
    limits = np.array([HALF_WIDTH, HALF_HEIGHT]) - radii.max(initial=0.0)
    if n < 2:
        return np.zeros((n, 2))
    ranks = components.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")
    by_rank = 2 * ranks / (n - 1) - 1
    reach = np.abs(components).max(axis=0)
    by_value = components / np.where(reach > 0, reach, 1.0)
    filled: np.ndarray = (by_value + 2 * by_rank) / 3 * limits
    return filled


def _push_apart(places: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Move dots that overlap away from one another, within the map, until none does or the rounds are over."""
    places = places.copy()
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
