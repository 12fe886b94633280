"""Split: warm, validation and cold users, with their interactions on day one and later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from firstday.data.events import Pair, Window
from firstday.data.ids import Ids
from firstday.data.user_rows import take_rows
from firstday.display import readable
from firstday.sparse import SparseRows

Actions = Mapping[Pair, SparseRows]
"""Summed weights of users' interactions by (signal, entity) pair, shape (n_users, n_targets)."""


@readable
@dataclass(frozen=True, eq=False)
class Cohort:
    """Users with their day one as input, and the items they used afterwards as truth; a row per user in each field."""

    users: np.ndarray  # `user_ix`, shape (n,)
    day_one: Actions  # interactions on day one
    truth: SparseRows  # items used afterwards, shape (n, n_items), all weights 1
    day_one_size: np.ndarray  # number of items used on day one, int64, shape (n,)
    day_end_us: np.ndarray | None = None  # end of day one in microseconds since 1970 UTC, int64; None if sampled
    # Items added after the user's target window, or expired by the end of day one, shape (n, n_items).
    unavailable: SparseRows | None = None

    def __len__(self) -> int:
        return len(self.users)

    @property
    def did_nothing(self) -> np.ndarray:
        """Whether each user has no interaction on day one, bool, shape (n,)."""
        nothing = self.day_one_size == 0
        for rows in self.day_one.values():
            nothing &= rows.lengths() == 0
        return nothing

    def take(self, rows: np.ndarray) -> Cohort:
        """Select rows, in the given order."""
        return Cohort(**take_rows(vars(self), rows))

    def with_truth(self) -> Cohort:
        """Return the users who used something afterwards."""
        return self.take(np.flatnonzero(self.truth.lengths()))


@readable
@dataclass(frozen=True, eq=False)
class Split:
    """Warm users with all their interactions, and cold users with day one and truth."""

    warm: np.ndarray  # `user_ix`, shape (n_warm,)
    warm_actions: Actions  # all interactions of warm users; input of embeddings, segments and popularity
    warm_day_one: tuple[Actions, ...]  # one or more day ones of the warm users
    validation: Cohort  # users for early stopping and tuning
    cold: Cohort  # users to evaluate on
    newest: Cohort | None = None  # newest past newcomers, warm or not; None if sampled
    folds: tuple[np.ndarray, ...] = ()  # rows of `validation`, see `Roles`
    protocol: str = "sampled"
    warm_window: Window | None = None  # time window of `warm_actions`, a row for each `user_ix`; None: all times
    notes: tuple[str, ...] = ()  # sentences on the split

    def held_out_ids(self, users: Ids) -> Ids:
        """Return the ids of validation and cold users who are not warm, given those of all users."""
        evaluated = np.concatenate([self.validation.users, self.cold.users])
        return Ids(users.take(np.setdiff1d(evaluated, self.warm)))

    def fold(self, rows: np.ndarray) -> Split:
        """Hold out some validation users, given by rows of `validation`; drop the others from `validation`."""
        cohort = self.validation.take(rows)
        split = self.keep_warm(np.flatnonzero(~np.isin(self.warm, cohort.users)))
        return replace(split, validation=cohort, folds=())

    def keep_warm(self, rows: np.ndarray) -> Split:
        """Restrict the warm users to the given rows of `warm`, in the given order."""
        return replace(
            self,
            warm=self.warm[rows],
            warm_actions=take_actions(self.warm_actions, rows),
            warm_day_one=tuple(take_actions(day_one, rows) for day_one in self.warm_day_one),
        )


def take_actions(actions: Actions, rows: np.ndarray) -> Actions:
    """Select rows of all matrices, in the given order."""
    return take_rows(actions, rows)
