"""Precision of the lists of validation users."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from firstday.metrics import measure
from firstday.recommend.answers import answer_query
from firstday.recommend.fold import Fold
from firstday.recommend.spec import is_own

MEASURED_LENGTHS = (10, 50)
"""Lengths of the lists by which options, components and the clock are judged."""
NORMAL_95 = 1.96
"""Half-width of a 95 % interval, in standard errors."""


def measure_folds(folds: Sequence[Fold], strategy: str) -> np.ndarray:
    """Return the precision of each user's list, from 0 to 1, folds concatenated, float64, shape (n_users,)."""
    return np.concatenate([measure(answer_query(fold.query, strategy).items, fold.truth).precision for fold in folds])


def measure_lengths(folds: Sequence[Fold], strategy: str) -> np.ndarray:
    """Return the precision of each user's lists of `MEASURED_LENGTHS`, from 0 to 1, shape (n_lengths, n_users)."""
    precisions = []
    for fold in folds:
        items = answer_query(fold.with_length(max(MEASURED_LENGTHS)).query, strategy).items
        precisions.append([measure(items[:, :k], fold.truth).precision for k in MEASURED_LENGTHS])
    return np.concatenate(precisions, axis=1)


def measure_own(folds: Sequence[Fold], strategy: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean precision of each user's lists of `MEASURED_LENGTHS`, and whether they are the strategy's own.

    Precision is from 0 to 1, folds concatenated, float64 and bool, shape (n_users,).
    """
    precisions = []
    own = []
    for fold in folds:
        answer = answer_query(fold.with_length(max(MEASURED_LENGTHS)).query, strategy)
        of_lengths = [measure(answer.items[:, :k], fold.truth).precision for k in MEASURED_LENGTHS]
        precisions.append(np.mean(of_lengths, axis=0))
        own.append(is_own(answer.routes, strategy))
    return np.concatenate(precisions), np.concatenate(own)


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """Return the mean and its standard error."""
    return float(values.mean()), float(values.std()) / len(values) ** 0.5
