"""Users who are divided as planned, and those who are not."""

from __future__ import annotations

import pytest
from scipy.stats import norm

from firstday.errors import ConfigError
from firstday.experiment.sample_ratio import check_sample_ratio

EQUAL = {"control": 1.0, "treatment": 1.0}


def test_47_to_53_of_20_000_is_broken() -> None:
    ratio = check_sample_ratio({"control": 9_400, "treatment": 10_600}, EQUAL, 0.001)
    assert ratio.broken
    errors = (10_600 - 10_000) / (20_000 * 0.25) ** 0.5
    assert ratio.p_value == pytest.approx(2 * norm.sf(errors), rel=1e-6)
    assert ratio.sentence() == (
        "control 9,400 (47.0%, expected 50.0%), treatment 10,600 (53.0%, expected 50.0%); p = 2.2e-17"
    )


def test_weights_are_in_any_unit() -> None:
    counts = {"control": 800, "treatment": 210}
    one = check_sample_ratio(counts, {"control": 80, "treatment": 20}, 0.001)
    other = check_sample_ratio(counts, {"control": 4, "treatment": 1}, 0.001)
    assert one.p_value == pytest.approx(other.p_value)
    assert not one.broken
    assert check_sample_ratio(counts, EQUAL, 0.001).broken


@pytest.mark.parametrize(
    ("weights", "found"),
    [
        ({"control": 1.0}, "control=1"),
        ({"control": 1.0, "treatment": 0.0}, "control=1, treatment=0"),
        ({"control": float("nan"), "treatment": 1.0}, "control=nan, treatment=1"),
    ],
)
def test_weights_that_cannot_be(weights: dict[str, float], found: str) -> None:
    with pytest.raises(ConfigError, match=f"^weights: found {found}; give a number above 0 for each of control, treat"):
        check_sample_ratio({"control": 1, "treatment": 1}, weights, 0.001)
