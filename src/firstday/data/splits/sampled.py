"""The `sampled` protocol: random cold users and day ones, for data without timestamps."""

from __future__ import annotations

from functools import partial

import numpy as np

from firstday.config import Config, SignalConfig
from firstday.data.dataset import Dataset
from firstday.data.events import ITEM
from firstday.data.splits.histories import MIN_LEARNED_ITEMS, Histories
from firstday.data.splits.roles import Roles
from firstday.data.splits.split import Actions, Cohort, Split, take_actions
from firstday.sparse import SparseRows, contains, union_rows


def split_sampled(dataset: Dataset, config: Config, histories: Histories, roles: Roles) -> Split:
    """Sample a day one for each user; for warm users, the configured number of day ones."""
    actions = dataset.actions()
    protocol = config.sampled
    draw = partial(draw_day_ones, actions, config.signals, np.array(protocol.sizes), np.array(protocol.probabilities))

    # Each role has its own random stream, so its draws depend neither on other roles nor on the number of day ones.
    warm_rng, validation_rng, cold_rng = np.random.default_rng(config.seed).spawn(3)
    n_day_ones = protocol.resolve_day_ones(int((histories.n_used[roles.warm] >= MIN_LEARNED_ITEMS).sum()))
    return Split(
        warm=roles.warm,
        warm_actions=take_actions(actions, roles.warm),
        warm_day_one=tuple(draw(roles.warm, warm_rng).day_one for _ in range(n_day_ones)),
        validation=draw(roles.validation, validation_rng),
        cold=draw(roles.cold, cold_rng),
    )


def unite_uses(actions: Actions, signals: SignalConfig) -> SparseRows:
    """Return a binary matrix of used items, shape (n_users, n_items); needs at least one pair that means use."""
    uses = [rows for (signal, entity), rows in actions.items() if entity == ITEM and signal in signals.use]
    return union_rows(uses).ones()


def draw_day_ones(
    actions: Actions,
    signals: SignalConfig,
    sizes: np.ndarray,
    probabilities: np.ndarray,
    users: np.ndarray,
    rng: np.random.Generator,
) -> Cohort:
    """Sample a day one per user: some used items with all their interactions, and the same share of other actions.

    Signals given at registration belong to day one completely. `sizes`, in items, have unnormalised `probabilities`;
    a size is capped at half of the user's items.
    """
    actions = take_actions(actions, users)
    uses = unite_uses(actions, signals)
    lengths = uses.lengths()
    sizes_of_users = rng.choice(sizes, size=len(users), p=probabilities / probabilities.sum())
    drawn = np.minimum(sizes_of_users, lengths // 2)
    is_day_one = uses.draw(drawn, rng)
    for (signal, entity), rows in actions.items():
        if entity == ITEM and signal in signals.at_registration and signal in signals.use:
            is_day_one |= contains(rows, uses)
    share = drawn / np.maximum(lengths, 1)
    day_one_uses = uses.keep(is_day_one)
    day_one = {}
    for (signal, entity), rows in actions.items():
        if signal not in signals.at_registration:
            is_kept = rng.random(rows.n_entries) < np.repeat(share, rows.lengths())
            if entity == ITEM:
                is_kept = np.where(contains(uses, rows), contains(day_one_uses, rows), is_kept)
            rows = rows.keep(is_kept)
        day_one[signal, entity] = rows.ones()  # counts include later days
    return Cohort(users, day_one, uses.keep(~is_day_one), day_one_uses.lengths())
