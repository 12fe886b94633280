"""Mixing: how several segments near a vector are weighted, and how far their shares lean on everyone's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from firstday.ranking import weigh_nearest
from firstday.segment.segments import Segments

N_NEAREST = 32
"""Segments that may speak for one user, at most."""


@dataclass(frozen=True)
class Mixing:
    """The two settings of `soft_segments`, chosen on validation users.

    Parameters
    ----------
    temperature
        Half the squared distance at which a segment's weight falls by e; towards 0 the nearest speaks alone.
    smoothing
        Users with everyone's habits added to each segment, so that small ones do not speak too loud.
    """

    temperature: float = 0.05
    smoothing: float = 20.0


def weigh_segments(vectors: np.ndarray, segments: Segments, mixing: Mixing) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest segments of each vector and their weights, which add up to 1.

    Parameters
    ----------
    vectors
        float32, shape (n, d).
    segments
        Where to look.
    mixing
        The temperature.

    Returns
    -------
    nearest : numpy.ndarray
        int64, shape (n, m), m the smaller of `N_NEAREST` and the number of segments; in no order.
    weights : numpy.ndarray
        float32, shape (n, m).
    """
    return weigh_nearest(segments.closeness(vectors), N_NEAREST, mixing.temperature)


def smooth_shares(segments: Segments, popularity: np.ndarray, mixing: Mixing) -> np.ndarray:
    """Return the share of users of each segment's top items, leaning on everyone's, float32, (n_segments, n_top).

    Parameters
    ----------
    segments
        Whose top items.
    popularity
        Share of all users who use each item, shape (n_items,).
    mixing
        The smoothing.
    """
    sizes = segments.items.sizes[:, None]
    counts = segments.top_shares * sizes
    everyone = np.where(segments.top_items >= 0, popularity[segments.top_items], 0)
    smoothed: np.ndarray = ((counts + mixing.smoothing * everyone) / (sizes + mixing.smoothing)).astype(np.float32)
    return smoothed
