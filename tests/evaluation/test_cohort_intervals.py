"""Intervals over cohorts: their formula on three numbers, and how often they hold the truth."""

from __future__ import annotations

import numpy as np
import pytest

from firstday.metrics import MIN_COHORTS, bootstrap_means, ratio_intervals

N_REPETITIONS = 1_000
COHORT_SPREAD, USER_SPREAD = 2.0, 15.0
"""Standard deviations of cohorts' means and of users around them, in points."""


def test_a_mean_over_five_cohorts_by_hand() -> None:
    """Cohorts of 1, 1, 1, 1 and 2 users: means are weighted by users."""
    values = np.array([[1.0], [2.0], [3.0], [4.0], [5.0], [9.0]])
    cohorts = np.array([0, 1, 2, 3, 4, 4])
    (interval,) = ratio_intervals(values, np.ones(6), np.arange(6), cohorts)
    assert interval.mean == 4
    totals = np.array([1, 2, 3, 4, 14]) - 4 * np.array([1, 1, 1, 1, 2])  # what cohorts differ by from the mean
    error = np.sqrt(5 / 4 * (totals**2).sum()) / 6
    assert interval.high - interval.mean == pytest.approx(2.7764 * error, rel=1e-4)  # Student's t, 4 degrees
    assert interval.mean - interval.low == pytest.approx(interval.high - interval.mean)


def test_fewer_than_five_cohorts_are_resampled_by_users() -> None:
    values = np.arange(40.0)[:, None]
    users = np.arange(40)
    found = ratio_intervals(values, np.ones(40), users, users % (MIN_COHORTS - 1))
    assert found == bootstrap_means(values, users)


def test_an_interval_of_95_percent_holds_the_truth_in_93_to_97() -> None:
    """Paired differences of two strategies in six cohorts."""
    rng = np.random.default_rng(6)
    held = 0
    for _ in range(N_REPETITIONS):
        cohorts = np.repeat(np.arange(6), rng.integers(60, 90, 6))
        of_cohort = rng.normal(1.0, COHORT_SPREAD, 6)
        values = rng.normal(of_cohort[cohorts], USER_SPREAD)[:, None]
        (interval,) = ratio_intervals(values, np.ones(len(values)), np.arange(len(values)), cohorts)
        held += interval.low <= 1.0 <= interval.high
    assert 0.93 <= held / N_REPETITIONS <= 0.97
