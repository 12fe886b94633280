"""Users in the order of their segments, near segments beside each other: to read those of near segments quickly."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from firstday.ranking import unit_rows
from firstday.segment.segments import Segments


@dataclass(frozen=True, eq=False)
class UsersBySegment:
    """Users in an order in which those of a segment adjoin, and most near segments do.

    Parameters
    ----------
    order
        The users' positions, int64, shape (n_users,).
    vectors
        Their vectors in this order, float32, shape (n_users, d).
    starts
        Where the segment in each place begins, and the last one ends, int64, shape (n_segments + 1,).
    places
        The place of each segment, int64, shape (n_segments,).
    """

    order: np.ndarray
    vectors: np.ndarray
    starts: np.ndarray
    places: np.ndarray

    @cached_property
    def sizes(self) -> np.ndarray:
        """How many of the users each segment has, int64, shape (n_segments,)."""
        sizes: np.ndarray = np.diff(self.starts)[self.places]
        return sizes


def put_by_segment(vectors: np.ndarray, segments: Segments) -> UsersBySegment:
    """Put users in the order of their segments.

    Parameters
    ----------
    vectors
        Of the users, float32, shape (n_users, d).
    segments
        A user is of the one whose centroid is nearest.
    """
    parts = [segments.assign(vectors[at : at + 4096]) for at in range(0, len(vectors), 4096)]
    places = np.argsort(chain_near(segments.centroids))
    place_of_user = places[np.concatenate(parts)]
    order = np.argsort(place_of_user, kind="stable")
    starts = np.searchsorted(place_of_user[order], np.arange(len(segments) + 1))
    return UsersBySegment(order, np.ascontiguousarray(vectors[order]), starts, places)


def chain_near(centroids: np.ndarray) -> np.ndarray:
    """Return segments in an order in which most stand beside near ones: after each the nearest one that is left.

    Parameters
    ----------
    centroids
        float32, shape (n_segments, d). Nearness is the cosine; among equals the lower segment comes first.

    Returns
    -------
    numpy.ndarray
        All segments, from 0, int64, shape (n_segments,).
    """
    units = unit_rows(centroids)
    chain, is_left = np.zeros(len(units), dtype=np.int64), np.ones(len(units), dtype=bool)
    for at in range(1, len(units)):
        is_left[chain[at - 1]] = False
        chain[at] = np.argmax(np.where(is_left, units @ units[chain[at - 1]], -np.inf))
    return chain
