"""The `registration` protocol: users learn and are judged by their own registration day in the log."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from firstday.config import Config, SignalConfig
from firstday.data.dataset import Dataset
from firstday.data.events import Window
from firstday.data.splits.registrations import (
    DAY_US,
    Log,
    Registrations,
    find_registrations,
    windows_until,
    write_moment,
)
from firstday.data.splits.roles import LEAST_LEARNED, Roles
from firstday.data.splits.sampled import DayOneDraw, item_uses, unite_uses
from firstday.data.splits.snapshot import NEVER, find_first_seen
from firstday.data.splits.split import Actions, Cohort, Split, take_actions
from firstday.errors import count_of
from firstday.sparse import SparseRows, contains, stack_rows, union_rows

MIN_LOGGED_DAY_ONES = 100
"""With fewer day ones than this in the log, sizes of sampled ones come from the `sampled` protocol's settings."""
CELLS_AT_ONCE = 2**24


def split_registration(dataset: Dataset, config: Config, roles: Roles, log: Log, *, seed: int) -> Split:
    """Collect what the users of some roles did, in a log that ends when training begins.

    Parameters
    ----------
    dataset, roles
        The data, with times, and who takes which part.
    config
        Signals and protocols; `registration.target_days` is set.
    log
        The ends of the log.
    seed
        Seed of sampled day ones.

    Returns
    -------
    Split
        A warm user whose registration day is not in the log gets a day one drawn from all their items, with a size
        drawn from the logged day ones of the others.
    """
    protocol = config.registration
    registrations = find_registrations(dataset, protocol)
    life = windows_until(log.end, registrations, protocol)
    (life_actions,) = dataset.actions(life)
    day_actions, target_actions = _collect_days(dataset, config, registrations, life)
    first_seen = find_first_seen(dataset)

    def cohort(users: np.ndarray) -> Cohort:
        made = _make_cohort(users, day_actions, target_actions, registrations.day_end_us, config.signals)
        end_us = registrations.registered_us[made.users] + target_us(config)
        return replace(made, unborn=_find_unborn(first_seen, end_us))

    uses = unite_uses(life_actions, config.signals)
    warm_days, note = _warm_day_ones(
        roles, registrations, log, life_actions, day_actions, uses, config, np.random.default_rng(seed)
    )
    n_dated = int((registrations.registered_us >= 0).sum())
    held_out = f"are validated on by cross-fitting, in {len(roles.folds)} folds" if roles.folds else "are held out"
    notes = (
        f"{count_of(len(roles.warm), n_dated, 'users')} are warm: they used an item before {write_moment(log.end)}. "
        f"{len(roles.validation):,} past newcomers with a target window of "
        f"{protocol.target_days:g} days {held_out}.",
        *note,
        *registrations.notes,
    )
    return Split(
        warm=roles.warm,
        warm_actions=take_actions(life_actions, roles.warm),
        warm_day_one=(warm_days,),
        validation=cohort(roles.validation),
        cold=cohort(roles.cold),
        folds=roles.folds,
        protocol="registration",
        warm_window=life,
        notes=notes,
    )


def collect_newcomers(dataset: Dataset, config: Config, users: np.ndarray) -> tuple[Cohort, np.ndarray]:
    """Return the day ones of users and what they used afterwards, and when they registered, int64, shape (n,).

    Parameters
    ----------
    dataset, config
        See `split_registration`.
    users
        `user_ix` of users with a complete target window, shape (n,); those who used nothing new in it are left out.
    """
    registrations = find_registrations(dataset, config.registration)
    life = windows_until(NEVER, registrations, config.registration)
    actions = _collect_days(dataset, config, registrations, life)
    cohort = _make_cohort(users, *actions, registrations.day_end_us, config.signals)
    return cohort, registrations.registered_us[cohort.users]


def target_us(config: Config) -> int:
    """Return the length of the target window in microseconds."""
    assert config.registration.target_days is not None
    return int(config.registration.target_days * DAY_US)


def _find_unborn(first_seen: np.ndarray, end_us: np.ndarray) -> SparseRows:
    """Return which items did not exist before each of some moments, shape (n_moments, n_items)."""
    step = max(1, CELLS_AT_ONCE // max(1, len(first_seen)))
    parts = []
    for ends in np.split(end_us, range(step, len(end_us), step)):
        rows, columns = np.nonzero(first_seen >= ends[:, None])
        parts.append(SparseRows.from_pairs(rows, columns, None, len(ends), len(first_seen)))
    return stack_rows(parts)


def _collect_days(
    dataset: Dataset, config: Config, registrations: Registrations, life: Window
) -> tuple[Actions, Actions]:
    """Return what each user did on day one, and in the target window after it."""
    day_end_us = registrations.day_end_us
    day = Window(life.start, np.minimum(day_end_us, life.end))
    target = Window(day_end_us, registrations.registered_us + target_us(config))
    day_actions, target_actions = dataset.actions(day, target)
    return day_actions, target_actions


def _make_cohort(
    users: np.ndarray, day_actions: Actions, target_actions: Actions, day_end_us: np.ndarray, signals: SignalConfig
) -> Cohort:
    """Make the cohort of those users who used something new in the target window."""
    on_day = unite_uses(day_actions, signals).take(users)
    after = unite_uses(target_actions, signals).take(users)
    truth = after.keep(~contains(on_day, after))
    rows = np.flatnonzero(truth.lengths() > 0)
    return Cohort(
        users[rows],
        take_actions(day_actions, users[rows]),
        truth.take(rows),
        on_day.lengths()[rows],
        day_end_us[users[rows]],
    )


def _warm_day_ones(
    roles: Roles,
    registrations: Registrations,
    log: Log,
    life_actions: Actions,
    day_actions: Actions,
    uses: SparseRows,
    config: Config,
    rng: np.random.Generator,
) -> tuple[Actions, tuple[str, ...]]:
    """Return warm users' day ones: from the log, or else drawn from all their interactions.

    Validation users take no part in the sizes of drawn day ones, so that no model that judges them depends on them.
    """
    warm, signals, sampled = roles.warm, config.signals, config.sampled
    is_logged = registrations.registered_us[warm] >= log.start
    logged, unlogged = warm[is_logged], warm[~is_logged]
    if not len(unlogged):
        return {pair: rows.take(warm) for pair, rows in day_actions.items()}, ()
    sizes, probabilities = np.asarray(sampled.sizes), np.asarray(sampled.probabilities, dtype=np.float64)
    model = "those of sampled.sizes"
    others = np.setdiff1d(logged[uses.lengths()[logged] >= LEAST_LEARNED], roles.validation)
    if len(others) >= MIN_LOGGED_DAY_ONES:
        logged_sizes = union_rows([rows.take(others) for rows in item_uses(day_actions, signals)]).ones().lengths()
        sizes, counts = np.unique(logged_sizes, return_counts=True)
        probabilities, model = counts.astype(np.float64), "those of the others"
    drawn_days = DayOneDraw(life_actions, uses, signals, sizes, probabilities, rng).cohort(unlogged).day_one
    order = np.argsort(np.concatenate([np.flatnonzero(is_logged), np.flatnonzero(~is_logged)]))
    days = {pair: stack_rows([rows.take(logged), drawn_days[pair]]).take(order) for pair, rows in day_actions.items()}
    return days, (
        f"day one of {count_of(len(unlogged), len(warm), 'warm users')} is not in the log, which begins "
        f"{write_moment(log.start)}; it was drawn from all their items, with sizes like {model}.",
    )
