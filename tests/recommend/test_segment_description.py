"""What is said of a segment: on two segments written by hand, whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from firstday.model.trained_model import TrainedModel
from firstday.recommend.recommender import Recommender
from firstday.recommend.segment_description import SegmentItem, SegmentRow, describe_segment, describe_segments
from firstday.segment.segments import ItemCounts, Mixing, Segments, rank_items
from firstday.sparse import SparseRows
from tests.tiny import with_learned


def make_model(trained: TrainedModel) -> TrainedModel:
    """Return a model of 20 users in two segments: 8 users, and 12 of whom one alone uses item 3."""
    table = np.array([[8, 6, 4, 0], [12, 0, 3, 1]])
    rows, columns = np.nonzero(table)

    def count(rows: np.ndarray, columns: np.ndarray, users: np.ndarray, sizes: list[int]) -> ItemCounts:
        return ItemCounts(SparseRows.from_pairs(rows, columns, users, len(sizes), trained.n_items), np.array(sizes))

    items = count(rows, columns, table[rows, columns], [8, 12])
    everyone = count(np.zeros(4, np.int64), np.arange(4), table.sum(axis=0), [20])
    top = rank_items(items, items.counts.column_sums(), 4)
    segments = Segments(np.eye(2, 12, dtype=np.float32), items, top, np.array([0.25, 0.5], np.float32))
    return with_learned(replace(trained, segments=segments, everyone=everyone), soft_segments=Mixing(1.0, 0.0))


def test_items_are_told_by_use_and_by_what_sets_a_segment_apart(tiny: Recommender) -> None:
    model = make_model(tiny.model)
    ids = model.catalogue.items
    titles = model.catalogue.titles
    assert titles is not None

    def item(ix: int, share: float, everyone: float) -> tuple[object, ...]:
        return ids[ix], titles[ix], round(share, 4), round(everyone, 4), round(share / everyone, 4)

    def rounded(items: tuple[SegmentItem, ...]) -> list[tuple[object, ...]]:
        return [(i.item_id, i.title, round(i.share, 4), round(i.everyone, 4), round(i.lift, 4)) for i in items]

    first = describe_segment(model, 0, 3)
    assert (first.number, first.n_users, first.spread) == (0, 8, 0.25)
    assert rounded(first.top) == [item(0, 1, 1), item(1, 0.75, 0.3), item(2, 0.5, 0.35)]
    assert rounded(first.distinctive) == [item(1, 0.75, 0.3), item(2, 0.5, 0.35), item(0, 1, 1)]
    second = describe_segment(model, 1, 3)
    # A twelfth of the segment, and nobody else, uses item 3; item 2 is used less than elsewhere.
    assert rounded(second.distinctive) == [item(3, 1 / 12, 0.05), item(0, 1, 1), item(2, 0.25, 0.35)]


def test_segments_come_largest_first(tiny: Recommender) -> None:
    model = make_model(tiny.model)
    rows = describe_segments(model, 1)
    assert [(row.number, row.n_users, len(row.top), len(row.distinctive)) for row in rows] == [
        (1, 12, 1, 1),
        (0, 8, 1, 1),
    ]
    assert describe_segments(model, 1, 1) == rows[:1]
    assert isinstance(rows[0], SegmentRow)
