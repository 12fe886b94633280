"""Use of new items by age, and how probably hidden items are used, on logs whose answers are obvious."""

from __future__ import annotations

import numpy as np
import pytest

from firstday.engine.first_uses import FirstUses
from firstday.features.signals import Signals
from firstday.recommend.query import Query
from firstday.sparse import SparseRows
from firstday.tables.schema import DAY_US
from firstday.training.item_content import calibrate_content, measure_freshness
from firstday.training.validation import Fold
from tests.tiny import EAST, N_ITEMS, NORTH, make_content, make_model

N_DAYS = 50
N_OLD, N_NEW = 10, 3_000
"""Smoothing of an age that so many new items reach is negligible."""


def make_uses(first: int) -> FirstUses:
    """Ten old items have 100 uses a day; each new one has 1 on a day, 2 on each of the next three, and no more."""
    table = np.zeros((N_DAYS, N_OLD + N_NEW))
    table[:, :N_OLD] = 100
    table[first : first + 4, N_OLD:] = np.array([1, 2, 2, 2])[:, None]
    days, items = np.nonzero(table)
    counts = SparseRows.from_pairs(N_DAYS - 1 - days, items, table[days, items], N_DAYS, N_OLD + N_NEW)
    return FirstUses(counts, N_DAYS * DAY_US)


def test_freshness_is_the_use_of_new_items_relative_to_all() -> None:
    first = 20
    usual = (N_OLD * 100 * N_DAYS + N_NEW * 7) / (N_OLD * N_DAYS + N_NEW * (N_DAYS - first))
    assert measure_freshness(make_uses(first)) == pytest.approx(6 / 29 / usual, rel=0.05)
    assert measure_freshness(make_uses(5)) == 1  # at the start of a log, every item looks new


def test_likeness_matters_as_much_as_it_did_for_hidden_items() -> None:
    """Newcomers of the east use the hidden item of the east, those of the north the other one."""
    model = make_model()
    batch, _ = model.read_signals([Signals(country=country) for country in ("FR", "DE") for _ in range(40)])
    hidden = np.array([0, 3]), np.column_stack([[EAST, NORTH], [-1.0, -1.0]]).astype(np.float32)
    parted = [[0]] * 36 + [[3]] * 40 + [[0]] * 4
    found = calibrate_content([Fold(Query(model, batch, 4), SparseRows.from_lists(parted, N_ITEMS))], [hidden])
    assert found is not None
    content = make_content(calibration=found)
    chances = content.chances(np.array([EAST]), hidden[1][:, :-1], hidden[1][:, -1])
    np.testing.assert_allclose(chances, [[0.9, 0.1]], atol=0.02)
