"""How likely users are to use what a strategy lists, learned from validation users (not in the paper)."""

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
"""Validation users whose lists are looked at, at most."""
USERS_FOR_CALIBRATION = 20
"""With fewer validation users whom a strategy answers, nothing is said of its probabilities."""
LEAST_PLACES = 20
"""Places of a list that are looked at, at least; as many as lists have where that is more."""
PLACES = 200
"""Places of a list whose probability is known; those behind what was looked at follow from the same curve."""


def calibrate(folds: Sequence[Fold]) -> dict[str, Calibration]:
    """Return the calibration of each strategy of a model whose scores stand for probabilities, by name.

    Parameters
    ----------
    folds
        Validation users, asking trained models.
    """
    found = {name: calibrate_strategy(folds, name) for name in strategies_of(folds[0].query.model)}
    return {name: calibration for name, calibration in found.items() if calibration is not None}


def calibrate_strategy(folds: Sequence[Fold], name: str) -> Calibration | None:
    """Return the calibration of one strategy; None where its scores stand for none, or too little is known."""
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
    """Fit the probability of use to lists; None where all places hit, or none.

    Logistic regression on log(1 + place), the root of the place (from 0) and the score of the first place. On test
    users it was better calibrated than isotonic regression on scores, which are not comparable over users, and told
    more than isotonic regression on places (`python benchmarks/calibration.py`).

    Parameters
    ----------
    scores
        float32, shape (n_users, k), best first.
    listed
        Whether there is an item, bool, shape (n_users, k).
    hits
        Whether the user used it afterwards, bool, shape (n_users, k).

    Raises
    ------
    MissingExtraError
        Libraries for training are not installed.
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
    spread[spread == 0] = 1  # one place, or one score
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
