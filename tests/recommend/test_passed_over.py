"""What was passed over is the same to every strategy, whether signals or tables say what was shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from firstday.data.dataset import Dataset
from firstday.data.events import UTC_MICROSECONDS, Events
from firstday.data.ids import Ids
from firstday.data.impressions import IMPRESSION_TYPES
from firstday.data.splits.split import Cohort
from firstday.data.user_rows import UserRows
from firstday.features.signals import Signals
from firstday.recommend.dataset_query import cohort_query
from firstday.recommend.query import Answer, Query
from firstday.recommend.recommender import Recommender
from firstday.recommend.registry import register
from firstday.recommend.spec import StrategySpec
from firstday.sparse import SparseRows
from tests.batches import recommend_tables

K = 6
ROWS = [
    # user, item, signal, list, position
    ("n1", "i3", "shown", "a", 1),
    ("n1", "i1", "shown", "a", 2),
    ("n1", "i4", "shown", "a", 3),
    ("n1", "i4", "stream", "a", None),
    ("n1", "i2", "shown", "b", 1),
    ("n1", "i1", "shown", "b", 3),
    ("n1", "i1", "shown", "c", 6),
    ("n1", "i5", "shown", None, None),
    ("n1", "gone", "shown", "b", 2),
    ("n2", "i1", "shown", "a", 4),
    ("n2", "i5", "shown", "a", 5),
    ("n3", "i2", "stream", None, None),
    ("n4", "gone", "shown", "a", 1),
]
USERS = ("n1", "n2", "n3", "n4", "n5")


def rank_by_what_was_passed_over(query: Query) -> Answer:
    """Answer with what was passed over, most likely first, so that every weight is in the answer."""

    def score(rows: np.ndarray) -> np.ndarray:
        scores = np.zeros((len(rows), query.model.n_items), np.float32)
        if query.signals.passed_over is not None:
            passed_over = query.signals.passed_over.take(rows)
            scores[passed_over.row_of_entry(), passed_over.columns] = passed_over.weights
        return scores

    awake = query.without_impressions  # what was passed over does not rest
    return awake.rank_scores(score, "passed_over_first", np.ones(query.n_users, dtype=bool))


SPEC = StrategySpec(
    name="passed_over_first", describe="What was passed over.", recommend=rank_by_what_was_passed_over, scale="chance"
)


def signals_of(user: str) -> Signals:
    """Return what the rows say of a user, as an application gives it."""
    mine = [row for row in ROWS if row[0] == user]
    return Signals(
        interactions=[(signal, "item", item) for _, item, signal, _, _ in mine if signal != "shown"],
        shown=[
            {"item_id": item, "list_id": list_id, "position": position}
            for _, item, signal, list_id, position in mine
            if signal == "shown"
        ],
        user_id=user,
    )


@pytest.mark.usefixtures("fresh_registry")
def test_tables_and_signals_give_the_same_lists(tiny: Recommender, tmp_path: Path) -> None:
    register(SPEC)
    tables = tmp_path / "tables"
    tables.mkdir()
    names = ["user_id", "item_id", "signal", "list_id", "position"]
    pl.DataFrame(ROWS, names, orient="row").write_csv(tables / "interactions.csv")
    pl.DataFrame({"user_id": USERS}).write_csv(tables / "users.csv")
    out = tmp_path / "lists.parquet"
    recommend_tables(tiny, tables, out, K, SPEC.name)
    lists = pl.read_parquet(out)
    for user in USERS:
        in_batch = lists.filter(pl.col("user_id") == user).sort("rank")
        alone = tiny.recommend(signals_of(user), K, SPEC.name)
        assert in_batch["item_id"].to_list() == [item.item_id for item in alone.items]
        assert in_batch["score"].to_list() == [item.score for item in alone.items]
    first = tiny.recommend(signals_of("n1"), 4, SPEC.name)
    persistence = tiny.model.config.signals.persistence
    seen = 1 - (1 - persistence**2) * (1 - persistence**5)  # in list b and c; of list a it was seen: i4 was used
    assert seen < 1
    assert [(item.item_id, item.score) for item in first.items] == [("i1", 1), ("i2", 1), ("i3", 1), ("i5", 1)]
    second = tiny.recommend(signals_of("n2"), 2, SPEC.name)
    assert [item.item_id for item in second.items] == ["i1", "i5"]
    np.testing.assert_allclose([item.score for item in second.items], [persistence**3, persistence**4], rtol=1e-6)


def test_a_cohort_is_asked_about_with_what_it_passed_over_until_the_end_of_day_one(tiny: Recommender) -> None:
    day = 86_400_000_000
    rows = pl.DataFrame(
        {
            "user_ix": [1, 1, 1, 1, 0],
            "item_ix": [2, 2, 4, 3, 2],
            "timestamp": [0, 60_000_000, day - 1_000_000, day, 0],  # the last visit of day one is not over
            "position": [2, 2, 1, 1, 1],
            "list_id": ["a", "b", "c", "d", "a"],
        }
    ).with_columns(propensity=None, policy=None, is_used=False, used_at=None)
    impressions = rows.select(pl.col(name).cast(kind) for name, kind in IMPRESSION_TYPES.items()).sort("user_ix")
    dataset = Dataset(
        "two users",
        Ids.of(["u1", "u2"]),
        tiny.model.catalogue.items,
        Events.of(
            pl.DataFrame(
                schema={
                    "user_ix": pl.Int32,
                    "signal": pl.String,
                    "entity": pl.String,
                    "target_ix": pl.Int32,
                    "timestamp": UTC_MICROSECONDS,
                    "weight": pl.Float32,
                }
            )
        ),
        impressions=UserRows((impressions,)),
    )
    nothing = SparseRows.empty(1, tiny.model.n_items)
    cohort = Cohort(np.array([1]), {}, nothing, np.zeros(1, np.int64), np.array([day]))
    passed_over = cohort_query(tiny, dataset, cohort, 3).signals.passed_over
    assert passed_over is not None
    assert passed_over.row(0).tolist() == [2]
    assert passed_over.row_weights(0).tolist() == pytest.approx([0.9])  # once for both lists of the visit
    drawn = Cohort(np.array([1]), {}, nothing, np.zeros(1, np.int64))
    assert cohort_query(tiny, dataset, drawn, 3).signals.passed_over is None
