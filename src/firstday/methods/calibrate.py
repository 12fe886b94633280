"""Calibration of scores: the probability that an item is used, fitted on validation users (not in the paper).

Under `registration`, the newest of them are taken, as newcomers change over time, and the odds are corrected for what
the counts of the whole log reveal about these users' later days (`measure_drift`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from firstday.data.first_uses import FirstUses
from firstday.methods.clock import MIN_USES, clock_factors, clock_of, clock_terms, go_back
from firstday.model.calibration import Calibration, log_known
from firstday.ranking import rank_scores
from firstday.recommend.fold import Fold, TrainingRun, day_ends, head
from firstday.recommend.registry import find_strategy
from firstday.recommend.spec import PROBABILITY
from firstday.recommend.support import strategies_of

MAX_CALIBRATION_USERS = 1_000
"""Maximum number of validation users to fit on."""
MIN_CALIBRATION_USERS = 20
"""Minimum number of validation users a strategy must answer to be calibrated."""
MIN_NEWEST, NEWEST_SHARE = 200, 1 / 3
"""Number of the newest validation users to fit on under `registration`: at least `MIN_NEWEST`, or a share of all."""
N_RANKS = 100
"""Length of the lists to fit on."""
DRIFT_RANKS = 20
"""Length of the lists by popularity by which drift is measured."""
DRIFT_SMOOTHING = 10.0
"""Pseudo-hits added to both counts of hits."""


def calibrate_run(run: TrainingRun) -> dict[str, Calibration]:
    """Return the calibrations of a training, with the clock as of each user's first day; none without folds."""
    if not run.folds:
        return {}
    return calibrate(go_back(run.folds, run.first_uses, clock_of(run.model)), run.first_uses)


def calibrate(folds: Sequence[Fold], first_uses: FirstUses | None) -> dict[str, Calibration]:
    """Return the calibration of each strategy of scale `PROBABILITY`, by name; none for those with too little data."""
    folds = [fold.with_length(N_RANKS) for fold in take_newest(folds)]
    drift = measure_drift(folds, first_uses)
    calibrations = {}
    for name in strategies_of(folds[0].model):
        if find_strategy(name).scale == PROBABILITY:
            inputs, is_used, n_users = collect_listed(folds, name, first_uses)
            fitted = fit_calibration(inputs, is_used, n_users, drift) if n_users >= MIN_CALIBRATION_USERS else None
            if fitted is not None:
                calibrations[name] = fitted
    return calibrations


def collect_listed(
    folds: Sequence[Fold], name: str, first_uses: FirstUses | None
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the inputs and targets of `fit_calibration` for a strategy's lists, and the number of users it answers.

    Items that a model of the time would not have known are left out.
    """
    n_users = 0
    inputs = []
    is_used = []
    for fold in folds:
        answer = find_strategy(name).recommend(fold.query)
        users = np.flatnonzero(answer.routes == name)
        n_users += len(users)
        items = answer.items[users]
        n_users_then = count_users_then(fold, first_uses)
        is_known = (n_users_then > 0) | ~n_users_then.any()
        rows, positions = np.nonzero((items >= 0) & is_known[items])
        is_used.append(fold.truth.take(users).has(items)[rows, positions])
        users = users[rows]
        levels = answer.levels[users] if answer.levels.size else np.zeros(len(users))
        columns = answer.scores[users, positions], levels, log_known(fold.query.n_known[users])
        inputs.append(np.stack(columns, axis=1))
    return np.concatenate(inputs), np.concatenate(is_used), n_users


def fit_calibration(inputs: np.ndarray, is_used: np.ndarray, n_users: int, drift: float = 0.0) -> Calibration | None:
    """Fit the log-odds of use by logistic regression; `drift` is added to them.

    None if all listed items are used, or none are, or items with higher scores are not used more often.

    `inputs` has the score, the user's level and `log_known` of each listed item, float64, shape (n_listed, 3);
    `is_used` is whether the user went on to use the item, shape (n_listed,).
    """
    if is_used.all() or not is_used.any():
        return None
    intercept, slope, level, known = fit_logistic(inputs, is_used, 1e3).tolist()
    return Calibration(intercept + drift, slope, level, known, n_users) if slope > 0 else None


def fit_logistic(inputs: np.ndarray, is_used: np.ndarray, inverse_penalty: float = 1.0) -> np.ndarray:
    """Return the intercept and the weights of a logistic regression, penalised by standard deviation; float64.

    A constant input has the weight 0.
    """
    from sklearn.linear_model import LogisticRegression

    centre = inputs.mean(axis=0)
    spread = inputs.std(axis=0)
    spread[spread == 0] = 1
    fitted = LogisticRegression(C=inverse_penalty, max_iter=1_000).fit((inputs - centre) / spread, is_used)
    weights = fitted.coef_[0] / spread
    return np.append(fitted.intercept_ - centre @ weights, weights)


def take_newest(folds: Sequence[Fold]) -> list[Fold]:
    """Return the validation users to fit on: under `registration`, those whose day one ended last."""
    if folds[0].day_end_us is None:
        return head(folds, MAX_CALIBRATION_USERS)
    ends = np.sort(day_ends(folds))
    n_newest = min(MAX_CALIBRATION_USERS, max(MIN_NEWEST, round(NEWEST_SHARE * len(ends))))
    return [fold.take(np.flatnonzero(fold.day_end_us >= ends[-n_newest:][0])) for fold in folds]


def count_users_then(fold: Fold, first_uses: FirstUses | None) -> np.ndarray:
    """Return the number of users of each item by the moment of a fold, shape (n_items,).

    All are 0 without times, and if the log had just begun.
    """
    n_users = np.zeros(fold.model.n_items)
    if first_uses is not None and fold.moment_us is not None:
        n_users = first_uses.until(fold.moment_us).n_users
    return n_users * (n_users.sum() >= MIN_USES)


def measure_drift(folds: Sequence[Fold], first_uses: FirstUses | None) -> float:
    """Return the drift in log-odds, 0 without times.

    Models of past newcomers count what others used on their later days, which no model of tomorrow's newcomers can. The
    drift is the logarithm of how many hits lists by popularity and the clock have if counted until each user's moment,
    relative to the counts of the model. Users who came when the log had just begun are left out.
    """
    hits_then = hits_now = DRIFT_SMOOTHING
    for fold in folds:
        n_users = count_users_then(fold, first_uses)
        if n_users.any():
            factors = 1 if clock_terms(fold.model) is None else fold.model.derive(clock_factors)
            hits_then += _count_hits(fold, n_users * factors)
            hits_now += _count_hits(fold, fold.model.popularity * factors)
    return float(np.log(hits_then / hits_now))


def _count_hits(fold: Fold, counts: np.ndarray) -> int:
    """Return how many of the items with the highest counts, shape (n_items,), the users went on to use."""
    scores = np.where(counts > 0, counts, -np.inf).astype(np.float32)
    items, _ = rank_scores(lambda rows: np.tile(scores, (len(rows), 1)), fold.query.excluded, DRIFT_RANKS)
    return int((fold.truth.has(items) & (items >= 0)).sum())
