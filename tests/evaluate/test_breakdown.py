"""Popularity of lists, and segments in words, against counts made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from firstday.evaluate.slices import count_by_part, divide_by_use, divide_into_tenths, to_shares
from firstday.recommend.recommender import Recommender
from firstday.recommend.segment_description import describe_segments
from tests.evaluate.tiny import TENTH_OF_ITEM, evaluate_tiny


def test_each_part_holds_a_tenth_of_all_use() -> None:
    """Of 20 uses each tenth is two: the first item has five, two have two, ten have one, and one has none."""
    uses = np.array([1, 5, 2, 0, 2, *([1] * 10)])
    order = np.argsort(-uses, kind="stable")
    assert order.tolist() == [1, 2, 4, 0, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 3]
    part = divide_into_tenths(uses, order)
    # The middle of item 1 lies at 2.5 of 20, that of item 2 at 6, of item 4 at 8, then 9.5, 10.5 and so on.
    assert part[order].tolist() == [1, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 9]
    assert divide_into_tenths(np.zeros(3), np.arange(3)).tolist() == [9, 9, 9]


def test_a_models_items_are_divided_by_what_its_warm_users_used(recommender: Recommender) -> None:
    uses = recommender.model.everyone.counts.column_sums()
    order = sorted(range(len(uses)), key=lambda item: (-uses[item], item))
    np.testing.assert_array_equal(divide_by_use(recommender.model), divide_into_tenths(uses, np.array(order)))


def test_places_are_counted_by_part_and_empty_ones_left_out() -> None:
    counts = count_by_part(np.array([[0, 4, 1], [5, 1, -1]]), TENTH_OF_ITEM)
    assert counts.tolist() == [1, 0, 0, 2, 0, 0, 0, 0, 0, 2]
    assert to_shares(counts) == (20, 0, 0, 40, 0, 0, 0, 0, 0, 40)
    assert to_shares(np.zeros(10)) == (0,) * 10


def test_shares_are_those_of_lists_and_of_what_was_used() -> None:
    results = evaluate_tiny()
    shares = {at: results.get("popular", f"places_by_popularity:{at}").mean for at in range(1, 11)}
    assert {at: share for at, share in shares.items() if share} == pytest.approx(dict.fromkeys((1, 4, 6), 100 / 3))
    used = [4, 0, 0, 3, 0, 3, 0, 0, 4, 8]  # of item 0, 1, 2, 3, and of 4 and 5
    assert results.used_by_popularity == pytest.approx([100 * n / 22 for n in used])
    assert results.items_by_popularity == (1, 0, 0, 1, 0, 1, 0, 0, 1, 2)


def test_the_first_seed_is_described() -> None:
    results = evaluate_tiny()
    assert [row.number for row in results.segments] == [0]
    assert [epoch.loss for epoch in results.history] == [0.5]


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
