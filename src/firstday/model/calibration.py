"""Calibration: the probability that the user uses an item, given the item's score for the user."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from firstday.display import readable

MAX_KNOWN = 20
"""Number of interactions from which on more do not change the probability."""


@readable
@dataclass(frozen=True)
class Calibration:
    """Log-odds of use, for one strategy: linear in the item's score, the user's level and how much is known.

    An item has the same probability under any rule, in any list that may contain it.

    Parameters
    ----------
    intercept
        Log-odds where all terms are 0.
    slope
        Weight of the score, positive.
    level
        Weight of the user's level, the mean score of the model's reference items (`Answer.levels`); scores alone are
        not comparable between users.
    known
        Weight of the logarithm of 1 + the number of interactions, at most `MAX_KNOWN`.
    n_users
        Number of validation users of the fit.
    """

    intercept: float
    slope: float
    level: float
    known: float
    n_users: int

    def probabilities(self, scores: np.ndarray, levels: np.ndarray, n_known: np.ndarray) -> np.ndarray:
        """Return the probability of use of each item, float32, shape (n_users, k).

        `scores` are float32, shape (n_users, k); `levels`, float32, and `n_known`, integers, have shape (n_users,).
        """
        of_user = self._rate_users(levels, n_known)
        log_odds = of_user[:, None] + self.slope * scores.astype(np.float64)
        return np.asarray(to_probabilities(log_odds), dtype=np.float32)

    def find_scores(self, log_odds: np.ndarray, levels: np.ndarray, n_known: np.ndarray) -> np.ndarray:
        """Return the scores that have some log-odds, the inverse of `probabilities`."""
        of_user = self._rate_users(levels, n_known)
        return np.asarray((log_odds - of_user[:, None]) / self.slope, dtype=np.float32)

    def _rate_users(self, levels: np.ndarray, n_known: np.ndarray) -> np.ndarray:
        of_users: np.ndarray = self.intercept + self.level * levels.astype(np.float64) + self.known * log_known(n_known)
        return of_users


def to_probabilities(log_odds: np.ndarray) -> np.ndarray:
    """Return the probabilities that have some log-odds."""
    return np.asarray(0.5 + 0.5 * np.tanh(log_odds / 2))


def log_known(n_known: np.ndarray | int) -> np.ndarray:
    """Return the logarithm of 1 + the number of interactions, at most `MAX_KNOWN`, float64."""
    return np.asarray(np.log1p(np.minimum(n_known, MAX_KNOWN)))
