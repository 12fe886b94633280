"""The `sampled` protocol: cold users and day ones drawn at random, for data without a clock (DESIGN, Protocols)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from firstday.config import SampledProtocolConfig, SignalConfig
from firstday.data.dataset import Dataset
from firstday.data.events import ITEM
from firstday.data.splits.split import Actions, Cohort, Split
from firstday.errors import DataError, count_of
from firstday.sparse import SparseRows, contains, union_rows


def split_sampled(
    dataset: Dataset,
    signals: SignalConfig,
    protocol: SampledProtocolConfig,
    *,
    seed: int,
    with_cold: bool = True,
    held_out: np.ndarray | None = None,
) -> Split:
    """Split users at random and draw a day one for each (DESIGN, `sampled` protocol).

    Parameters
    ----------
    dataset
        The data; users with fewer than `protocol.min_items` used items are light: they count as friends only.
    signals
        Which signals are use, and which are given at registration.
    protocol
        Shares, sizes, probabilities, and how many day ones are drawn of each warm user.
    seed
        Seed of the split and of every draw.
    with_cold
        Whether a share of users is held out to report on; without it these are warm too.
    held_out
        Without `with_cold`: who takes part in nothing, bool, shape (n_users,); those who could be warm are cold then.

    Raises
    ------
    DataError
        Too few users to split.
    """
    actions = dataset.all_actions()
    uses = unite_uses(actions, signals)
    n_used = uses.lengths()
    is_learner = np.ones(len(n_used), dtype=bool) if held_out is None else ~held_out
    eligible = np.flatnonzero((n_used >= protocol.min_items) & is_learner)
    rng = np.random.default_rng(seed)
    order = rng.permutation(eligible)
    n_warm, n_validation, _ = share_out(len(order), protocol, with_cold=with_cold)
    warm, validation, cold = np.split(order, [n_warm, n_warm + n_validation])
    if held_out is not None:
        cold = np.flatnonzero((n_used >= protocol.min_items) & held_out)
    warm = warm[have_vectors(dataset, warm)]  # a warm user needs one, a cold user does not
    if are_too_few(len(warm), len(validation), len(cold), with_cold=with_cold):
        raise DataError(tell_too_few_items(len(eligible), len(dataset.users), protocol))
    light = select_light(uses, (n_used < protocol.min_items) & is_learner, dataset)
    # A random stream for each kind of user: a draw depends on neither the other kinds nor `day_ones`.
    sizes, probabilities = np.asarray(protocol.sizes), np.asarray(protocol.probabilities)
    warm_draw, validation_draw, cold_draw = (
        DayOneDraw(actions, uses, signals, sizes, probabilities, draw_rng) for draw_rng in rng.spawn(3)
    )
    return Split(
        warm,
        {pair: rows.take(warm) for pair, rows in actions.items()},
        tuple(warm_draw.cohort(warm).day_one for _ in range(protocol.resolve_day_ones(len(warm)))),
        validation_draw.cohort(validation),
        cold_draw.cohort(cold),
        light,
        {pair: rows.take(light) for pair, rows in actions.items()},
        notes=note_light(len(light), protocol.min_items),
    )


def share_out(n_eligible: int, protocol: SampledProtocolConfig, *, with_cold: bool) -> tuple[int, int, int]:
    """Return how many of the users with enough items are to be warm, for validation, and cold."""
    n_validation = round(protocol.validation * n_eligible)
    n_warm = round(protocol.warm * n_eligible) if with_cold else n_eligible - n_validation
    return n_warm, n_validation, n_eligible - n_warm - n_validation


def have_vectors(dataset: Dataset, users: np.ndarray) -> np.ndarray:
    """Tell which users have a precomputed vector, bool, shape (n,); all of them where there is no such table."""
    if dataset.precomputed is None:
        return np.ones(len(users), dtype=bool)
    finite: np.ndarray = np.isfinite(dataset.precomputed.user_vectors[users]).all(axis=1)
    return finite


def are_too_few(n_warm: int, n_validation: int, n_cold: int, *, with_cold: bool) -> bool:
    """Tell whether a split is refused: it needs two warm users and two for validation, and a cold one to report on."""
    return min(n_warm, n_validation) < 2 or (with_cold and n_cold < 1)


def tell_too_few_items(n_eligible: int, n_users: int, protocol: SampledProtocolConfig) -> str:
    """Return the error of a split with too few users who used enough items."""
    return (
        f"interactions: {count_of(n_eligible, n_users, 'users')} have at least {protocol.min_items} used items, too "
        "few to train on; bring more data or lower sampled.min_items in the configuration."
    )


NO_ROW_LEFT = (
    "interactions: no row is left to learn from (rows in the future are left out); bring interactions of the past, or "
    "correct the clock that wrote them."
)


def tell_no_use(n_interactions: int, signals: SignalConfig) -> str:
    """Return the error of interactions among which no item is used."""
    if not n_interactions:
        return NO_ROW_LEFT
    return (
        f"interactions.signal: no interaction with an item is a use ({', '.join(signals.use)}); "
        "name the signals that are in signals.use of the configuration."
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


def select_light(uses: SparseRows, is_light: np.ndarray, dataset: Dataset) -> np.ndarray:
    """Return the `user_ix` of light users who use any item; none where no friendships are known."""
    if dataset.friends is None:
        return np.zeros(0, dtype=np.int64)
    return np.flatnonzero(is_light & (uses.lengths() > 0))


def note_light(n_light: int, min_items: int) -> tuple[str, ...]:
    """Return a note on how many users are light, if any are."""
    if not n_light:
        return ()
    return (f"{n_light:,} users with fewer than {min_items} items are light: they may count as friends, and no more.",)


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
