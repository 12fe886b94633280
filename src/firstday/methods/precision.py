"""Precision of the lists of validation users."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from firstday.metrics import measure
from firstday.recommend.answers import answer_query
from firstday.recommend.fold import Fold
from firstday.recommend.spec import is_own
from firstday.sparse import SparseRows

MEASURED_LENGTHS = (10, 50)
"""Lengths of the lists by which options, components and the clock are judged."""
NORMAL_95 = 1.96
"""Half-width of a 95 % interval, in standard errors."""


def measure_folds(folds: Sequence[Fold], strategy: str) -> np.ndarray:
    """Return the precision of each user's list, from 0 to 1, folds concatenated, float64, shape (n_users,)."""
    return np.concatenate([measure(answer_query(fold.query, strategy).items, fold.truth).precision for fold in folds])


def measure_lengths(folds: Sequence[Fold], strategy: str) -> np.ndarray:
    """Return the precision of each user's lists of `MEASURED_LENGTHS`, from 0 to 1, shape (n_lengths, n_users)."""
    answers = [answer_query(fold.with_length(max(MEASURED_LENGTHS)).query, strategy) for fold in folds]
    precisions = [measure_prefixes(answer.items, fold.truth) for answer, fold in zip(answers, folds, strict=True)]
    return np.concatenate(precisions, axis=1)


def measure_prefixes(items: np.ndarray, truth: SparseRows) -> np.ndarray:
    """Return the precision of the first `MEASURED_LENGTHS` items of rankings, from 0 to 1, (n_lengths, n_users)."""
    return np.stack([measure(items[:, :k], truth).precision for k in MEASURED_LENGTHS])


def measure_own(folds: Sequence[Fold], strategy: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean precision of each user's lists of `MEASURED_LENGTHS`, and whether they are the strategy's own.

    Precision is from 0 to 1, folds concatenated, float64 and bool, shape (n_users,).
    """
    precisions = []
    own = []
    for fold in folds:
        answer = answer_query(fold.with_length(max(MEASURED_LENGTHS)).query, strategy)
        precisions.append(measure_prefixes(answer.items, fold.truth).mean(axis=0))
        own.append(is_own(answer.routes, strategy))
    return np.concatenate(precisions), np.concatenate(own)


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """Return the mean and its standard error."""
    return float(values.mean()), float(values.std()) / len(values) ** 0.5
