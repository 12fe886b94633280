"""Popularity of lists and segments in words, against counts made one by one."""

from __future__ import annotations

import numpy as np
import pytest

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.splits.split import Split
from firstday.evaluate.results import Results
from firstday.evaluate.run import evaluate_strategies
from firstday.evaluate.slices import N_PARTS, count_by_part, divide_by_use, to_shares
from firstday.recommend.recommender import Recommender
from firstday.recommend.segment_description import describe_segments
from firstday.training.fit import cohort_query
from tests.judging import judge


@pytest.fixture(scope="module")
def results(world: Dataset, split: Split, recommender: Recommender) -> Results:
    return judge(recommender, world, {0: split}, ("popular", "segment"), 15)


def test_each_part_holds_a_tenth_of_all_use(recommender: Recommender) -> None:
    model = recommender.model
    part, uses = divide_by_use(model), model.everyone.counts.column_sums()
    assert len(part) == model.n_items
    by_part = np.bincount(part, weights=uses, minlength=N_PARTS)
    assert by_part == pytest.approx(np.full(N_PARTS, uses.sum() / N_PARTS), abs=uses.max())
    order = np.argsort(-uses, kind="stable")
    assert (np.diff(part[order]) >= 0).all()  # the more used, the lower the part
    assert (part[uses == 0] == N_PARTS - 1).all()


def test_shares_are_those_of_lists_and_of_what_was_used(
    results: Results, world: Dataset, split: Split, recommender: Recommender
) -> None:
    assert results.breakdown is not None
    shares, part = results.breakdown.popularity, divide_by_use(recommender.model)
    assert sum(shares.n_items) == recommender.model.n_items
    query = cohort_query(recommender, world, split.cold, 15)
    for name in ("popular", "segment"):
        lists = recommender.recommend_batch(query.signals, 15, name).items
        counted = [0] * N_PARTS
        for item in lists.ravel().tolist():
            counted[part[item]] += 1
        assert shares.places[name] == pytest.approx(to_shares(np.array(counted)))
    used = [0] * N_PARTS
    for row in range(len(split.cold)):
        for item in split.cold.truth.row(row).tolist():
            used[part[item]] += 1
    assert shares.used == pytest.approx(to_shares(np.array(used)))
    assert sum(shares.places["popular"][:5]) > sum(shares.places["segment"][:5]) > sum(shares.used[:5])
    assert count_by_part(np.array([[-1, -1]]), part).sum() == 0


def test_segments_are_told_largest_first_with_what_sets_them_apart(recommender: Recommender) -> None:
    model = recommender.model
    rows = describe_segments(model, n_items=3)
    assert [row.n_users for row in rows] == sorted((row.n_users for row in rows), reverse=True)
    assert sum(row.n_users for row in rows) == model.everyone.sizes[0]
    for row in rows:
        assert row.spread == pytest.approx(float(model.segments.spread[row.number]))
        assert [item.share for item in row.top] == sorted((item.share for item in row.top), reverse=True)
        for item in (*row.top, *row.distinctive):
            ix = model.catalogue.items.index_of(item.item_id)
            users = model.segments.items.counts.row(row.number).tolist().index(ix)
            count = model.segments.items.counts.row_weights(row.number)[users]
            assert item.share == pytest.approx(count / row.n_users)
            assert item.everyone == pytest.approx(float(model.popularity[ix]))
            assert item.name == model.catalogue.title_of(ix)
    assert describe_segments(model, n_segments=2) == describe_segments(model)[:2]


def test_json_tells_groups_and_popularity_of_every_strategy(results: Results) -> None:
    values = results.to_json()
    assert len(values["popularity"]["n_items"]) == len(values["popularity"]["used"]) == N_PARTS
    assert set(values) >= {"largest_gap", "dataset", "k", "seeds", "results"}
    for row in values["results"]:
        assert sum(row["places_by_popularity"]) == pytest.approx(100, abs=0.01)
        assert set(row["by_group"]) == {"age", "country", "gender"}
        for groups in row["by_group"].values():
            low, high = next(iter(groups.values()))["precision_ci"]
            assert low <= next(iter(groups.values()))["precision"] <= high
            assert sum(group["n_users"] for group in groups.values()) == values["n_cold"]


def test_the_first_seed_is_described(world: Dataset, config: Config) -> None:
    small = config.override("cold_model.epochs", 2)
    found = evaluate_strategies(world, small, strategies=("segment",), n_seeds=2, k=5).breakdown
    alone = evaluate_strategies(world, small, strategies=("segment",), n_seeds=1, k=5).breakdown
    assert found is not None
    assert alone is not None
    assert found.history == alone.history
    assert len(found.history) == 2
    assert found.segments == alone.segments
    assert len(found.segments) > 1
