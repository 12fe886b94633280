"""Verdicts on differences: what they say, and their correction for being many."""

from __future__ import annotations

import numpy as np
import pytest

from firstday.evaluation.verdicts import AHEAD, BEHIND, NOT_WORSE, UNKNOWN, judge
from firstday.metrics import MIN_COHORTS, adjust_holm, ratio_intervals
from tests.evaluation.reports import results


def test_the_number_of_comparisons_counts() -> None:
    np.testing.assert_allclose(adjust_holm(np.array([0.01, 0.04, 0.03])), [0.03, 0.06, 0.06])
    alone = judge(np.array([1.0]), np.array([0.03]), np.array([0.01]))
    assert alone == [AHEAD]
    assert judge(np.array([1.0, 1.0]), np.array([0.03, 0.9]), np.array([0.01, 0.9])) == [NOT_WORSE, UNKNOWN]


@pytest.mark.parametrize(
    ("p", "difference", "not_worse_p", "verdict"),
    [
        (0.001, 2.0, 0.001, AHEAD),
        (0.001, -2.0, 0.9, BEHIND),
        (0.4, -0.1, 0.001, NOT_WORSE),
        (0.4, 0.1, 0.03, UNKNOWN),  # one-sided at 2.5 %, as the intervals
    ],
)
def test_a_verdict_has_a_word(p: float, difference: float, not_worse_p: float, verdict: str) -> None:
    assert judge(np.array([difference]), np.array([p]), np.array([not_worse_p])) == [verdict]


@pytest.mark.parametrize("n_units", [MIN_COHORTS - 1, MIN_COHORTS])
def test_p_values_agree_with_intervals(n_units: int) -> None:
    """Over users, intervals are percentiles; over cohorts, both are Student's t."""
    values = np.random.default_rng(0).normal([0.0, 0.1, 0.3, 0.5], 1, (400, 4))
    intervals = ratio_intervals(values, np.ones(400), np.arange(400), np.arange(400) % n_units)
    for interval in intervals:
        assert interval.p is not None
        assert (interval.p < 0.05) == (interval.low > 0 or interval.high < 0)


def test_constant_differences_are_certain() -> None:
    equal, better = ratio_intervals(np.tile([0.0, 1.0], (60, 1)), np.ones(60), np.arange(60), np.zeros(60))
    assert (equal.p, better.p) == (1, 0)


def test_strategies_get_a_verdict_against_the_best_single_method() -> None:
    evaluated = results({"popular": 30.0, "segment": 50.0, "fold_in": 49.9, "auto": 55.0, "blend": 55.0}, spread=1.0)
    assert evaluated.best_single == {"precision": "segment", "precision_at_10": "segment"}
    against = {row["strategy"]: row["against"].get("segment", {}) for row in evaluated.to_json()["results"]}
    found = {name: values.get("verdict_at_10") for name, values in against.items()}
    assert found == {"popular": BEHIND, "segment": None, "fold_in": NOT_WORSE, "auto": AHEAD, "blend": AHEAD}
    rows = {row["strategy"]: row[evaluated.judged_heading] for row in evaluated.compare_strategies().rows}
    assert rows["auto"] == f"{AHEAD}, {AHEAD}"
    at_50, at_10 = evaluated.describe_leads()
    assert at_50.startswith("P@50 of auto minus that of the best single method, segment: +5.0")
    assert at_10.endswith(f"{AHEAD}.")
