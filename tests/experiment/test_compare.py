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

from firstday.config import ExperimentConfig
from firstday.errors import MissingExtraError
from firstday.experiment.compare import USERS_FOR_EVERY_LOOK, Comparison, compare, count_errors
from firstday.experiment.outcomes import Outcome
from tests.experiment.made import width


def make_users(control: Any, treatment: Any, **columns: Any) -> pl.DataFrame:
    """Users with these numerators; of further columns, the control's values come first."""
    variants = ["control"] * len(control) + ["treatment"] * len(treatment)
    values = {"numerator": [*control, *treatment], **columns}
    return pl.DataFrame({"variant": variants, **{name: np.array(of, float) for name, of in values.items()}})


def compared(users: pl.DataFrame, **settings: float) -> Comparison:
    found = compare_columns(users, **settings)
    assert found is not None
    return found


def compare_columns(users: pl.DataFrame, **settings: float) -> Comparison | None:
    outcome = Outcome("numerator", "", 1, "denominator" if "denominator" in users.columns else None)
    config = ExperimentConfig().override(settings)
    return compare(users, "control", "treatment", outcome, config)


def test_five_users_by_hand() -> None:
    comparison = compared(make_users([1, 2, 3], [4, 6]))
    assert (comparison.users_control, comparison.users_variant) == (3, 2)
    assert (comparison.control, comparison.value_of_variant) == pytest.approx((2, 5))
    assert (comparison.difference, comparison.ratio) == pytest.approx((3, 2.5))
    welch = stats.ttest_ind([4, 6], [1, 2, 3], equal_var=False)
    assert comparison.difference_ci == pytest.approx(tuple(welch.confidence_interval(0.95)))
    assert comparison.p_value == pytest.approx(welch.pvalue)
    assert comparison.difference_always_ci is None  # five users are too few
    assert comparison.unadjusted_difference is None


def test_a_ratio_adds_users_up_before_it_divides() -> None:
    """1 of 2 and 9 of 10 is 10 of 12, and not the mean of a half and nine tenths."""
    comparison = compared(make_users([1, 9], [2, 4], denominator=[2, 10, 4, 4]))
    assert (comparison.control, comparison.value_of_variant) == pytest.approx((10 / 12, 6 / 8))


def test_without_variance_there_are_no_intervals() -> None:
    comparison = compared(make_users([1, 1, 1], [1, 1]))
    assert (comparison.difference, comparison.ratio, comparison.is_always_clear) == (0, 1, False)
    assert {comparison.difference_ci, comparison.ratio_ci, comparison.p_value, comparison.power} == {None}


def test_a_control_of_nothing_has_no_ratio() -> None:
    comparison = compared(make_users([0, 0, 0], [1, 0]))
    assert comparison.ratio is None
    assert comparison.difference == pytest.approx(0.5)


@pytest.mark.parametrize(
    "users",
    [make_users([1], [1, 2]), make_users([], [1, 2]), make_users([0, 0], [1, 1], denominator=[0, 0, 1, 1])],
    ids=["one user", "no user", "nothing to divide by"],
)
def test_too_few_users_or_nothing_to_divide_by(users: pl.DataFrame) -> None:
    assert compare_columns(users) is None


@pytest.mark.parametrize(("n", "is_adjusted"), [(100, True), (99, False)])
def test_a_covariate_that_explains_all_leaves_the_difference(n: int, is_adjusted: bool) -> None:
    rng = np.random.default_rng(1)
    known = rng.normal(10, 3, 2 * n)
    outcome = known + rng.normal(0, 0.1, 2 * n)
    comparison = compared(make_users(outcome[:n], outcome[n:] + 1, numerator_covariate=known))
    assert (comparison.unadjusted_difference_ci is not None) == is_adjusted
    if is_adjusted:
        assert comparison.difference == pytest.approx(1, abs=0.1)
        assert width(comparison.difference_ci) < width(comparison.unadjusted_difference_ci) / 5


@given(
    st.integers(2 * USERS_FOR_EVERY_LOOK, 10**7),
    st.sampled_from([1_000, 10_000, 100_000]),
    st.sampled_from([0.9, 0.95, 0.99]),
)
def test_intervals_for_every_look_are_wider_than_for_one(n_users: int, planned: int, level: float) -> None:
    config = ExperimentConfig(planned_users=planned, level=level)
    assert count_errors(n_users, config) > stats.norm.ppf((1 + level) / 2)


def test_intervals_for_every_look_are_narrowest_at_the_planned_number() -> None:
    """No other choice of that number gives a narrower one there, as far as these go."""
    here, *others = (count_errors(10_000, ExperimentConfig(planned_users=n)) for n in (10_000, 2_000, 50_000))
    assert here == pytest.approx(3.035, abs=0.001)
    assert here < min(others)


def test_the_always_valid_interval_is_the_other_one_made_wider() -> None:
    rng = np.random.default_rng(2)
    found = compared(make_users(rng.poisson(3, 5_000), rng.poisson(3, 5_000)))
    wider = width(found.difference_always_ci) / width(found.difference_ci)
    assert wider == pytest.approx(count_errors(10_000, ExperimentConfig()) / 1.96, rel=0.001)
    assert width(found.ratio_always_ci) > width(found.ratio_ci)


def test_power_of_the_smallest_effect_is_four_in_five() -> None:
    rng = np.random.default_rng(3)
    values = rng.poisson(3, 4_000)
    users = make_users(values[:2_000], values[2_000:])
    found = compared(users)
    assert compared(users, effect=found.smallest_effect or 0).power == pytest.approx(0.8, abs=0.001)
    errors = 0.03 * values[:2_000].mean() / math.sqrt(2 * values.var() / 2_000)
    assert found.power == pytest.approx(stats.norm.sf(1.96 - errors) + stats.norm.cdf(-1.96 - errors), abs=0.003)


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("tea_tasting", "tea_tasting.aggr"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'firstday\[experiment\]'"):
        compare_columns(make_users([1, 2], [3, 4]))
