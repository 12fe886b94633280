"""Confidence intervals by bootstrap over users; a user that occurs in several seeds is drawn as one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

N_RESAMPLES = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval, in the unit of the values."""

    mean: float
    low: float
    high: float


def bootstrap_mean(values: np.ndarray, users: np.ndarray, *, seed: int = 0) -> Interval:
    """Return the mean and its percentile bootstrap interval.

    Parameters
    ----------
    values
        One number for each user and seed, shape (n,).
    users
        Whose each is, integers, shape (n,).
    seed
        Seed of the resampling: equal seeds and users draw the same resamples, so that intervals of differences are
        paired.

    References
    ----------
    B. Efron, R. Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13 (percentile interval); users are
    resampled, not their repeated measurements, which would make intervals too narrow.
    """
    if not len(values):
        return Interval(0.0, 0.0, 0.0)
    _, member = np.unique(users, return_inverse=True)
    n_users = int(member.max()) + 1
    sums = np.bincount(member, weights=values, minlength=n_users)
    counts = np.bincount(member, minlength=n_users).astype(np.float64)
    rng = np.random.default_rng(seed)
    means = np.empty(N_RESAMPLES)
    step = max(1, 2**24 // n_users)
    for at in range(0, N_RESAMPLES, step):
        drawn = rng.integers(n_users, size=(min(step, N_RESAMPLES - at), n_users))
        means[at : at + step] = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(np.mean(values)), float(low), float(high))
