"""Which validation users decide when training stops: all of few, and always the same ones of many."""

from __future__ import annotations

import numpy as np
import pytest

from firstday.segment.segments import ItemCounts, Segments
from firstday.sparse import SparseRows
from firstday.training.validation import Validation

N_USERS = 8
TASTES = np.eye(2, dtype=np.float32)
"""Two segments, one for each of two items."""


def make_validation(n_items: int = 2) -> Validation:
    """Return users of whom every second one uses item 1, the others item 0; nothing else is used."""
    counts = ItemCounts(SparseRows.from_lists([[0], [1]], n_items), np.array([1, 1]))
    segments = Segments(TASTES, counts, np.array([[0], [1]], dtype=np.int32), np.zeros(2, np.float32))
    vectors = np.zeros((n_items, 2), dtype=np.float32)
    vectors[:2] = TASTES
    truth = SparseRows.from_lists([[user % 2] for user in range(N_USERS)], n_items)
    return Validation(
        excluded=SparseRows.empty(N_USERS, n_items), truth=truth, k=1, segments=segments, item_vectors=vectors
    )


def all_judges(validation: Validation, tastes: np.ndarray) -> list[float]:
    """Return what each judge says of vectors of the judged users."""
    vectors = TASTES[tastes]
    return [
        validation.precision_of_both_ways(vectors),
        validation.precision_of_segments(vectors),
        validation.precision_of_scores(lambda rows: vectors[rows], np.arange(2)),
    ]


@pytest.mark.parametrize("most", [1, 3, 7, 8, 2000])
def test_lists_are_judged_by_the_users_of_the_sample(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firstday.training.validation.USERS_JUDGED", most)
    validation = make_validation()
    judged = validation.judged
    assert len(set(judged.tolist())) == len(judged) == min(most, N_USERS)
    assert judged.tolist() == make_validation().judged.tolist()
    if most >= N_USERS:
        assert judged.tolist() == list(range(N_USERS))
    right = judged % 2
    assert all_judges(validation, right) == [100] * 3
    assert all_judges(validation, 1 - right) == [0] * 3
    one_wrong = right.copy()
    one_wrong[-1] = 1 - one_wrong[-1]
    assert all_judges(validation, one_wrong) == pytest.approx([100 * (1 - 1 / len(judged))] * 3)


def test_where_items_are_many_nearest_items_are_looked_for_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firstday.training.validation.LEAST_RANKED", 2)
    monkeypatch.setattr("firstday.training.validation.MOST_SCORES", 12)
    validation = make_validation(n_items=4)  # 12 scores: of 3 users
    assert sorted(validation.judged.tolist()) == list(range(N_USERS))
    tastes = validation.judged % 2
    tastes[3:] = 1 - tastes[3:]
    assert validation.precision_of_segments(TASTES[tastes]) == pytest.approx(100 * 3 / N_USERS)
    assert validation.precision_of_both_ways(TASTES[tastes]) == pytest.approx((100 + 100 * 3 / N_USERS) / 2)
