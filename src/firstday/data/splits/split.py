"""Split: warm, validation and cold users, with their interactions on day one and later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from firstday.data.events import Pair, Window
from firstday.display import readable
from firstday.sparse import SparseRows

Actions = Mapping[Pair, SparseRows]
"""Summed weights of users' interactions by (signal, entity) pair, shape (n_users, n_targets)."""


@readable
@dataclass(frozen=True, eq=False)
class Cohort:
    """Users with their day one as input, and the items they used afterwards as truth.

    Parameters
    ----------
    users
        `user_ix`, shape (n,).
    day_one
        Interactions on day one, rows in the order of `users`.
    truth
        Items used afterwards, shape (n, n_items), all weights 1.
    day_one_size
        Number of items used on day one: int64, shape (n,).
    day_end_us
        End of day one in microseconds since 1970 UTC: int64, shape (n,). None for sampled day ones.
    not_yet_added
        Items added after the end of the user's target window, shape (n, n_items); None if there are none.
    """

    users: np.ndarray
    day_one: Actions
    truth: SparseRows
    day_one_size: np.ndarray
    day_end_us: np.ndarray | None = None
    not_yet_added: SparseRows | None = None

    def __len__(self) -> int:
        return len(self.users)

    @property
    def did_nothing(self) -> np.ndarray:
        """Whether each user has no interaction on day one, bool, shape (n,)."""
        nothing: np.ndarray = self.day_one_size == 0
        for rows in self.day_one.values():
            nothing &= rows.lengths() == 0
        return nothing

    def take(self, rows: np.ndarray) -> Cohort:
        """Select rows, in the given order."""
        return Cohort(
            self.users[rows],
            take_actions(self.day_one, rows),
            self.truth.take(rows),
            self.day_one_size[rows],
            None if self.day_end_us is None else self.day_end_us[rows],
            None if self.not_yet_added is None else self.not_yet_added.take(rows),
        )


@readable
@dataclass(frozen=True, eq=False)
class Split:
    """Warm users with all their interactions, and cold users with day one and truth.

    Parameters
    ----------
    warm
        `user_ix` of warm users, shape (n_warm,).
    warm_actions
        All interactions of warm users, rows in the order of `warm`; input of embeddings, segments and popularity.
    warm_day_one
        One or more day ones of the warm users, rows in the order of `warm`.
    validation, cold
        Users for early stopping and tuning, and users to evaluate on.
    folds
        See `Roles`; indexes into `validation`.
    protocol
        Protocol that made the split.
    warm_window
        Time window of `warm_actions`, with a row for each `user_ix`; None means all times.
    notes
        Sentences on the split.
    """

    warm: np.ndarray
    warm_actions: Actions
    warm_day_one: tuple[Actions, ...]
    validation: Cohort
    cold: Cohort
    folds: tuple[np.ndarray, ...] = ()
    protocol: str = "sampled"
    warm_window: Window | None = None
    notes: tuple[str, ...] = ()

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
    return {pair: rows_of_pair.take(rows) for pair, rows_of_pair in actions.items()}
