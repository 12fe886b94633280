"""Day ones of which only computed numbers are known get the lists that their signals would get."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest

from firstday.features.signals import SignalBatch, Signals
from firstday.recommend.answer import answer_all
from firstday.recommend.query import ComputedDays, Query
from firstday.recommend.recommender import Recommender

K = 15


@pytest.fixture(scope="module")
def asked(recommender: Recommender, world_days: SignalBatch) -> tuple[Query, Query]:
    """Return a query with signals, and one with what is computed from them."""
    told = Query(recommender.model, world_days, K, keep_used=True)
    nothing = SignalBatch(world_days.n_users, world_days.n_items)
    days = ComputedDays(told.features, told.liked_means)
    return told, Query(recommender.model, nothing, K, computed=days)


@pytest.mark.parametrize("strategy", ["popular", "day_one", "input_clusters", "personal", "segment"])
def test_the_lists_are_those_of_the_signals(asked: tuple[Query, Query], strategy: str) -> None:
    told, computed = (answer_all(query, strategy) for query in asked)
    rows = told.routes == strategy
    assert rows.sum() > 40
    np.testing.assert_array_equal(computed.items[rows], told.items[rows])
    np.testing.assert_array_equal(computed.scores[rows], told.scores[rows])
    assert (computed.routes[rows] == strategy).all()


def test_some_of_the_users_get_their_own_lists(asked: tuple[Query, Query]) -> None:
    _, computed = asked
    rows = np.array([7, 3, 7])
    for strategy in ("segment", "day_one"):
        whole, part = answer_all(replace(computed), strategy), answer_all(computed.take(rows), strategy)
        np.testing.assert_array_equal(part.items, whole.items[rows])


def test_without_items_a_strategy_on_items_has_nothing_to_go_on(asked: tuple[Query, Query]) -> None:
    _, computed = asked
    assert computed.computed is not None
    idle = replace(computed, computed=replace(computed.computed, means=np.zeros_like(computed.computed.means)))
    assert set(answer_all(idle, "day_one").routes) == {"popular"}
    assert set(answer_all(computed, "fold_in").routes) == {"popular"}


@pytest.mark.parametrize("peer", ["dropoutnet", "melu"])
def test_a_peer_takes_a_mean_vector_for_the_one_item_that_it_is_of(
    recommender: Recommender, peer: Literal["dropoutnet", "melu"]
) -> None:
    told, _ = recommender.model.catalogue.read(
        [Signals(age=24, interactions=[("stream", "item", f"i{ix:03}")]) for ix in (0, 4, 9)] + [Signals(age=31)]
    )
    query = Query(recommender.model, told, K)
    assert query.liked.lengths().tolist() == [1, 1, 1, 0]
    computed = Query(
        recommender.model,
        SignalBatch(4, recommender.model.n_items),
        K,
        computed=ComputedDays(query.features, query.liked_means),
    )
    np.testing.assert_allclose(computed.predicted_by(peer), query.predicted_by(peer), atol=1e-6)
