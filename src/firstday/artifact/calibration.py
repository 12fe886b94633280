"""Calibration: the probability of use of each position of a list."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from firstday.display import readable


@readable
@dataclass(frozen=True, eq=False)
class Calibration:
    """Probability of use by position and by the score of the first position, for one strategy.

    With t the score of the first position, it is 1 / (1 + exp(-(curve[position] + slope * t))): the curve gives the
    decay along the list, t the strategy's confidence for this user. Calibration never reorders a list.

    Parameters
    ----------
    curve
        Non-increasing logits, float32, shape (n_places,); later positions use the last value.
    slope
        Coefficient of t.
    lowest, highest
        Range of t among the users it was fitted to; t is clipped to it.
    n_users
        Number of users it was fitted to.
    """

    curve: np.ndarray
    slope: float
    lowest: float
    highest: float
    n_users: int

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """Return the probability of use of each position given scores, best first, float32, shape (n_users, k).

        Probabilities have the same dtype and shape and never rise along a list.
        """
        first = np.clip(scores[:, :1], self.lowest, self.highest)
        place = np.minimum(np.arange(scores.shape[1]), len(self.curve) - 1)
        likely = 1 / (1 + np.exp(-(self.curve[place] + np.float32(self.slope) * first)))
        falling: np.ndarray = np.minimum.accumulate(likely, axis=1).astype(np.float32)  # exp may round up
        return falling
