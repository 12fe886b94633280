"""Day ones of which only computed numbers are known get the lists that their signals would get."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from firstday.features.signal_batch import SignalBatch
from firstday.recommend.answers import answer_query
from firstday.recommend.query import ComputedDays, Query
from firstday.recommend.recommender import Recommender
from tests.recommend.test_lists_by_hand import VISITORS

K = 4


@pytest.fixture(scope="module")
def queries(tiny: Recommender) -> tuple[Query, Query]:
    """Return a query with signals, and one with what is computed from them."""
    batch, _ = tiny.model.catalogue.read(list(VISITORS.values()))
    with_signals = Query(tiny.model, batch, K, keep_used=True)
    nothing = SignalBatch(batch.n_users, batch.n_items)
    days = ComputedDays(with_signals.features, with_signals.liked_means)
    return with_signals, Query(tiny.model, nothing, K, computed=days)


@pytest.mark.parametrize("strategy", ["popular", "day_one", "input_clusters", "personal", "segment"])
def test_the_lists_are_those_of_the_signals(queries: tuple[Query, Query], strategy: str) -> None:
    with_signals, computed = (answer_query(query, strategy) for query in queries)
    rows = with_signals.routes == strategy
    assert rows.sum() >= 3
    np.testing.assert_array_equal(computed.items[rows], with_signals.items[rows])
    np.testing.assert_array_equal(computed.scores[rows], with_signals.scores[rows])
    assert (computed.routes[rows] == strategy).all()


def test_without_items_a_strategy_on_items_has_nothing_to_go_on(queries: tuple[Query, Query]) -> None:
    _, computed = queries
    assert computed.computed is not None
    idle = replace(computed, computed=replace(computed.computed, means=np.zeros_like(computed.computed.means)))
    assert set(answer_query(idle, "day_one").routes) == {"popular"}
    assert set(answer_query(computed, "fold_in").routes) == {"popular"}
