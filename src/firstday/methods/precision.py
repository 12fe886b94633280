"""Precision of the lists of validation users."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from firstday.metrics import measure
from firstday.recommend.answers import answer_query
from firstday.recommend.fold import Fold

MEASURED_LENGTHS = (10, 50)
"""Lengths of the lists by which components and the clock are judged."""
NORMAL_95 = 1.96
"""Half-width of a 95 % interval, in standard errors."""


def measure_folds(folds: Sequence[Fold], strategy: str) -> np.ndarray:
    """Return the precision of each user's list, from 0 to 1, folds concatenated, float64, shape (n_users,)."""
    return np.concatenate([measure(answer_query(fold.query, strategy).items, fold.truth).precision for fold in folds])


def measure_lengths(folds: Sequence[Fold], strategy: str) -> np.ndarray:
    """Return the precision of each user's lists of `MEASURED_LENGTHS`, from 0 to 1, shape (n_lengths, n_users)."""
    return np.stack([measure_folds([fold.with_length(k) for fold in folds], strategy) for k in MEASURED_LENGTHS])


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """Return the mean and its standard error."""
    return float(values.mean()), float(values.std()) / len(values) ** 0.5
