"""Calibration: the probability that the item at each position of a list is used."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from firstday.display import readable


@readable
@dataclass(frozen=True, eq=False)
class Calibration:
    """Probability of use by position and by the score of the first position, for one strategy.

    With t the score of the first position, the probability is 1 / (1 + exp(-(curve[position] + slope * t))). The curve
    is the decay along the list, in non-increasing logits, float32, shape (n_positions,); later positions use its last
    value. t is the strategy's confidence for this user, clipped to its range among the users of the fit (`lowest` to
    `highest`). Calibration never reorders a list.
    """

    curve: np.ndarray
    slope: float
    lowest: float
    highest: float
    n_users: int

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """Return the probability of use at each position, float32, shape (n_users, k).

        `scores` are float32, shape (n_users, k), best first. Probabilities never increase along a list.
        """
        first = np.clip(scores[:, :1], self.lowest, self.highest)
        position = np.minimum(np.arange(scores.shape[1]), len(self.curve) - 1)
        probabilities = 1 / (1 + np.exp(-(self.curve[position] + np.float32(self.slope) * first)))
        # Rounding in exp may cause increases.
        return np.minimum.accumulate(probabilities, axis=1).astype(np.float32)
