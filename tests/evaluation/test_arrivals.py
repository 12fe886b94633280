"""Items that came after training in lists as of the end of each newcomer's day one, on the five users' model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from firstday.data.dataset import Dataset
from firstday.data.load import load
from firstday.data.splits.holdout import AllUses, Holdout
from firstday.data.splits.snapshot import find_first_seen
from firstday.data.splits.split import Cohort, Split
from firstday.evaluation.arrivals import query_cold_users
from firstday.evaluation.figures import measure_all_uses
from firstday.model.calibration import Calibration
from firstday.model.trained_model import TrainedModel
from firstday.recommend.answers import answer_query
from firstday.recommend.dataset_query import index_lists
from firstday.recommend.new_items.current_items import MAX_NEW_ITEMS
from firstday.recommend.new_items.new_items import UseHistory
from firstday.recommend.query import Answer, Query
from firstday.recommend.recommender import Recommender
from firstday.sparse import SparseRows
from tests.tiny import make_content, make_model

BEGIN = datetime(2026, 11, 10, tzinfo=UTC)
NEWCOMERS = ("v1", "v2")
DAY_ENDS = (2, 5)
"""Days from `BEGIN`, the cut-off, to the end of each newcomer's day one."""
ADDED = {"n1": 1, "n2": 4, "n3": 6}
"""Days from `BEGIN` to the arrival of items of an artist of the east."""
BY_NOW = [(f"w{number}", "n1", 1.5) for number in range(8)]
"""Uses by the end of v1's day one."""
AFTERWARDS = [("w1", "n2", 5.0), ("w2", "n1", 5.5), ("w2", "n3", 7.0), ("v1", "n2", 6.0), ("w3", "i4", 5.2)]
"""Uses at or after the end of v2's day one."""
Use = tuple[str, str, float]


@pytest.fixture(scope="module")
def model() -> TrainedModel:
    calibrated = replace(make_model(), calibrations={"blend": Calibration(0.0, 1.0, 0.0, 0.0, 100)})
    return calibrated.with_learned(content=make_content())


def day(number: float) -> datetime:
    return BEGIN + timedelta(days=number)


def in_us(number: float) -> int:
    return int(day(number).timestamp() * 1e6)


def make_dataset(model: TrainedModel, uses: Sequence[Use], added: dict[str, int] = ADDED) -> Dataset:
    """Return tables with the items of the model and new ones."""
    catalogue = model.catalogue
    titles = list(catalogue.titles or ())
    known = pl.DataFrame({"item_id": catalogue.items.values, "title": titles, **catalogue.columns})
    known = known.with_columns(pl.col("added_at").str.to_datetime(time_zone="UTC"))
    arrivals = pl.DataFrame({"item_id": list(added), "added_at": [day(number) for number in added.values()]})
    arrivals = arrivals.with_columns(artist_id=pl.lit(["a1"]), genre=pl.lit(["jazz"]), in_stock=True)
    arrivals = arrivals.with_columns(expires_at=pl.when(item_id="gone").then(day(3)))
    items = pl.concat([known, arrivals], how="diagonal_relaxed")
    dates = pl.Series([day(number) for _, _, number in uses])
    interactions = pl.DataFrame({"user_id": [u for u, _, _ in uses], "item_id": [i for _, i, _ in uses]})
    users = pl.DataFrame({"user_id": sorted({*NEWCOMERS, *(user for user, _, _ in uses)}), "country": "FR"})
    return load({"items": items, "users": users, "interactions": interactions.with_columns(timestamp=dates)})


def make_holdout(dataset: Dataset, truth: Sequence[Sequence[str]] = ((), ())) -> Holdout:
    columns = [dataset.items.lookup(pl.Series(items, dtype=pl.String)) for items in truth]
    ends = np.array([in_us(number) for number in DAY_ENDS])
    users = dataset.users.lookup(pl.Series(NEWCOMERS))
    rows = SparseRows.from_lists(columns, len(dataset.items))
    expired = SparseRows.from_lists([np.flatnonzero(dataset.find_expired(end)) for end in ends], len(dataset.items))
    cohort = Cohort(users, {}, rows, np.zeros(2, np.int64), ends, expired)
    all_uses = AllUses(rows, ends - in_us(1) + in_us(0), find_first_seen(dataset), in_us(0))
    split = Split(users[:0], {}, (), cohort, cohort)
    return Holdout(dataset, split, dataset, cohort, in_us(0), all_uses)


def ask(model: TrainedModel, holdout: Holdout) -> Query:
    assert holdout.all_uses is not None
    return query_cold_users(Recommender(model), holdout, holdout.all_uses, 8)


def list_newcomers(
    model: TrainedModel, dataset: Dataset, strategy: str = "segment"
) -> tuple[Query, Answer, list[list[str]]]:
    query = ask(model, make_holdout(dataset))
    answer = answer_query(query, strategy)
    ids = (query.current_items or model).catalogue.items
    return query, answer, [ids.take(row[row >= 0]).to_list() for row in answer.items]


