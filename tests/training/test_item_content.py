"""Use of new items by age, and how it is calibrated, on logs whose answers are obvious."""

from __future__ import annotations

import numpy as np
import pytest

from firstday.engine.first_uses import FirstUses
from firstday.features.item_content import HiddenItems
from firstday.recommend.query import Query
from firstday.sparse import SparseRows
from firstday.tables.schema import DAY_US
from firstday.training.item_content import AGE_DAYS, MIN_ARRIVALS, calibrate_content, measure_ages
from firstday.training.validation import Fold
from tests.tiny import EAST, N_ITEMS, NORTH, make_model

N_DAYS = 50
N_OLD = 10
N_NEW = 30
USES = 1_000
"""Daily uses of an old item; smoothing is negligible."""


def make_uses(rate_at: dict[int, float], first: int) -> FirstUses:
    """Ten old items have `USES` a day; thirty appear on one day, with given rates by age, later none."""
    table = np.zeros((N_DAYS, N_OLD + N_NEW))
    table[:, :N_OLD] = USES
    for age, rate in rate_at.items():
        table[first + age, N_OLD:] = rate * USES
    days, items = np.nonzero(table)
    counts = SparseRows.from_pairs(N_DAYS - 1 - days, items, table[days, items], N_DAYS, N_OLD + N_NEW)
    return FirstUses(counts, N_DAYS * DAY_US)


def typical(rate: float) -> float:
    """Mean daily use of all forty items, on a day on which the thirty new ones have a rate."""
    return (N_OLD + N_NEW * rate) / (N_OLD + N_NEW)


@pytest.mark.parametrize("is_dated", [True, False])
def test_use_by_age_is_relative_to_all_items_of_the_same_days(is_dated: bool) -> None:
    first = 20
    added_at = np.r_[np.full(N_OLD, -1), np.full(N_NEW, first * DAY_US + 1)] if is_dated else None
    factors = measure_ages(make_uses({0: 0.5, 1: 2.0, 2: 2.0}, first), added_at)
    by_age = dict(zip(AGE_DAYS.tolist(), factors.tolist(), strict=True))
    assert by_age[1.0] == pytest.approx(2 / typical(2), rel=0.01)
    assert by_age[3.0] < 0.01
    if is_dated:
        assert by_age[0.0] == pytest.approx(0.5 / typical(0.5), rel=0.01)


def test_items_of_the_first_days_of_a_log_are_not_new() -> None:
    factors = measure_ages(make_uses({0: 0.5, 1: 2.0}, 5), None)
    np.testing.assert_array_equal(factors, 1)
    assert N_NEW >= MIN_ARRIVALS


def test_level_is_the_use_of_hidden_items_relative_to_their_prediction_and_slope_that_of_their_vectors() -> None:
    """Newcomers of the east use the hidden item of the east, those of the north the other one."""
    model = make_model()
    users = [{"country": "FR"}] * 40 + [{"country": "DE"}] * 40
    from firstday.features.signals import Signals

    batch, _ = model.read_signals([Signals.of(user) for user in users])
    hidden = HiddenItems(np.array([0, 3]), np.array([EAST, NORTH], np.float32), np.array([1.0, 1.0]))
    parted = Fold(Query(model, batch, 4), SparseRows.from_lists([[0]] * 40 + [[3]] * 40, N_ITEMS))
    slope, level, _ = calibrate_content([parted], [hidden])
    assert slope > 3
    mixed = Fold(Query(model, batch, 4), SparseRows.from_lists([[0], [3]] * 40, N_ITEMS))
    slope, level, shape = calibrate_content([mixed], [hidden])
    assert slope == 0
    assert level == pytest.approx(0.5 / 0.2, rel=0.05)  # each is used by half, and predicted to be by one of five
    assert shape == 10  # no item is used more than predicted
