"""Users held out of training to compare models on, in every run the same."""

from __future__ import annotations

import numpy as np

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.ids import Ids, stable_numbers
from firstday.data.splits.cut_offs import choose_target_days
from firstday.data.splits.histories import read_histories
from firstday.data.splits.holdout import log_of
from firstday.data.splits.split import Cohort

MIN_SHARE, MAX_SHARE = 0.02, 0.1
"""Bounds of the share of users held out; `MAX_HELD_OUT` takes precedence over the lower one."""
TARGET_USERS, MAX_HELD_OUT = 200, 10_000
"""Target (within the bounds of the share) and maximum number of held-out users who can be evaluated."""
MIN_COMPARED, MAX_COMPARED = 20, 2_000
"""Minimum and maximum number of users to compare models on; the newest are taken."""
_HASH_SEED = 2**31
"""Seed of the holdout hash, distinct from every training seed."""


def hash_users(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return a number from 0 to 1 per user; those below a share are held out. Shape (n_users,).

    The first number is that of the user's first id. The second one is the highest of all ids: while the user and a
    guest were apart, either may have been trained on.
    """
    numbers = np.asarray(stable_numbers(dataset.users, _HASH_SEED) / 2.0**64)
    highest = numbers.copy()
    if dataset.guests is not None:
        of_ids = stable_numbers(Ids(dataset.guests["own_id"]), _HASH_SEED) / 2.0**64
        users = dataset.guests["user_ix"].to_numpy()
        np.maximum.at(highest, users, of_ids)
        numbers[users[::-1]] = of_ids[::-1]  # the first id is written last
    return numbers, highest


def choose_share(dataset: Dataset, config: Config) -> float:
    """Return the share of users to hold out, given the number of users who can be evaluated."""
    histories = choose_target_days(read_histories(dataset, config, log_of(dataset, config)), config)
    is_eligible = histories.n_used >= config.sampled.min_items if histories.log is None else histories.can_be_evaluated
    n = max(1, int(is_eligible.sum()))
    return min(MAX_SHARE, max(MIN_SHARE, TARGET_USERS / n), MAX_HELD_OUT / n)


def take_newest(cohort: Cohort) -> Cohort:
    """Return the `MAX_COMPARED` users whose day one ended last."""
    rows = np.arange(len(cohort))
    if cohort.day_end_us is not None:
        rows = np.argsort(-cohort.day_end_us, kind="stable")
    return cohort.take(np.sort(rows[:MAX_COMPARED]))