def test_lists_have_the_items_that_came_by_the_end_of_day_one_and_had_not_expired(model: TrainedModel) -> None:
    added = {"gone": 1, **ADDED}
    _, _, (first, second) = list_newcomers(model, make_dataset(model, BY_NOW, added))
    assert {*added} & {*first} == {"gone", "n1"}
    assert {*added} & {*second} == {"n1", "n2"}
    assert {*first} >= {"i1", "i2", "i3", "i4", "i5"}


def test_what_was_used_by_the_end_of_day_one_counts(model: TrainedModel) -> None:
    of_others = [(user, "i4", number) for user, _, number in BY_NOW]
    (unused, _), (used, _) = (list_newcomers(model, make_dataset(model, uses))[2] for uses in (of_others, BY_NOW))
    assert unused.index("n1") > 0
    assert used.index("n1") == 0


@pytest.mark.parametrize("strategy", ["segment", "blend"])
def test_what_happens_after_day_one_changes_no_byte(model: TrainedModel, strategy: str) -> None:
    """Neither the lists, nor what is said of new items and predicted of their use."""
    logs = BY_NOW, BY_NOW + AFTERWARDS
    one, other = (list_newcomers(model, make_dataset(model, uses), strategy) for uses in logs)
    for name, array in vars(one[1]).items():
        np.testing.assert_array_equal(array, getattr(other[1], name))
    new, changed = one[0].new_items, other[0].new_items
    assert new is not None
    assert changed is not None
    assert new.items.equals(changed.items)
    is_there = new.items["item_id"].to_numpy() == np.array([["n1"], ["n1"]])
    for measured, other_measured in zip(
        new.measure_past(one[0].moments), changed.measure_past(other[0].moments), strict=True
    ):
        np.testing.assert_array_equal(measured[is_there], other_measured[is_there])


@pytest.mark.parametrize("strategy", ["segment", "blend", "latest", "explore"])
def test_items_that_come_after_day_one_change_no_list(model: TrainedModel, strategy: str) -> None:
    many = {f"later{number}": 4 for number in range(30)}
    queries = [ask(model, make_holdout(make_dataset(model, BY_NOW, added))) for added in ({"n1": 1}, {"n1": 1, **many})]
    one, other = (answer_query(query, strategy).items[0] for query in queries)
    np.testing.assert_array_equal(one, other)


def test_items_that_come_after_every_day_one_are_no_arrivals(model: TrainedModel) -> None:
    dataset = make_dataset(model, [*BY_NOW[:0], ("w1", "i1", 1.0)], {"n1": 5})
    query, _, _ = list_newcomers(model, dataset)
    assert query.current_items is None


def test_as_many_items_arrive_as_a_service_may_add_the_first_ones(model: TrainedModel) -> None:
    added = {f"n{number}": 1 for number in range(MAX_NEW_ITEMS)}
    query = ask(model, make_holdout(make_dataset(model, BY_NOW, {"last": 2, **added})))
    assert query.new_items is not None
    assert len(query.new_items) == MAX_NEW_ITEMS
    assert "last" not in query.new_items.items["item_id"]


def test_all_later_uses_count(model: TrainedModel) -> None:
    """v1 used n3, which no list has, and n1, which stands first; v2 used n3 alone."""
    dataset = make_dataset(model, BY_NOW)
    holdout = make_holdout(dataset, [["n1", "n3"], ["n3"]])
    assert holdout.all_uses is not None
    query = ask(model, holdout)
    lists = index_lists(query, dataset, answer_query(query, "segment").items)
    metrics = measure_all_uses(lists, holdout.all_uses.truth)
    assert metrics["precision_all"].tolist() == metrics["recall_all"].tolist() == [50, 0]


def test_without_content_lists_are_those_of_the_model(model: TrainedModel) -> None:
    bare = make_model()
    dataset = make_dataset(bare, BY_NOW)
    query, _, lists = list_newcomers(bare, dataset)
    assert query.new_items is None
    assert {*lists[0]} <= {*bare.catalogue.items.values}


def test_uses_are_counted_as_of_each_moment() -> None:
    """Item 0 is used at 3 and 5, item 1, which came at 4, at 6; something else at 1 and 4."""
    uses = np.array([0, 0, 1]), np.array([3, 5, 6]), np.ones(3)
    history = UseHistory(*uses, np.array([1, 3, 4, 5, 6]), np.arange(6), np.array([2, 4]))
    n_used, n_all = history.count(np.array([6, 3, 7, 4]))
    assert n_used.tolist() == [[2, 0], [0, 0], [2, 1], [1, 0]]
    assert n_all.tolist() == [[3, 2], [0, 0], [4, 3], [1, 0]]
