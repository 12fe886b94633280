"""What is known before the assignment, as numbers, and what it predicts."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstday.experiment.covariate import N_FOLDS, encode_known, fold_of, predict_outcome


def test_columns_that_do_not_differ_are_left_out() -> None:
    users = pl.DataFrame({"known_before": [0] * 50, "age": [None] * 50, "country": ["FR"] * 50})
    assert encode_known(users).shape == (50, 0)


def test_known_users_are_numbers_of_one_scale() -> None:
    users = pl.DataFrame(
        {"known_before": [0, 3] * 30, "age": [20, None] * 30, "country": ["FR"] * 20 + ["DE"] * 20 + [None] * 20}
    )
    known = encode_known(users)
    assert known.shape == (60, 1 + 1 + 3)  # a log, whether the age is known, three values; all known ages are equal
    np.testing.assert_allclose(known.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(known.std(axis=0), 1)


@pytest.mark.parametrize(
    ("known", "outcome"),
    [(np.ones((100, 2)), np.arange(100)), (np.empty((300, 0)), np.arange(300)), (np.ones((300, 2)), np.ones(300))],
    ids=["too few users", "nothing known", "one outcome"],
)
def test_too_few_users_or_nothing_known_predict_nothing(known: np.ndarray, outcome: np.ndarray) -> None:
    assert predict_outcome(known, outcome, np.arange(len(outcome)) % N_FOLDS) is None


def test_what_is_known_predicts() -> None:
    rng = np.random.default_rng(0)
    known = rng.normal(size=(2_000, 2))
    outcome = 3 + known @ np.array([2.0, -1.0])
    predicted = predict_outcome(known, outcome, np.arange(2_000) % N_FOLDS)
    assert predicted is not None
    assert np.corrcoef(predicted, outcome)[0, 1] > 0.99


@settings(max_examples=20)
@given(st.integers(0, 299), st.floats(-1e3, 1e3))
def test_nobody_is_predicted_from_their_own_outcome(user: int, value: float) -> None:
    rng = np.random.default_rng(1)
    known = rng.normal(size=(300, 3))
    outcome = rng.normal(size=300)
    folds = fold_of(pl.Series([f"u{n}" for n in range(300)]))
    changed = outcome.copy()
    changed[user] = value
    before = predict_outcome(known, outcome, folds)
    after = predict_outcome(known, changed, folds)
    assert before is not None
    assert after is not None
    same_fold = folds == folds[user]
    np.testing.assert_array_equal(before[same_fold], after[same_fold])
