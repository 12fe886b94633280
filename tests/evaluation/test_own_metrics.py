"""Metrics of one's own: what they are given, and what is said of those that cannot be used."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import polars as pl
import pytest

from firstday.data.dataset import Dataset
from firstday.data.splits.split import Cohort, Split
from firstday.errors import ConfigError, FirstdayError
from firstday.evaluation.own_metrics import name_metrics
from firstday.evaluation.run import score_strategy
from firstday.recommend.answers import answer_query
from firstday.recommend.dataset_query import cohort_query
from firstday.recommend.recommender import Recommender
from firstday.sparse import SparseRows

LISTS = np.array([[0, 1], [2, -1], [1, 0]])
TRUTH = SparseRows.from_lists([[1], [0], [2, 3]], 4)
ITEMS = pl.Series(["a", "b", "c", "d"])
K = 15


def own(result: Any) -> Callable[..., Any]:
    """Return a metric with this result."""

    def mine(_lists: np.ndarray, _truth: SparseRows, _items: pl.Series) -> Any:
        return result

    return mine


def test_values_may_be_missing_and_of_any_type_of_number() -> None:
    for result in ([1, np.nan, 3], np.array([True, False, True]), pl.Series([1.5, 2, 3])):
        (metric,) = name_metrics([own(result)]).values()
        np.testing.assert_array_equal(metric(LISTS, TRUTH, ITEMS), np.asarray(result, dtype=float))


@pytest.mark.parametrize(
    ("result", "sentence"),
    [
        ([1.0, 2.0], "values are float64 of shape (2,); return an array of numbers of shape (3,)."),
        (None, "values are float64 of shape (); return an array of numbers of shape (3,)."),
        ([1, np.inf, -np.inf], "values contain infinity (2 of 3 values, first at [1]); return numbers."),
        (["a", "b", "c"], "the function raised ValueError: could not convert string to float"),
    ],
)
def test_other_values_are_refused_in_one_sentence(result: Any, sentence: str) -> None:
    with pytest.raises(FirstdayError) as caught:
        name_metrics([own(result)])["mine"](LISTS, TRUTH, ITEMS)
    assert str(caught.value).startswith(f"metric 'mine': {sentence}")


def test_an_error_is_told_with_its_line() -> None:
    def mine(lists: np.ndarray, _truth: SparseRows, items: pl.Series) -> Any:
        return items[int(lists.max()) + 9]

    with pytest.raises(FirstdayError, match=r"^metric 'mine': the function raised .*test_own_metrics.py, line \d+"):
        name_metrics([mine])["mine"](LISTS, TRUTH, ITEMS)


def precision(*_: Any) -> np.ndarray:
    """Take the name of another metric."""
    return np.zeros(3)


@pytest.mark.parametrize("functions", [[lambda *_: 0], [precision], [own(0), own(1)], [3], [np]])
def test_names_are_ones_own(functions: list[Any]) -> None:
    with pytest.raises(ConfigError, match="metrics: the name"):
        name_metrics(functions)


def test_users_with_relevant_items_are_measured_on_the_lists_that_anyone_gets(
    world: Dataset, split: Split, recommender: Recommender
) -> None:
    """The first user went on to use nothing; a metric that changes what it is given changes no other."""
    cold = split.cold
    truth = cold.truth.keep(cold.truth.row_of_entry() > 0)
    cohort = Cohort(cold.users, cold.day_one, truth, cold.day_one_size)
    told: list[Any] = []

    def count_hits(lists: np.ndarray, truth: SparseRows, items: pl.Series) -> Any:
        told.append((items[int(lists[0, 0])], lists.copy(), truth.lengths()))
        hits = truth.has(lists).sum(axis=1)
        lists[:] = 0
        return hits

    def count_listed(lists: np.ndarray, _truth: SparseRows, _items: pl.Series) -> Any:
        return (lists > 0).sum(axis=1)

    query = cohort_query(recommender, world, cold, K)
    strategy = partial(answer_query, strategy="popular")
    scores = score_strategy(query, cohort, strategy, "k", name_metrics([count_hits, count_listed]))
    ((first_id, lists, n_relevant),) = told
    np.testing.assert_array_equal(lists, scores.lists[1:])
    assert first_id == recommender.model.catalogue.items[int(scores.lists[1, 0])]
    np.testing.assert_array_equal(n_relevant, truth.lengths()[1:])
    np.testing.assert_allclose(scores.metrics["count_hits"], scores.metrics["precision"] * K / 100)
    np.testing.assert_array_equal(scores.metrics["count_listed"][1:], (scores.lists[1:] > 0).sum(axis=1))
    assert np.isnan(scores.metrics["count_listed"][0])
