"""Differences, ratios and their intervals against arithmetic and SciPy."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from firstday.errors import MissingExtraError
from firstday.experiment.always_valid import USERS_FOR_EVERY_LOOK, count_errors
from firstday.experiment.compare import Comparison, compare


def make_users(control: Any, treatment: Any, **columns: Any) -> pl.DataFrame:
    """Users with these numerators; of further columns, the control's values come first."""
    variants = ["control"] * len(control) + ["treatment"] * len(treatment)
    values = {"numerator": [*control, *treatment], **columns}
    return pl.DataFrame({"variant": variants, **{name: np.array(of, float) for name, of in values.items()}})


def compared(users: pl.DataFrame, **options: Any) -> Comparison:
    found = compare(users, "control", "treatment", **options)
    assert found is not None
    return found


def test_five_users_by_hand() -> None:
    comparison = compared(make_users([1, 2, 3], [4, 6]))
    assert (comparison.n_control, comparison.n_treatment) == (3, 2)
    assert (comparison.control, comparison.treatment) == pytest.approx((2, 5))
    assert comparison.difference.mean == pytest.approx(3)
    assert comparison.ratio is not None
    assert comparison.ratio.mean == pytest.approx(2.5)
    welch = stats.ttest_ind([4, 6], [1, 2, 3], equal_var=False)
    low, high = welch.confidence_interval(0.95)
    assert (comparison.difference.low, comparison.difference.high) == pytest.approx((low, high))
    assert comparison.p_value == pytest.approx(welch.pvalue)
    assert comparison.difference_always is None  # five users are too few
    assert comparison.unadjusted is None


def test_a_ratio_adds_users_up_before_it_divides() -> None:
    """1 of 2 and 9 of 10 is 10 of 12, and not the mean of a half and nine tenths."""
    comparison = compared(make_users([1, 9], [2, 4], denominator=[2, 10, 4, 4]))
    assert (comparison.control, comparison.treatment) == pytest.approx((10 / 12, 6 / 8))


def test_nobody_differs() -> None:
    comparison = compared(make_users([1, 1, 1], [1, 1]), effect=0.03)
    assert comparison.difference.mean == 0
    assert math.isnan(comparison.difference.low)
    assert not comparison.is_always_clear
    assert comparison.power is None


def test_a_control_of_nothing_has_no_ratio() -> None:
    comparison = compared(make_users([0, 0, 0], [1, 0]))
    assert comparison.ratio is None
    assert comparison.difference.mean == pytest.approx(0.5)


@pytest.mark.parametrize(
    "users",
    [make_users([1], [1, 2]), make_users([], [1, 2]), make_users([0, 0], [1, 1], denominator=[0, 0, 1, 1])],
    ids=["one user", "no user", "nothing to divide by"],
)
def test_too_few_users_or_nothing_to_divide_by(users: pl.DataFrame) -> None:
    assert compare(users, "control", "treatment") is None


def test_a_covariate_that_explains_all_leaves_the_difference() -> None:
    rng = np.random.default_rng(1)
    known = rng.normal(10, 3, 400)
    outcome = known + rng.normal(0, 0.1, 400)
    comparison = compared(make_users(outcome[:200], outcome[200:] + 1, numerator_covariate=known))
    assert comparison.difference.mean == pytest.approx(1, abs=0.1)
    assert comparison.unadjusted is not None
    width, plain = (interval.high - interval.low for interval in (comparison.difference, comparison.unadjusted))
    assert width < plain / 5


@given(
    st.integers(2 * USERS_FOR_EVERY_LOOK, 10**7),
    st.sampled_from([1_000, 10_000, 100_000]),
    st.sampled_from([0.9, 0.95, 0.99]),
)
def test_intervals_for_every_look_are_wider_than_for_one(n_users: int, planned: int, level: float) -> None:
    assert count_errors(n_users, planned, level) > stats.norm.ppf((1 + level) / 2)


def test_intervals_for_every_look_are_narrowest_at_the_planned_number() -> None:
    """No other choice of that number gives a narrower one there, as far as these go."""
    here = count_errors(10_000, 10_000, 0.95)
    assert here == pytest.approx(3.035, abs=0.001)
    assert here < min(count_errors(10_000, planned, 0.95) for planned in (2_000, 50_000))


def test_the_always_valid_interval_is_the_other_one_made_wider() -> None:
    rng = np.random.default_rng(2)
    comparison = compared(make_users(rng.poisson(3, 5_000), rng.poisson(3, 5_000)))
    assert comparison.difference_always is not None
    fixed = comparison.difference.high - comparison.difference.mean
    always = comparison.difference_always.high - comparison.difference.mean
    assert always / fixed == pytest.approx(count_errors(10_000, 10_000, 0.95) / 1.96, rel=0.001)
    assert comparison.ratio is not None
    assert comparison.ratio_always is not None
    assert comparison.ratio_always.low < comparison.ratio.low < comparison.ratio.high < comparison.ratio_always.high


def test_power_of_the_smallest_effect_is_four_in_five() -> None:
    rng = np.random.default_rng(3)
    values = rng.poisson(3, 4_000)
    users = make_users(values[:2_000], values[2_000:])
    power = compared(users, effect=0.03).power
    assert power is not None
    again = compared(users, effect=power.smallest_effect).power
    assert again is not None
    assert again.power == pytest.approx(0.8, abs=0.001)
    errors = 0.03 * values[:2_000].mean() / math.sqrt(2 * values.var() / 2_000)
    assert power.power == pytest.approx(stats.norm.sf(1.96 - errors) + stats.norm.cdf(-1.96 - errors), abs=0.003)


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("tea_tasting", "tea_tasting.aggr"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'firstday\[experiment\]'"):
        compare(make_users([1, 2], [3, 4]), "control", "treatment")
