"""Intervals over cohorts: their formula on three numbers, and how often they hold the truth."""

from __future__ import annotations

import numpy as np
import pytest

from firstday.metrics import MIN_COHORTS, bootstrap_means, difference_intervals, ratio_intervals

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


def test_a_constant_ratio_has_no_width() -> None:
    below = np.arange(1.0, 13)
    (ratio,) = ratio_intervals(3 * below[:, None], below, np.arange(12), np.arange(12) // 2)
    assert (ratio.low, ratio.mean, ratio.high) == pytest.approx((3, 3, 3))


def test_fewer_than_five_cohorts_are_resampled_by_users() -> None:
    values = np.arange(40.0)[:, None]
    users = np.arange(40)
    found = ratio_intervals(values, np.ones(40), users, users % (MIN_COHORTS - 1))
    assert found == bootstrap_means(values, users)


@pytest.mark.parametrize("n_cohorts", [3, 6, 14])
def test_an_interval_of_95_percent_holds_the_truth_in_93_to_97(n_cohorts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paired differences of two strategies; with three cohorts the truth is that of these cohorts."""
    monkeypatch.setattr("firstday.metrics.N_RESAMPLES", 500)
    rng = np.random.default_rng(n_cohorts)
    held = 0
    for _ in range(N_REPETITIONS):
        sizes = rng.integers(60, 90, n_cohorts)
        of_cohort = rng.normal(1.0, COHORT_SPREAD, n_cohorts)
        cohorts = np.repeat(np.arange(n_cohorts), sizes)
        values = rng.normal(of_cohort[cohorts], USER_SPREAD)[:, None]
        truth = 1.0 if n_cohorts >= MIN_COHORTS else float(of_cohort @ sizes / sizes.sum())
        (interval,) = ratio_intervals(values, np.ones(len(values)), np.arange(len(values)), cohorts)
        held += interval.low <= truth <= interval.high
    assert 0.93 <= held / N_REPETITIONS <= 0.97


def test_so_does_one_of_a_gap_between_groups_that_differs_between_cohorts() -> None:
    rng = np.random.default_rng(6)
    held = 0
    for _ in range(N_REPETITIONS):
        cohorts = np.repeat(np.arange(6), rng.integers(60, 90, 6))
        members = rng.random(len(cohorts)) < rng.uniform(0.3, 0.7, 6)[cohorts]
        of_cohort = rng.normal(0, 2 * COHORT_SPREAD, 6)
        gaps = rng.normal(3.0, COHORT_SPREAD, 6)
        values = rng.normal(of_cohort[cohorts] + gaps[cohorts] * members, USER_SPREAD)
        (interval,) = difference_intervals(values[:, None], members, cohorts, 0.95)
        held += interval.low <= 3.0 <= interval.high
    assert 0.93 <= held / N_REPETITIONS <= 0.97
