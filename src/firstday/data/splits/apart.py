"""Warm users set apart: a model of the others lists items for them, from which lists learn their order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from firstday.config import SignalConfig
from firstday.data.ids import Ids, stable_numbers
from firstday.data.splits.sampled import unite_uses
from firstday.data.splits.split import Cohort, Split, take_actions
from firstday.sparse import contains

SHARE = 1 / 3
"""Share of the warm users who are set apart, chosen by a hash of their ids."""
MIN_APART, MAX_APART = 1_000, 10_000
"""Minimum and maximum number of users to set apart."""
_HASH_SEED = 2**30
"""Seed of the hash, distinct from every training seed."""


def set_apart(split: Split, users: Ids, signals: SignalConfig) -> Split | None:
    """Return a split whose validation users are warm users set apart, and whose warm users are the others.

    Validation users of `split` are not set apart. The day ones are the first samples, and all later uses the truth.
    None if there are too few users. `users` are the ids of all users.
    """
    numbers = stable_numbers(Ids(users.take(split.warm)), _HASH_SEED)
    is_candidate = (numbers < SHARE * 2.0**64) & ~np.isin(split.warm, split.validation.users)
    rows = np.flatnonzero(is_candidate)
    rows = np.sort(rows[np.argsort(numbers[rows])][:MAX_APART])
    day_one = take_actions(split.warm_day_one[0], rows)
    on_day = unite_uses(day_one, signals)
    uses = unite_uses(take_actions(split.warm_actions, rows), signals)
    truth = uses.keep(~contains(on_day, uses))
    apart = Cohort(split.warm[rows], day_one, truth, on_day.lengths()).with_truth()
    if len(apart) < MIN_APART:
        return None
    others = split.keep_warm(np.flatnonzero(~np.isin(split.warm, apart.users)))
    return replace(others, validation=apart, folds=())
