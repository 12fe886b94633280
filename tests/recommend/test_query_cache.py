"""What a query computes once, and who shares it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from firstday.features.signals import Signals
from firstday.recommend.query import Query
from firstday.recommend.recommender import Recommender

USERS = [Signals(age=20), Signals(interactions=[("stream", "item", "i4")]), Signals()]


@pytest.fixture
def query(tiny: Recommender) -> Query:
    return Query(tiny.model, tiny.model.read_signals(USERS)[0], 3)


def count_users(query: Query) -> np.ndarray:
    return np.arange(query.n_users)


def test_queries_about_the_same_users_share_what_is_computed_before_or_after(query: Query) -> None:
    longer = query.ask(k=5)
    assert longer.predicted is query.predicted
    assert longer.derive(count_users) is query.derive(count_users)
    assert longer.k == 5


def test_with_other_learned_values_only_what_signals_say_is_kept(query: Query) -> None:
    derived = query.derive(count_users)
    changed = query.ask(model=query.model.with_learned(mine=1))
    assert changed.features is query.features
    assert changed.derive(count_users) is not derived


def test_some_rows_are_taken_of_arrays_and_anything_else_is_computed_anew(query: Query) -> None:
    derived = query.derive(count_users)
    rows = np.array([2, 0])
    some = query.take(rows)
    assert some.derive(count_users).tolist() == derived[rows].tolist() == [2, 0]
    assert some.has_features.tolist() == query.has_features[rows].tolist()
    assert some.liked.n_rows == 2
    assert np.array_equal(query.take(rows).predicted, query.predicted[rows])


def test_a_replaced_query_shares_nothing(query: Query) -> None:
    derived = query.derive(count_users)
    other = replace(query, signals=query.signals.take(np.array([1])))
    assert query.n_known.tolist() == [0, 1, 0]
    assert other.n_known.tolist() == [1]
    assert replace(query).derive(count_users) is not derived
