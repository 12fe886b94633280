"""Which validation users decide when training stops: all of few, and always the same ones of many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from firstday.data.splits import roles
from firstday.data.splits.holdout import split_for_training
from firstday.methods.blend import choose_blending
from firstday.recommend.fold import Fold
from firstday.segment.segments import ItemCounts, Segments
from firstday.sparse import SparseRows
from firstday.training.fit import fit
from firstday.training.validation import ObjectiveHistory, Validation, draw_evaluated
from tests.synthetic import brief_config
from tests.timed import make_log

N_USERS = 8
TASTES = np.eye(2, dtype=np.float32)
"""Two segments, one for each of two items."""


def make_validation(users: np.ndarray) -> Validation:
    """Return users of whom every second one uses item 1, the others item 0."""
    counts = ItemCounts(SparseRows.from_lists([[0], [1]], 2), np.array([1, 1]))
    segments = Segments(TASTES, counts, np.array([[0], [1]], dtype=np.int32), np.zeros(2, np.float32))
    truth = SparseRows.from_lists([[user % 2] for user in users], 2)
    return Validation(SparseRows.empty(len(users), 2), truth, 1, segments, TASTES)


def all_objectives(validation: Validation, tastes: np.ndarray) -> list[float]:
    """Return the value of each objective for vectors of the evaluated users."""
    vectors = TASTES[tastes]
    return [
        validation.precision_of_vectors(vectors),
        validation.precision_of_segments(vectors),
        validation.precision(tastes[:, None]),
    ]


@pytest.mark.parametrize("most", [1, 3, 7, 8, 2000])
def test_lists_are_evaluated_on_the_users_of_the_sample(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firstday.training.validation.MAX_EPOCH_USERS", most)
    users = draw_evaluated(N_USERS, 2)
    assert len(set(users.tolist())) == len(users) == min(most, N_USERS)
    assert users.tolist() == draw_evaluated(N_USERS, 2).tolist()
    validation = make_validation(users)
    right = users % 2
    assert all_objectives(validation, right) == [100] * 3
    assert all_objectives(validation, 1 - right) == [0] * 3
    one_wrong = np.append(right[:-1], 1 - right[-1])
    assert all_objectives(validation, one_wrong) == pytest.approx([100 * (1 - 1 / len(users))] * 3)


def test_of_many_items_fewer_users_are_evaluated() -> None:
    assert [len(draw_evaluated(5_000, n_items)) for n_items in (10, 40_000, 10**6)] == [2_000, 1_250, 1_000]


def test_training_on_everybody_stops_at_the_median_of_the_folds() -> None:
    history = ObjectiveHistory()
    for values in ([1.0, 3.0, 2.0], [2.0, 1.0, 0.0, 5.0], [0.0, 1.0, 1.0]):
        objective = history.record("cold model", lambda value: value)
        assert [objective(value) for value in values] == values
    history.record("never called", float)
    replayed, empty = (history.replay(name, float) for name in ("cold model", "never called"))
    assert [replayed(0.0) for _ in range(4)] == [-2, -1, -2, -3]
    assert empty(0.0) > empty(0.0)


def test_a_model_of_few_newcomers_is_learned_from_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    noted: list[Fold] = []

    def note_folds(folds: Sequence[Fold]) -> Any:
        noted.extend(folds)
        return choose_blending(folds)

    monkeypatch.setattr("firstday.methods.blend.choose_blending", note_folds)
    log = make_log()
    config = brief_config(protocol="registration", registration={"target_days": 5.0}, cold_model={"epochs": 4})
    split = split_for_training(log, config, 0)
    model = fit(log, split, config).model
    assert len(split.folds) == roles.MAX_FOLDS > 1
    assert [fold.query.n_users for fold in noted] == [len(rows) for rows in split.folds]
    for fold in noted:  # with models that did not learn from them
        assert fold.query.model.everyone.sizes[0] == len(split.warm) - fold.query.n_users
    data = model.facts["data"]
    assert (data["folds"], data["validation_users"]) == (roles.MAX_FOLDS, len(split.validation))
    assert data["warm_users"] == len(split.warm)
    assert len(set(split.warm) & set(split.validation.users)) > 100
    assert {epoch.precision for epoch in model.cold.history} == {None}
    assert sum(epoch.kept for epoch in model.cold.history) == 1
    compared = {name for evidence in model.learned["auto"].classes for name in evidence.precision}
    assert compared == {"popular", "blend", "segment"}
