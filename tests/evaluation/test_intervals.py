from __future__ import annotations

import numpy as np
import pytest

from firstday.metrics import Interval, bootstrap_means, deviations_of_fifths


def mean_of(values: np.ndarray, users: np.ndarray) -> Interval:
    return bootstrap_means(values[:, None], users)[0]


def test_the_interval_is_that_of_the_normal_approximation_on_many_users() -> None:
    values = np.random.default_rng(0).normal(50, 10, 2_000)
    found = mean_of(values, np.arange(2_000))
    half = 1.96 * values.std() / 2_000**0.5
    assert found.low == pytest.approx(values.mean() - half, abs=half / 10)
    assert found.high == pytest.approx(values.mean() + half, abs=half / 10)


def test_a_user_measured_in_several_seeds_counts_as_one() -> None:
    """Copies of the same measurements say nothing new: the interval stays as wide."""
    values = np.random.default_rng(2).normal(0, 1, 300)
    users = np.arange(300)
    once = mean_of(values, users)
    thrice = mean_of(np.tile(values, 3), np.tile(users, 3))
    assert thrice.low == pytest.approx(once.low)
    assert thrice.high == pytest.approx(once.high)
    strangers = mean_of(np.tile(values, 3), np.arange(900))
    assert strangers.high - strangers.low < 0.7 * (once.high - once.low)


def test_one_user_none_and_any_numbers_in_any_order() -> None:
    assert mean_of(np.array([2.0, 4.0]), np.array([7, 7])) == Interval(3, 3, 3)
    assert mean_of(np.array([]), np.array([], dtype=np.int64)) == Interval(0, 0, 0)
    values = np.array([3.0, 1.0, 2.0])
    assert mean_of(values, np.array([70, 1, 30])) == mean_of(np.sort(values), np.arange(3))


def test_deviation_of_fifths_is_that_of_means_of_a_fifth_of_the_users() -> None:
    rng = np.random.default_rng(0)
    values = np.stack([rng.normal(50, 10, 5000), np.full(5000, 7.0)], axis=1)
    spread, constant = deviations_of_fifths(values)
    assert spread == pytest.approx(10 / np.sqrt(1000), rel=0.15)
    assert constant == pytest.approx(0, abs=1e-12)


def test_deviation_of_fifths_takes_any_number_of_users() -> None:
    assert deviations_of_fifths(np.ones((4, 2))).tolist() == [0, 0]
    values = np.array([0.0, 0, 0, 0, 5])
    assert deviations_of_fifths(values[:, None]) == pytest.approx(values.std(ddof=1))
