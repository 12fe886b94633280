"""What groups of users get, on numbers whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from firstday.evaluate.slices import (
    MIN_USERS,
    UNKNOWN,
    GroupFigures,
    label_profiles,
    measure_groups,
    name_bands,
)
from firstday.features.signals import SignalBatch
from firstday.metrics import bootstrap_mean
from firstday.recommend.query import Query
from firstday.recommend.recommender import Recommender

N = 400
USERS = np.arange(N)


def judge(
    columns: dict[str, list[str]], precision: np.ndarray, popular: np.ndarray | None = None, users: np.ndarray = USERS
) -> GroupFigures:
    values = {"segment": precision} if popular is None else {"segment": precision, "popular": popular}
    profiles = {name: np.array(labels, dtype=object) for name, labels in columns.items()}
    return measure_groups(profiles, values, users, leader="segment", baseline="popular")


def noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(50, 10, N)


def test_a_planted_gap_is_found_with_its_size_and_beside_popular() -> None:
    country = ["FR" if ix % 4 else "DE" for ix in range(N)]
    gender = ["f" if ix % 2 else "m" for ix in range(N)]
    is_german = np.array(country) == "DE"
    precision = noise()
    precision[is_german] -= 12
    found = judge({"gender": gender, "country": country}, precision, noise(1))
    assert found.n_compared == 4
    assert found.gap is not None
    assert (found.gap.column, found.gap.label, found.gap.strategy) == ("country", "DE", "segment")
    assert found.gap.inside == pytest.approx(precision[is_german].mean())
    assert found.gap.outside == pytest.approx(precision[~is_german].mean())
    assert found.gap.difference.low < -12 < found.gap.difference.high < 0
    assert found.gap.baseline is not None
    assert abs(found.gap.baseline) < 4
    assert found.baseline_gap is None
    [by_gender, by_country] = found.groupings
    assert [(group.label, group.n_users) for group in by_country.groups] == [("FR", 300), ("DE", 100)]
    expected = bootstrap_mean(precision[is_german], USERS[is_german])
    shown = by_country.groups[1].precision["segment"]
    assert (shown.mean, shown.low, shown.high) == pytest.approx((expected.mean, expected.low, expected.high))
    assert by_gender.column == "gender"


def test_noise_alone_is_no_gap_however_many_groups_are_looked_at() -> None:
    """Twenty columns of two groups: two in three such evaluations would show a gap if each were tested alone."""
    rng = np.random.default_rng(5)
    alarms = 0
    for seed in range(12):
        columns = {f"c{n}": rng.choice(["a", "b"], N).tolist() for n in range(20)}
        alarms += judge(columns, noise(seed)).gap is not None
    assert alarms <= 3


def test_a_user_of_several_seeds_counts_once() -> None:
    """Repeating every user in ten seeds says nothing new: the interval stays as wide."""
    labels = ["a" if ix % 2 else "b" for ix in range(N)]
    precision = noise() - np.array([12 if label == "a" else 0 for label in labels])
    once = judge({"x": labels}, precision).gap
    repeated = judge({"x": labels * 10}, np.tile(precision, 10), users=np.tile(USERS, 10))
    assert once is not None
    assert repeated.gap is not None
    assert repeated.gap.difference.low == pytest.approx(once.difference.low)
    assert [group.n_users for group in repeated.groupings[0].groups] == [200, 200]


def test_rare_values_are_put_together_and_unknown_ones_stay_apart() -> None:
    labels = ["big"] * 300 + ["mid"] * MIN_USERS + ["x"] * 20 + ["y"] * 10 + [UNKNOWN] * (N - 360)
    groups = judge({"job": labels + [UNKNOWN] * (N - len(labels))}, noise()).groupings[0].groups
    assert [(group.label, group.n_users, group.n_values) for group in groups] == [
        ("big", 300, 1),
        ("mid", MIN_USERS, 1),
        ("2 rarer values", 30, 2),
        (UNKNOWN, 40, 1),
    ]
    one_rare = ["big"] * (N - 3) + ["rare"] * 3
    groups = judge({"job": one_rare}, noise()).groupings[0].groups
    assert [(group.label, group.is_small) for group in groups] == [("big", False), ("rare", True)]
    assert judge({"job": one_rare}, noise()).n_compared == 0
    assert judge({"job": ["same"] * N}, noise()).groupings == ()


def test_neighbouring_bands_of_ages_are_joined_until_each_has_enough() -> None:
    names = name_bands()
    assert names[0] == "under 18"
    assert names[-1] == "65 and over"

    def labels(*sizes: int) -> list[str]:
        filled = [name for name, n in zip(names, sizes, strict=True) for _ in range(n)]
        return filled + [UNKNOWN] * (N - len(filled))

    def joined(*sizes: int) -> list[tuple[str, int]]:
        [grouping] = judge({"age": labels(*sizes)}, noise()).groupings
        return [(group.label, group.n_users) for group in grouping.groups]

    assert joined(5, 100, 80, 20, 40, 10, 5) == [
        ("under 25", 105),
        ("25 to 34", 80),
        ("35 and over", 75),
        (UNKNOWN, 140),
    ]
    assert joined(60, 60, 60, 60, 60, 60, 40) == [*zip(names, (60, 60, 60, 60, 60, 60, 40), strict=True)]
    assert joined(0, 3, 2, 0, 0, 0, 1) == [("any age", 6), (UNKNOWN, 394)]


def test_profiles_are_labelled_in_words(recommender: Recommender) -> None:
    model = recommender.model
    countries = model.catalogue.groups["country"]
    codes = {name: np.array([0, 1, -1], dtype=np.int32) for name in model.catalogue.groups}
    batch = SignalBatch(3, model.n_items, groups=codes, ages=np.array([17, 18, -1], dtype=np.int16))
    found = label_profiles(Query(model, batch, 5))
    assert found["age"].tolist() == ["under 18", "18 to 24", UNKNOWN]
    assert found["country"].tolist() == [countries[0], countries[1], UNKNOWN]
