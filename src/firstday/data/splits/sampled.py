"""The `sampled` protocol: cold users and day ones drawn at random, for data without a clock."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from firstday.config import SampledProtocolConfig, SignalConfig
from firstday.data.dataset import Dataset
from firstday.data.events import ITEM
from firstday.data.splits.roles import LEAST_LEARNED, Roles, tell_no_use
from firstday.data.splits.split import Actions, Cohort, Split, take_actions
from firstday.errors import DataError
from firstday.sparse import SparseRows, contains, union_rows


def split_sampled(
    dataset: Dataset, signals: SignalConfig, protocol: SampledProtocolConfig, roles: Roles, *, seed: int
) -> Split:
    """Draw a day one for each user of some roles.

    Parameters
    ----------
    dataset, roles
        The data, and who takes which part.
    signals
        Which signals are use, and which are given at registration.
    protocol
        Sizes, probabilities, and how many day ones are drawn of each warm user.
    seed
        Seed of every draw.
    """
    actions = dataset.all_actions()
    uses = unite_uses(actions, signals)
    # A random stream for each kind of user: a draw depends on neither the other kinds nor `day_ones`.
    sizes, probabilities = np.asarray(protocol.sizes), np.asarray(protocol.probabilities)
    warm_draw, validation_draw, cold_draw = (
        DayOneDraw(actions, uses, signals, sizes, probabilities, rng) for rng in np.random.default_rng(seed).spawn(3)
    )
    n_day_ones = protocol.resolve_day_ones(int((uses.lengths()[roles.warm] >= LEAST_LEARNED).sum()))
    return Split(
        warm=roles.warm,
        warm_actions=take_actions(actions, roles.warm),
        warm_day_one=tuple(warm_draw.cohort(roles.warm).day_one for _ in range(n_day_ones)),
        validation=validation_draw.cohort(roles.validation),
        cold=cold_draw.cohort(roles.cold),
    )


def item_uses(actions: Actions, signals: SignalConfig) -> list[SparseRows]:
    """Return the actions that are use of items, each of shape (n_users, n_items)."""
    return [rows for (signal, entity), rows in actions.items() if entity == ITEM and signal in signals.use]


def unite_uses(actions: Actions, signals: SignalConfig) -> SparseRows:
    """Return which items each user uses, all weights 1, shape (n_users, n_items).

    Raises
    ------
    DataError
        No interaction with an item is a use.
    """
    parts = item_uses(actions, signals)
    if not parts:
        raise DataError(tell_no_use(len(actions), signals))
    return union_rows(parts).ones()


@dataclass(frozen=True, eq=False)
class DayOneDraw:
    """Draws day ones: some used items with all interactions on them, and the same share of all other interactions.

    Parameters
    ----------
    actions
        All interactions, by pair, rows by `user_ix`.
    uses
        Items that each user uses, rows by `user_ix`.
    signals
        Which signals are given at registration.
    sizes, probabilities
        Day-one sizes in items, and how likely each is; at most half of a user's items are drawn.
    rng
        Randomness.
    """

    actions: Actions
    uses: SparseRows
    signals: SignalConfig
    sizes: np.ndarray
    probabilities: np.ndarray
    rng: np.random.Generator

    def cohort(self, users: np.ndarray) -> Cohort:
        """Draw one day one for each user."""
        uses = self.uses.take(users)
        lengths = uses.lengths()
        sizes = self.rng.choice(self.sizes, size=len(users), p=self.probabilities / self.probabilities.sum())
        sizes = np.minimum(sizes, lengths // 2)
        is_day_one = uses.draw(sizes, self.rng) | self._registration_uses(users, uses)
        share = sizes / np.maximum(lengths, 1)
        day_one_uses = uses.keep(is_day_one)
        day_one = {}
        for (signal, entity), rows in self.actions.items():
            user_rows = rows.take(users)
            if signal in self.signals.at_registration:
                day_one[signal, entity] = user_rows.ones()
                continue
            is_kept = self.rng.random(user_rows.n_entries) < np.repeat(share, user_rows.lengths())
            if entity == ITEM:
                is_kept = np.where(contains(uses, user_rows), contains(day_one_uses, user_rows), is_kept)
            day_one[signal, entity] = user_rows.keep(is_kept).ones()  # counts hold later days too
        return Cohort(users, day_one, uses.keep(~is_day_one), day_one_uses.lengths())

    def _registration_uses(self, users: np.ndarray, uses: SparseRows) -> np.ndarray:
        """Tell which used items were used at registration, bool, shape (n_entries of `uses`,)."""
        registration_uses = np.zeros(uses.n_entries, dtype=bool)
        for (signal, entity), rows in self.actions.items():
            if entity == ITEM and signal in self.signals.at_registration and signal in self.signals.use:
                registration_uses |= contains(rows.take(users), uses)
        return registration_uses
