"""Roles: users for training, for validation, and held out."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.events import Window
from firstday.data.splits.histories import MIN_LEARNED_ITEMS, Histories, LogSpan, read_histories, write_moment
from firstday.data.splits.split import Actions
from firstday.errors import DataError, count_of
from firstday.tables.schema import DAY_US

ENOUGH_VALIDATION = 500
"""Desired number of validation users: a held-out tenth if it is at least this large, else several folds."""
MOST_VALIDATION = 3_000
MAX_FOLDS = 5


@dataclass(frozen=True, eq=False)
class Roles:
    """Users by role in training, as int64 indexes of shape (n,).

    With folds of cross-fitting, validation users are also warm, and each fold is evaluated by a model trained without
    it; otherwise they are held out.
    """

    warm: np.ndarray  # users to train on: all count for popularity, those with `MIN_LEARNED_ITEMS` items for models
    validation: np.ndarray  # users for model selection
    cold: np.ndarray  # users excluded from training and validation
    folds: tuple[np.ndarray, ...] = ()  # indexes into `validation`


def assign_roles(
    histories: Histories, config: Config, *, with_cold: bool = False, held_out: np.ndarray | None = None
) -> Roles:
    """Assign roles, given the histories of all users with the chosen target window.

    `with_cold` draws cold users, under `sampled`. Of the users to hold out (`held_out`: mask, shape (n_users,)), those
    who can be evaluated become cold.
    """
    held_out = np.zeros(len(histories), dtype=bool) if held_out is None else held_out
    is_warm = histories.can_be_warm & ~held_out
    is_evaluable = histories.can_be_evaluated if histories.log else histories.n_used >= config.sampled.min_items
    evaluable = np.flatnonzero(is_evaluable & ~held_out)
    cold = np.flatnonzero(is_evaluable & held_out)
    if histories.log is not None:
        return _hold_out_newcomers(histories, is_warm, evaluable, cold)
    order = np.random.default_rng(config.seed).permutation(evaluable)
    n_validation = round(config.sampled.validation * len(order))
    n_warm = round(config.sampled.warm * len(order)) if with_cold else len(order) - n_validation
    validation, drawn = np.split(order[n_warm:], [n_validation])
    is_warm[order[n_warm:]] = False
    return Roles(np.flatnonzero(is_warm), validation, drawn if with_cold else cold)


def _hold_out_newcomers(histories: Histories, is_warm: np.ndarray, evaluable: np.ndarray, cold: np.ndarray) -> Roles:
    """Hold out a tenth of the evaluable users for validation; if these are too few, divide up to all into folds."""
    evaluable = evaluable[np.argsort(histories.numbers[evaluable], kind="stable")]
    n_held_out = min(MOST_VALIDATION, round(len(evaluable) / 10))
    if n_held_out >= ENOUGH_VALIDATION:
        validation = np.sort(evaluable[:n_held_out])
        is_warm[validation] = False
        return Roles(np.flatnonzero(is_warm), validation, cold)
    n_folds = ceil(ENOUGH_VALIDATION * MAX_FOLDS / max(1, len(evaluable)))
    folds = [np.sort(fold) for fold in np.array_split(evaluable, MAX_FOLDS)[:n_folds] if len(fold)]
    validation = np.sort(np.concatenate([evaluable[:0], *folds]))
    rows = tuple(np.searchsorted(validation, fold) for fold in folds)
    return Roles(np.flatnonzero(is_warm), validation, cold, rows)


def require_enough_users(roles: Roles, histories: Histories, config: Config, *, with_cold: bool = False) -> None:
    """Raise DataError if there are fewer than two users to train on or to validate on, or no required cold users."""
    log = histories.log
    learners = roles.warm[histories.n_used[roles.warm] >= MIN_LEARNED_ITEMS]
    n_in_folds = [len(np.intersect1d(learners, roles.validation[fold])) for fold in roles.folds]
    n_warm = len(learners) - max(n_in_folds, default=0)
    if min(n_warm, len(roles.validation)) >= 2 and (len(roles.cold) or not with_cold):
        return
    if log is None:
        n_eligible = int((histories.n_used >= config.sampled.min_items).sum())
        raise DataError(
            f"interactions: {count_of(n_eligible, len(histories), 'users')} have at least {config.sampled.min_items} "
            "used items, too few to train on; provide more data, or lower sampled.min_items in the configuration."
        )
    raise DataError(
        f"users: {n_warm:,} can be trained on (at least {MIN_LEARNED_ITEMS} used items) and {len(roles.validation):,} "
        f"validated on (registered in the log, and used something new within {histories.target_days:g} days that end "
        f"before {write_moment(log.end)}), but training needs 2 of each; correct users.registered_at, "
        f"provide a log longer than {(log.end - log.start) / DAY_US:.0f} days, set a shorter registration.target_days, "
        "or use the protocol `sampled`."
    )


def find_warm(part: Dataset, config: Config, log: LogSpan | None) -> tuple[np.ndarray, Actions, Window | None]:
    """Return the `user_ix` of a part's users who are warm if nobody is held out; and all users' actions and window."""
    histories = read_histories(part, config, log)
    window = histories.life(config.registration)
    return np.flatnonzero(histories.can_be_warm), part.actions(window), window
