"""Calibration of scores: the probability of use by position, fitted on validation users (not in the paper)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from firstday.model.calibration import Calibration
from firstday.recommend.registry import find_strategy, strategies_of
from firstday.recommend.spec import PROBABILITY
from firstday.training.validation import Fold, head

MAX_CALIBRATION_USERS = 1_000
"""Maximum number of validation users to fit on."""
MIN_CALIBRATION_USERS = 20
"""Minimum number of validation users a strategy must answer to be calibrated."""
MIN_POSITIONS = 20
"""Minimum length of the lists to fit on; longer if the model's lists are."""
N_POSITIONS = 200
"""Number of positions on the stored curve, which is extrapolated beyond the fitted list length."""


def calibrate(folds: Sequence[Fold]) -> dict[str, Calibration]:
    """Return the calibration of each strategy of scale `PROBABILITY`, by name; none for those with too little data."""
    model = folds[0].model
    calibrations = {}
    k = max(folds[0].query.k, MIN_POSITIONS)
    folds = [fold.with_length(k) for fold in head(folds, MAX_CALIBRATION_USERS)]
    for name in strategies_of(model):
        spec = find_strategy(name)
        parts = []
        if spec.scale != PROBABILITY:
            continue
        for fold in folds:
            answer = spec.recommend(fold.query)
            rows = np.flatnonzero(answer.routes == name)
            items = answer.items[rows]
            parts.append((answer.scores[rows], items >= 0, fold.truth.take(rows).has(items)))
        scores, listed, hits = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        if len(scores) >= MIN_CALIBRATION_USERS and (fitted := fit_calibration(scores, listed, hits)) is not None:
            calibrations[name] = fitted
    return calibrations


def fit_calibration(scores: np.ndarray, listed: np.ndarray, hits: np.ndarray) -> Calibration | None:
    """Fit the probability of use by position; None if all listed items are hits, or none are.

    Logistic regression on log(1 + position), the square root of the position (from 0) and the score at the first
    position. On test users it was better calibrated than isotonic regression on scores, which are not comparable across
    users, and more informative than isotonic regression on positions (`python benchmarks/calibration.py`).

    All arrays have shape (n_users, k): `scores`, float32, best first; `listed`, the mask of non-empty positions; and
    `hits`, whether the user went on to use the item.
    """
    from sklearn.linear_model import LogisticRegression

    rows, positions = np.nonzero(listed)
    is_used = hits[rows, positions]
    if is_used.all() or not is_used.any():
        return None
    top_scores = scores[:, 0].astype(np.float64)
    inputs = np.stack([np.log1p(positions), np.sqrt(positions), top_scores[rows]], axis=1)
    centre = inputs.mean(axis=0)
    spread = inputs.std(axis=0)
    spread[spread == 0] = 1  # constant input: a single position or a single score
    model = LogisticRegression(C=1e3, max_iter=1_000).fit((inputs - centre) / spread, is_used)
    weights = model.coef_[0] / spread
    positions = np.arange(N_POSITIONS)
    curve = float(model.intercept_[0] - weights @ centre)
    curve = curve + weights[0] * np.log1p(positions) + weights[1] * np.sqrt(positions)
    return Calibration(
        np.minimum.accumulate(curve).astype(np.float32),
        float(weights[2]),
        float(top_scores.min()),
        float(top_scores.max()),
        len(scores),
    )
