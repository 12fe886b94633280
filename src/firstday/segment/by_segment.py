"""Users in the order of their segments, near segments beside each other: to read those of near segments quickly."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from firstday.display import readable
from firstday.ranking import unit_rows
from firstday.segment.segments import Segments

MOST_APART = 2
"""Segments to look at that are so near in memory are read at once, with the one that may lie between them."""


@readable
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

    def find_near(self, closeness: np.ndarray, n_users: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the runs of users of the segments nearest to a vector, so many that they have `n_users` or more.

        Parameters
        ----------
        closeness
            How near each segment is to the vector, shape (n_segments,).
        n_users
            How many users are wanted.

        Returns
        -------
        shifts, ends : numpy.ndarray
            Users are counted run after run. Of each run: what is to be added to a user's number for the place in
            `order`, and the number behind the last one; int64, shape (n_runs,).
        """
        nearest = _nearest_first(closeness, 3 * n_users * len(self.sizes) // max(1, len(self.order)))
        sizes = self.sizes[nearest].cumsum()
        if sizes[-1] < n_users and len(nearest) < len(closeness):  # they are unusually small
            nearest = np.argsort(-closeness)
            sizes = self.sizes[nearest].cumsum()
        n = int(np.searchsorted(sizes, n_users)) + 1  # segments
        places = np.sort(self.places[nearest[:n]])
        breaks = np.flatnonzero(places[1:] - places[:-1] > MOST_APART)
        begins = self.starts[places[np.concatenate([[0], breaks + 1])]]
        ends = self.starts[places[np.concatenate([breaks, [len(places) - 1]])] + 1]
        n_before = np.concatenate([[0], (ends - begins).cumsum()])
        return begins - n_before[:-1], n_before[1:]


def _nearest_first(closeness: np.ndarray, n: int) -> np.ndarray:
    """Return the n nearest, or all where there are no more, the nearest first; sorting them alone is quicker."""
    if n >= len(closeness):
        return np.argsort(-closeness)
    nearest = np.argpartition(closeness, -max(1, n))[-max(1, n) :]
    return nearest[np.argsort(-closeness[nearest])]


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
