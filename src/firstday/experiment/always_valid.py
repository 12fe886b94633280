"""Intervals that hold at every look, not at one that was chosen beforehand."""

from __future__ import annotations

import numpy as np

USERS_FOR_EVERY_LOOK = 100
"""Users of a variant below which no such interval is given: it rests on the central limit theorem."""


def count_errors(n_users: int, planned_users: int, level: float) -> float:
    """Return how many standard errors an always-valid interval reaches to each side.

    Parameters
    ----------
    n_users
        Users of both variants so far.
    planned_users
        Users at which the interval is to be narrowest; chosen before the start, or the interval does not hold.
    level
        Of confidence, such as 0.95.

    References
    ----------
    I. Waudby-Smith, D. Arbour, R. Sinha, E. Kennedy, A. Ramdas, "Time-uniform central limit theory and asymptotic
    confidence sequences", Annals of Statistics 52 (2024): the Gaussian mixture, whose parameter is their approximation
    of what is best at one number of users; after S. Howard, A. Ramdas, J. McAuliffe, J. Sekhon, "Time-uniform,
    nonparametric, nonasymptotic confidence sequences", Annals of Statistics 49 (2021).
    """
    twice_log = -2 * np.log(1 - level)
    seen = n_users * (twice_log + np.log(twice_log + 1)) / planned_users
    return float(np.sqrt(2 * (seen + 1) / seen * np.log(np.sqrt(seen + 1) / (1 - level))))
