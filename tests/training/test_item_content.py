"""Use of new items by age, and how probably hidden items are used, on logs whose answers are obvious."""

from __future__ import annotations

import numpy as np
import pytest

from firstday.data.first_uses import FirstUses
from firstday.features.signals import Signals
from firstday.methods.item_content import calibrate_content, measure_freshness
from firstday.recommend.fold import Fold
from firstday.recommend.query import Query
from firstday.sparse import SparseRows
from firstday.tables.schema import DAY_US
from tests.tiny import EAST, N_ITEMS, NORTH, make_content, make_model

N_DAYS = 50
N_NEW = 3_000
"""With so many items, smoothing is negligible."""


@pytest.mark.parametrize(("first", "expected"), [(20, 2 / 29 / (3 / 30)), (5, 1.0)])
def test_freshness_is_the_use_of_new_items_relative_to_all(first: int, expected: float) -> None:
    """Each item has one use on its first day, and two on the next; at the start of a log, every item looks new."""
    days = np.repeat([N_DAYS - 1 - first, N_DAYS - 2 - first], N_NEW)
    counts = SparseRows.from_pairs(days, np.tile(np.arange(N_NEW), 2), np.repeat([1, 2], N_NEW), N_DAYS, N_NEW)
    assert measure_freshness(FirstUses(counts, N_DAYS * DAY_US)) == pytest.approx(expected, rel=0.05)


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
