"""Which validation users decide when training stops: all of few, and always the same ones of many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from firstday.data.splits.holdout import split_for_training
from firstday.segment.segments import ItemCounts, Segments
from firstday.sparse import SparseRows
from firstday.training.fit import fit
from firstday.training.validation import Fold, Stops, Validation
from firstday.training.weights import choose_weights
from tests.synthetic import brief_config
from tests.timed import make_log

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


def test_training_on_everybody_stops_at_the_median_of_the_folds() -> None:
    stops = Stops()
    for values in ([1.0, 3.0, 2.0], [2.0, 1.0, 0.0, 5.0], [0.0, 1.0, 1.0]):
        judge = stops.watch("cold model", lambda value: value)
        assert [judge(value) for value in values] == values
    assert stops.best == {"cold model": [2, 4, 2]}
    judge = stops.repeat("cold model", lambda value: value)
    heard = [judge(0.0) for _ in range(5)]
    assert int(np.argmax(heard)) + 1 == 2
    assert max(heard) < 0
    assert heard[2:] == [-2.0] * 3


def test_a_model_of_few_newcomers_is_learned_from_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[Fold] = []

    def note_folds(folds: Sequence[Fold]) -> Any:
        judged.extend(folds)
        return choose_weights(folds)

    monkeypatch.setattr("firstday.training.fit.choose_weights", note_folds)
    log = make_log()
    config = brief_config(protocol="registration", registration={"target_days": 5.0}, cold_model={"epochs": 4})
    split = split_for_training(log, config, 0)
    model = fit(log, split, config).model
    assert len(split.folds) == 5
    assert [fold.query.n_users for fold in judged] == [len(rows) for rows in split.folds]
    for fold in judged:  # by models that did not learn from them
        assert fold.query.model.everyone.sizes[0] == len(split.warm) - fold.query.n_users
    data = model.facts["data"]
    assert (data["folds"], data["validation_users"]) == (5, len(split.validation))
    assert data["warm_users"] == len(split.warm)
    assert len(set(split.warm) & set(split.validation.users)) > 100
    assert {epoch.precision for epoch in model.cold.history} == {None}
    assert sum(epoch.kept for epoch in model.cold.history) == 1
    assert {name for evidence in model.selection.classes for name in evidence.precision} == {
        "popular",
        "group",
        "blend",
    }
