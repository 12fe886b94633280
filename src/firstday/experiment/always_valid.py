"""Always-valid confidence intervals: they hold at every look, not only at one fixed in advance."""

from __future__ import annotations

import numpy as np

USERS_FOR_EVERY_LOOK = 100
"""Minimum users per variant: the intervals rest on the central limit theorem."""


def count_errors(n_users: int, planned_users: int, level: float) -> float:
    """Return the half-width of an always-valid interval, in standard errors.

    Parameters
    ----------
    n_users
        Users of both variants so far.
    planned_users
        Sample size, of both variants, at which the interval is narrowest. It must be fixed before the start.
    level
        Confidence level, such as 0.95.

    References
    ----------
    I. Waudby-Smith, D. Arbour, R. Sinha, E. Kennedy, A. Ramdas, "Time-uniform central limit theory and asymptotic
    confidence sequences", Annals of Statistics 52 (2024): the Gaussian mixture, with their approximation of the
    parameter that is optimal at one sample size; after S. Howard, A. Ramdas, J. McAuliffe, J. Sekhon, "Time-uniform,
    nonparametric, nonasymptotic confidence sequences", Annals of Statistics 49 (2021).
    """
    twice_log = -2 * np.log(1 - level)
    seen = n_users * (twice_log + np.log(twice_log + 1)) / planned_users
    return float(np.sqrt(2 * (seen + 1) / seen * np.log(np.sqrt(seen + 1) / (1 - level))))
