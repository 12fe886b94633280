"""Split: who is warm and who is cold, and what was known of each at the end of day one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from firstday.data.events import Pair, Window
from firstday.sparse import SparseRows

Actions = Mapping[Pair, SparseRows]


@dataclass(frozen=True, eq=False)
class Cohort:
    """Users judged by day one alone, and what they used afterwards.

    Parameters
    ----------
    users
        `user_ix`, shape (n,).
    day_one
        What they did on day one, rows in the order of `users`.
    truth
        Items used afterwards, shape (n, n_items), all weights 1.
    day_one_size
        int64, shape (n,): items used on day one.
    """

    users: np.ndarray
    day_one: Actions
    truth: SparseRows
    day_one_size: np.ndarray

    def __len__(self) -> int:
        return len(self.users)

    @property
    def did_nothing(self) -> np.ndarray:
        """Whether each user left nothing but a profile on day one, bool, shape (n,)."""
        nothing: np.ndarray = self.day_one_size == 0
        for rows in self.day_one.values():
            nothing &= rows.lengths() == 0
        return nothing


@dataclass(frozen=True, eq=False)
class Split:
    """Warm users with all they did, and cold users with day one and truth.

    Parameters
    ----------
    warm
        `user_ix` of warm users, shape (n_warm,).
    warm_actions
        All that warm users did, rows in the order of `warm`: what embeddings, segments and popularity are made of.
    warm_day_one
        One or more day ones of the warm users, rows in the order of `warm`.
    validation, cold
        Users for early stopping and tuning, and users to report on.
    light
        `user_ix` of light users, shape (n_light,): those who used something, but too few items to be warm. Nothing
        is learned from them; they count as friends. None where no friendships are known.
    light_actions
        All that light users did, rows in the order of `light`.
    protocol
        How they were told apart.
    warm_window
        When what warm users did is in `warm_actions`, by `user_ix` of all users; None: always.
    notes
        Sentences about what was decided.
    """

    warm: np.ndarray
    warm_actions: Actions
    warm_day_one: tuple[Actions, ...]
    validation: Cohort
    cold: Cohort
    light: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    light_actions: Actions = field(default_factory=dict)
    protocol: str = "sampled"
    warm_window: Window | None = None
    notes: tuple[str, ...] = ()
