"""Calibration of scores: the probability of use by position, fitted on validation users (not in the paper)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from firstday.artifact.calibration import Calibration
from firstday.errors import needs_extra
from firstday.recommend.registry import find_strategy, strategies_of
from firstday.recommend.spec import PROBABILITY
from firstday.training.validation import Fold, head

MOST_USERS = 1_000
"""Maximum number of validation users to fit on."""
USERS_FOR_CALIBRATION = 20
"""Minimum number of validation users a strategy must answer to be calibrated."""
LEAST_PLACES = 20
"""Minimum list length to fit on; longer if the model's lists are longer."""
PLACES = 200
"""Positions with a stored probability; beyond the fitted list length the curve is extrapolated."""


def calibrate(folds: Sequence[Fold]) -> dict[str, Calibration]:
    """Return the calibration of each strategy whose scores are probabilities, by name."""
    found = {name: calibrate_strategy(folds, name) for name in strategies_of(folds[0].query.model)}
    return {name: calibration for name, calibration in found.items() if calibration is not None}


def calibrate_strategy(folds: Sequence[Fold], name: str) -> Calibration | None:
    """Calibrate one strategy; None if its scores are not probabilities or there is too little data."""
    spec, folds = find_strategy(name), head(folds, MOST_USERS)
    if spec.scale != PROBABILITY:
        return None
    k = min(max(folds[0].query.k, LEAST_PLACES), folds[0].query.model.n_items)
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for fold in folds:
        answer = spec.recommend(replace(fold.query, k=k))
        rows = np.flatnonzero(answer.routes == name)
        items = answer.items[rows]
        parts.append((answer.scores[rows], items >= 0, fold.truth.take(rows).has(items)))
    scores, listed, hits = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return fit_calibration(scores, listed, hits) if len(scores) >= USERS_FOR_CALIBRATION else None


def fit_calibration(scores: np.ndarray, listed: np.ndarray, hits: np.ndarray) -> Calibration | None:
    """Fit the probability of use by position; None if all listed items are hits, or none are.

    Logistic regression on log(1 + position), the square root of the position (from 0) and the score at the first
    position. On test users it was better calibrated than isotonic regression on scores, which are not comparable across
    users, and more informative than isotonic regression on positions (`python benchmarks/calibration.py`).

    Parameters
    ----------
    scores
        float32, shape (n_users, k), best first.
    listed
        Mask of non-empty positions, bool, shape (n_users, k).
    hits
        Whether the user went on to use the item, bool, shape (n_users, k).

    Raises
    ------
    MissingExtraError
        The training libraries are not installed.
    """
    with needs_extra("training", "train"):
        from sklearn.linear_model import LogisticRegression
    rows, places = np.nonzero(listed)
    used = hits[rows, places]
    if used.all() or not used.any():
        return None
    first = scores[:, 0].astype(np.float64)
    inputs = np.stack([np.log1p(places), np.sqrt(places), first[rows]], axis=1)
    centre, spread = inputs.mean(axis=0), inputs.std(axis=0)
    spread[spread == 0] = 1  # constant input: a single position or a single score
    model = LogisticRegression(C=1e3, max_iter=1_000).fit((inputs - centre) / spread, used)
    weights = model.coef_[0] / spread
    every = np.arange(PLACES)
    curve = float(model.intercept_[0] - weights @ centre) + weights[0] * np.log1p(every) + weights[1] * np.sqrt(every)
    return Calibration(
        np.minimum.accumulate(curve).astype(np.float32),
        float(weights[2]),
        float(first.min()),
        float(first.max()),
        len(scores),
    )
