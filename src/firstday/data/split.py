"""Who is warm and who is cold, and what was known of each at the end of day one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from firstday.config import SampledProtocolConfig, SignalConfig
from firstday.data.dataset import Dataset
from firstday.data.events import ITEM, Pair, Window
from firstday.data.rows import SparseRows, union_rows
from firstday.errors import DataError

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
    protocol: str = "sampled"
    warm_window: Window | None = None
    notes: tuple[str, ...] = ()


def split_sampled(
    dataset: Dataset,
    signals: SignalConfig,
    protocol: SampledProtocolConfig,
    *,
    seed: int,
    samples: int = 1,
    with_cold: bool = True,
) -> Split:
    """Split users at random and draw a day one for each (DESIGN, `sampled` protocol).

    Parameters
    ----------
    dataset
        The data; users with fewer than `protocol.min_items` used items take no part.
    signals
        Which signals are use, and which are given at registration.
    protocol
        Shares, sizes and probabilities.
    seed
        Seed of the split and of every draw.
    samples
        Day ones drawn for each warm user.
    with_cold
        Whether a share of users is held out to report on; without it they are warm too.

    Raises
    ------
    DataError
        Too few users to split.
    """
    actions = dataset.all_actions()
    used = [rows for (signal, entity), rows in actions.items() if entity == ITEM and signal in signals.use]
    if not used:
        raise DataError(
            f"interactions.signal: no interaction with an item is a use ({', '.join(signals.use)}); "
            "name the signals that are in signals.use of the configuration."
        )
    uses = union_rows(used).ones()
    eligible = np.flatnonzero(uses.lengths() >= protocol.min_items)
    rng = np.random.default_rng(seed)
    order = rng.permutation(eligible)
    n_validation = round(protocol.validation * len(order))
    n_warm = round(protocol.warm * len(order)) if with_cold else len(order) - n_validation
    warm, validation, cold = np.split(order, [n_warm, n_warm + n_validation])
    if dataset.brought is not None:  # a warm user needs a vector; a cold one is judged with or without
        warm = warm[np.isfinite(dataset.brought.user_vectors[warm]).all(axis=1)]
    if min(len(warm), n_validation) < 2 or (with_cold and len(order) - n_warm - n_validation < 1):
        raise DataError(
            f"interactions: {len(eligible):,} of {len(dataset.users):,} users have at least {protocol.min_items} used "
            "items, too few to train on; bring more data or lower sampled.min_items in the configuration."
        )
    # A stream of randomness for each: nobody's draw depends on what users of another kind did, or on `samples`.
    of_warm, of_validation, of_cold = (_Draw(actions, uses, signals, protocol, own) for own in rng.spawn(3))
    return Split(
        warm,
        {pair: rows.take(warm) for pair, rows in actions.items()},
        tuple(of_warm.cohort(warm).day_one for _ in range(samples)),
        of_validation.cohort(validation),
        of_cold.cohort(cold),
    )


@dataclass(frozen=True, eq=False)
class _Draw:
    """Draws day ones: some used items with all that was done to them, and the same share of everything else."""

    actions: Actions
    uses: SparseRows
    signals: SignalConfig
    protocol: SampledProtocolConfig
    rng: np.random.Generator

    def cohort(self, users: np.ndarray) -> Cohort:
        """Draw one day one for each user."""
        uses = self.uses.take(users)
        lengths = uses.lengths()
        probabilities = np.asarray(self.protocol.probabilities) / sum(self.protocol.probabilities)
        sizes = self.rng.choice(self.protocol.sizes, size=len(users), p=probabilities)
        sizes = np.minimum(sizes, lengths // 2)
        drawn = uses.draw(sizes, self.rng) | self._given(users, uses)
        share = sizes / np.maximum(lengths, 1)
        seen = uses.keep(drawn)
        day_one = {}
        for (signal, entity), rows in self.actions.items():
            mine = rows.take(users)
            if signal in self.signals.at_registration:
                day_one[signal, entity] = mine.ones()
                continue
            kept = self.rng.random(mine.n_entries) < np.repeat(share, mine.lengths())
            if entity == ITEM:
                kept = np.where(_contains(uses, mine), _contains(seen, mine), kept)
            day_one[signal, entity] = mine.keep(kept).ones()  # how often it was done later is not known on day one
        return Cohort(users, day_one, uses.keep(~drawn), seen.lengths())

    def _given(self, users: np.ndarray, uses: SparseRows) -> np.ndarray:
        """Tell which used items were used while registering, bool, shape (n_entries of `uses`,)."""
        given = np.zeros(uses.n_entries, dtype=bool)
        for (signal, entity), rows in self.actions.items():
            if entity == ITEM and signal in self.signals.at_registration and signal in self.signals.use:
                given |= _contains(rows.take(users), uses)
        return given


def _contains(table: SparseRows, entries: SparseRows) -> np.ndarray:
    """Tell for each entry of a matrix whether the table has it too, bool, shape (n_entries,)."""
    keys = table.row_of_entry() * table.n_columns + table.columns
    asked = entries.row_of_entry() * entries.n_columns + entries.columns
    return np.isin(asked, keys)
