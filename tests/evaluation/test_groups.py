"""What groups of users get, on numbers whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t, ttest_1samp

from firstday.evaluation.figures import measure_groups
from firstday.evaluation.results import Results
from firstday.evaluation.slices import MIN_USERS, NOT_KNOWN, group_slice, read_profiles, slice_by_profile
from firstday.features.signal_batch import SignalBatch
from tests.evaluation.reports import results

N = 400
USERS = np.arange(N)


def score(
    columns: dict[str, list[str]],
    precision: np.ndarray,
    popular: np.ndarray | None = None,
    users: np.ndarray = USERS,
    cohorts: np.ndarray | None = None,
) -> Results:
    """Return results that hold what groups of users get, and nothing else."""
    cohorts = np.zeros(len(users), dtype=np.int64) if cohorts is None else cohorts
    values = {"segment": precision} if popular is None else {"segment": precision, "popular": popular}
    profiles = {name: np.array(labels, dtype=object) for name, labels in columns.items()}
    groups = slice_by_profile(profiles, users)
    figures = tuple(measure_groups(values, users, cohorts, groups))
    return results({"segment": 0}, figures=figures, groups={column: tuple(of) for column, of in groups.items()})


def sizes(scored: Results, column: str) -> list[tuple[str, int]]:
    """Return label and users of each group of a column."""
    return [(label, scored.get("segment", "precision", f"{column}={label}").n) for label in scored.groups[column]]


def noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(50, 10, N)


def test_a_planted_gap_is_found_with_its_size_and_beside_popular() -> None:
    country = ["FR" if ix % 4 else "DE" for ix in range(N)]
    gender = ["f" if ix % 2 else "m" for ix in range(N)]
    is_german = np.array(country) == "DE"
    precision = noise()
    precision[is_german] -= 12
    scored = score({"gender": gender, "country": country}, precision, noise(1))
    assert len(scored.compared_groups("segment")) == 4
    assert not any(gap.is_clear for gap in scored.compared_groups("popular"))
    clear = {gap.slice: gap for gap in scored.compared_groups("segment") if gap.is_clear}
    assert max(clear, key=lambda name: abs(clear[name].mean)) in ("country=DE", "country=FR")
    gap = clear["country=DE"]
    assert gap.mean == pytest.approx(precision[is_german].mean() - precision[~is_german].mean())
    assert float(gap.low or 0) < -12 < float(gap.high or 0) < 0
    assert sizes(scored, "country") == [("FR", 300), ("DE", 100)]


def test_the_interval_of_a_gap_is_that_of_two_means_for_all_groups_at_once() -> None:
    labels = ["a" if ix % 4 else "b" for ix in range(N)]
    precision = noise()
    is_b = np.array(labels) == "b"
    difference = score({"x": labels}, precision).get("segment", "precision_minus_others", "x=b")
    error = np.sqrt(N / (N - 1) * (precision[is_b].var() / 100 + precision[~is_b].var() / 300))
    reach = t.ppf(1 - 0.05 / 2 / 2, 100 - 1) * error  # two groups, the smaller of 100 users
    assert difference.high == pytest.approx(difference.mean + reach)


def test_gaps_over_cohorts_are_students_t_of_the_gap_in_each() -> None:
    """Cohorts of the same composition; a group that is in four of eight has no gap, and one in two none over users."""
    cohorts = USERS // 50
    labels = ["a" if ix % 5 else "b" for ix in range(N)]
    is_b = np.array(labels) == "b"
    precision = noise() + np.repeat(np.arange(0.0, 80, 10), 50) * is_b
    columns = {"x": labels, "y": ["early" if cohort < 4 else "late" for cohort in cohorts]}
    scored = score(columns, precision, cohorts=cohorts)
    assert [gap.slice for gap in scored.compared_groups("segment")] == ["x=a", "x=b"]
    found = scored.get("segment", "precision_minus_others", "x=b")
    gaps = [precision[is_b & (cohorts == at)].mean() - precision[~is_b & (cohorts == at)].mean() for at in range(8)]
    expected = ttest_1samp(gaps, 0).confidence_interval(1 - 0.05 / 2)
    assert (found.mean, found.low, found.high) == pytest.approx((np.mean(gaps), expected.low, expected.high))


def test_a_user_of_several_seeds_counts_once() -> None:
    """Repeating every user in ten seeds says nothing new: the interval stays as wide."""
    labels = ["a" if ix % 2 else "b" for ix in range(N)]
    precision = noise() - np.array([12 if label == "a" else 0 for label in labels])
    once = score({"x": labels}, precision).get("segment", "precision_minus_others", "x=a")
    ten_times = score({"x": labels * 10}, np.tile(precision, 10), users=np.tile(USERS, 10))
    repeated = ten_times.get("segment", "precision_minus_others", "x=a")
    assert (repeated.low, repeated.high) == pytest.approx((once.low, once.high))
    assert sizes(ten_times, "x") == [("a", 200), ("b", 200)]


def test_rare_values_are_put_together_and_unknown_ones_stay_apart() -> None:
    labels = ["big"] * 300 + ["mid"] * MIN_USERS + ["x"] * 20 + ["y"] * 10 + [NOT_KNOWN] * 40
    assert sizes(score({"job": labels}, noise()), "job") == [
        ("big", 300), ("mid", MIN_USERS), ("2 rarer values", 30), (NOT_KNOWN, 40),
    ]  # fmt: skip
    one_rare = score({"job": ["big"] * (N - 3) + ["rare"] * 3}, noise())
    assert sizes(one_rare, "job") == [("big", N - 3), ("rare", 3)]
    assert one_rare.compared_groups("segment") == []
    assert score({"job": ["same"] * N}, noise()).groups == {}


def test_a_column_that_is_named_as_another_slice_does_not_take_its_place() -> None:
    assert group_slice("seed", "0") == "profile:seed=0"
    assert group_slice("day_one_size", "0") == "profile:day_one_size=0"
    assert group_slice("country", "a=b") == "country=a=b"


def test_neighbouring_bands_of_ages_are_joined_until_each_has_enough() -> None:
    def joined(*counts: int) -> list[tuple[str, int]]:
        """Return the groups of so many users of each band, and of others whose age is not known."""
        ages = np.full(N, -1)
        ages[: sum(counts)] = np.repeat([0, 18, 25, 35, 54, 64, 65], counts)
        groups = slice_by_profile({"age": ages}, USERS)["age"]
        return [(label, int(members.sum())) for label, members in groups.items()]

    assert joined(5, 100, 80, 20, 40, 10, 5) == [
        ("under 25", 105),
        ("25 to 34", 80),
        ("35 and over", 75),
        (NOT_KNOWN, 140),
    ]
    names = ("under 18", "18 to 24", "25 to 34", "35 to 44", "45 to 54", "55 to 64", "65 and over")
    assert joined(60, 60, 60, 60, 60, 60, 40) == [*zip(names, (60, 60, 60, 60, 60, 60, 40), strict=True)]
    assert joined(0, 3, 2, 0, 0, 0, 1) == [("any age", 6), (NOT_KNOWN, 394)]


def test_profiles_are_read_in_words() -> None:
    codes = {"country": np.array([0, 1, -1], dtype=np.int32)}
    batch = SignalBatch(3, 7, groups=codes, ages=np.array([17, 18, -1], dtype=np.int16))
    profiles = read_profiles(batch, {"country": ("DE", "FR")})
    assert profiles["age"].tolist() == [17, 18, -1]
    assert profiles["country"].tolist() == ["DE", "FR", NOT_KNOWN]
