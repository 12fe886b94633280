"""Calibration: how likely a user is to use the item in each place of a list."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from firstday.display import readable


@readable
@dataclass(frozen=True, eq=False)
class Calibration:
    """The probability of use by the place in a list and by the score of its first place, for one strategy.

    With t the score of the first place, it is 1 / (1 + exp(-(curve[place] + slope * t))): the place says how it falls
    along a list, and t how sure the strategy is of this user. The order of a list stays what it is.

    Parameters
    ----------
    curve
        float32, shape (n_places,), nowhere rising; places behind them are as the last one.
    slope
        What t counts.
    lowest, highest
        The range of t among the users it was fitted to; beyond it, the end counts.
    n_users
        How many users it was fitted to.
    """

    curve: np.ndarray
    slope: float
    lowest: float
    highest: float
    n_users: int

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """Return the probability that the user uses each item of a list.

        Parameters
        ----------
        scores
            A strategy's scores, best first, float32, shape (n_users, k).

        Returns
        -------
        numpy.ndarray
            float32, shape (n_users, k), nowhere rising along a list.
        """
        first = np.clip(scores[:, :1], self.lowest, self.highest)
        place = np.minimum(np.arange(scores.shape[1]), len(self.curve) - 1)
        likely = 1 / (1 + np.exp(-(self.curve[place] + np.float32(self.slope) * first)))
        falling: np.ndarray = np.minimum.accumulate(likely, axis=1).astype(np.float32)  # exp may round up by a bit
        return falling
