"""Differences, ratios and their intervals against arithmetic and SciPy."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from firstday.errors import MissingExtraError
from firstday.experiment.always_valid import USERS_FOR_EVERY_LOOK, count_errors
from firstday.experiment.compare import UserSums, compare, correct_for_many, solve_power


def sums(*values: float) -> UserSums:
    return UserSums(np.array(values, dtype=np.float64))


def test_five_users_by_hand() -> None:
    comparison = compare(sums(1, 2, 3), sums(4, 6))
    assert comparison is not None
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
    control = UserSums(np.array([1.0, 9.0]), np.array([2.0, 10.0]))
    treatment = UserSums(np.array([2.0, 4.0]), np.array([4.0, 4.0]))
    comparison = compare(control, treatment)
    assert comparison is not None
    assert (comparison.control, comparison.treatment) == pytest.approx((10 / 12, 6 / 8))


def test_the_interval_of_a_ratio_is_that_of_the_delta_method() -> None:
    rng = np.random.default_rng(0)
    both = []
    for _ in range(2):
        shown = rng.integers(1, 40, 500).astype(float)
        both.append(UserSums(rng.binomial(shown.astype(int), 0.3).astype(float), shown))
    comparison = compare(*both)
    assert comparison is not None
    variance = 0.0
    for part in both:
        assert part.denominator is not None
        ratio = part.numerator.sum() / part.denominator.sum()
        variance += np.var(part.numerator - ratio * part.denominator, ddof=1) / 500 / part.denominator.mean() ** 2
    half = (comparison.difference.high - comparison.difference.low) / 2
    assert half == pytest.approx(1.96 * variance**0.5, rel=0.005)  # Student's factor is a little more than 1.96


def test_nobody_differs() -> None:
    comparison = compare(sums(1, 1, 1), sums(1, 1))
    assert comparison is not None
    assert comparison.difference.mean == 0
    assert math.isnan(comparison.difference.low)
    assert not comparison.is_clear
    assert not comparison.is_always_clear
    assert solve_power(sums(1, 1, 1), sums(1, 1)) is None


def test_a_control_of_nothing_has_no_ratio() -> None:
    comparison = compare(sums(0, 0, 0), sums(1, 0))
    assert comparison is not None
    assert comparison.ratio is None
    assert comparison.difference.mean == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("control", "treatment"),
    [
        (sums(1), sums(1, 2)),
        (sums(), sums(1, 2)),
        (UserSums(np.zeros(3), np.zeros(3)), UserSums(np.ones(3), np.ones(3))),
    ],
)
def test_too_few_users_or_nothing_to_divide_by(control: UserSums, treatment: UserSums) -> None:
    assert compare(control, treatment) is None
    assert solve_power(control, treatment) is None


counts = st.lists(st.integers(0, 50), min_size=3, max_size=40).map(lambda values: np.array(values, dtype=np.float64))


@given(counts, counts)
def test_swapping_the_variants_turns_the_difference_round(first: np.ndarray, second: np.ndarray) -> None:
    one, other = compare(UserSums(first), UserSums(second)), compare(UserSums(second), UserSums(first))
    assert one is not None
    assert other is not None
    assert one.difference.mean == pytest.approx(-other.difference.mean, abs=1e-9)
    assert one.difference.low == pytest.approx(-other.difference.high, abs=1e-9, nan_ok=True)
    if one.ratio is not None and other.ratio is not None:
        assert one.ratio.mean * other.ratio.mean == pytest.approx(1)


def test_a_covariate_that_explains_all_leaves_the_difference() -> None:
    rng = np.random.default_rng(1)
    known = rng.normal(10, 3, 400)
    control = UserSums(known[:200] + rng.normal(0, 0.1, 200), None, known[:200])
    treatment = UserSums(known[200:] + 1 + rng.normal(0, 0.1, 200), None, known[200:])
    comparison = compare(control, treatment)
    assert comparison is not None
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
    comparison = compare(UserSums(rng.poisson(3, 5_000) * 1.0), UserSums(rng.poisson(3, 5_000) * 1.0))
    assert comparison is not None
    assert comparison.difference_always is not None
    fixed = comparison.difference.high - comparison.difference.mean
    always = comparison.difference_always.high - comparison.difference.mean
    assert always / fixed == pytest.approx(count_errors(10_000, 10_000, 0.95) / 1.96, rel=0.001)
    assert comparison.ratio is not None
    assert comparison.ratio_always is not None
    assert comparison.ratio_always.low < comparison.ratio.low < comparison.ratio.high < comparison.ratio_always.high


def test_power_of_the_smallest_effect_is_four_in_five() -> None:
    rng = np.random.default_rng(3)
    both = [UserSums(rng.poisson(3, 2_000) * 1.0) for _ in range(2)]
    power = solve_power(*both, effect=0.03)
    assert power is not None
    again = solve_power(*both, effect=power.smallest_effect)
    assert again is not None
    assert again.power == pytest.approx(0.8, abs=0.001)
    errors = 0.03 * both[0].numerator.mean() / math.sqrt(2 * np.concatenate([s.numerator for s in both]).var() / 2_000)
    assert power.power == pytest.approx(stats.norm.sf(1.96 - errors) + stats.norm.cdf(-1.96 - errors), abs=0.003)


def test_corrections_are_those_of_the_literature() -> None:
    p_values = [0.01, math.nan, 0.04, 0.03]
    assert correct_for_many(p_values, "fwer") == pytest.approx([0.03, math.nan, 0.06, 0.06], nan_ok=True)
    known = list(stats.false_discovery_control([0.01, 0.04, 0.03]))
    assert correct_for_many(p_values, "fdr") == pytest.approx([known[0], math.nan, *known[1:]], nan_ok=True)
    assert correct_for_many([], "fdr") == []
    assert math.isnan(correct_for_many([math.nan], "fdr")[0])


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("tea_tasting", "tea_tasting.metrics"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'firstday\[experiment\]'"):
        compare(sums(1, 2), sums(3, 4))
