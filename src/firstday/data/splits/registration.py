"""The `registration` protocol: a user's day one is the actual first day in the log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import polars as pl

from firstday.config import Config, SignalConfig
from firstday.data.dataset import Dataset
from firstday.data.events import Window
from firstday.data.splits.histories import MIN_LEARNED_ITEMS, Histories, write_moment
from firstday.data.splits.roles import Roles
from firstday.data.splits.sampled import draw_day_ones, unite_uses
from firstday.data.splits.snapshot import find_first_seen
from firstday.data.splits.split import Actions, Cohort, Split, take_actions
from firstday.errors import count_of
from firstday.sparse import SparseRows, contains, stack_rows
from firstday.tables.schema import RECOMMENDABLE

MIN_LOGGED_DAY_ONES = 100
"""Minimum number of logged day ones from which to draw the sizes of sampled day ones; with fewer, settings apply."""

MAX_NEWEST = 2_000
"""Maximum number of the newest past newcomers, on whom the clock is chosen."""


def split_registration(dataset: Dataset, config: Config, histories: Histories, roles: Roles) -> Split:
    """Collect the interactions of users by role."""
    life = histories.life(config.registration)
    life_actions = dataset.actions(life)
    day_actions, target_actions = map(dataset.actions, _windows(histories, config))
    first_seen = find_first_seen(dataset)

    def cohort(users: np.ndarray) -> Cohort:
        members = _make_cohort(users, day_actions, target_actions, histories, config.signals)
        ends = zip(histories.day_end_us[members.users], histories.target_end_us[members.users], strict=True)
        unavailable = [np.flatnonzero(dataset.find_expired(day) | (first_seen >= target)) for day, target in ends]
        return replace(members, unavailable=SparseRows.from_lists(unavailable, len(first_seen)))

    assert life is not None
    return Split(
        warm=roles.warm,
        warm_actions=take_actions(life_actions, roles.warm),
        warm_day_one=(_warm_day_ones(roles, histories, life_actions, day_actions, config),),
        validation=cohort(roles.validation),
        cold=cohort(roles.cold),
        newest=cohort(find_newest(histories, roles.cold)),
        folds=roles.folds,
        protocol="registration",
        warm_window=life,
        notes=tuple(_describe(dataset, histories, roles, life, config)),
    )


def find_newest(histories: Histories, held_out: np.ndarray) -> np.ndarray:
    """Return the newest past newcomers who are not among some users, given by `user_ix`, ascending."""
    users = np.setdiff1d(np.flatnonzero(histories.can_be_evaluated), held_out)
    return np.sort(users[np.argsort(-histories.day_end_us[users], kind="stable")][:MAX_NEWEST])


def collect_newcomers(
    dataset: Dataset, config: Config, histories: Histories, users: np.ndarray, cut_off: int = -1
) -> Cohort:
    """Return the day ones and truth of users with new items in the target window.

    `Cohort.unavailable` has what expired after a cut-off, by the end of each user's day one.
    """
    day_actions, target_actions = map(dataset.actions, _windows(histories, config))
    cohort = _make_cohort(users, day_actions, target_actions, histories, config.signals)
    if dataset.expires_at is None:
        return cohort
    is_later = ~dataset.find_expired(cut_off)
    expired = [np.flatnonzero(dataset.find_expired(end) & is_later) for end in histories.day_end_us[cohort.users]]
    return replace(cohort, unavailable=SparseRows.from_lists(expired, len(is_later)))


def _windows(histories: Histories, config: Config) -> tuple[Window, Window]:
    """Return each user's windows of day one and of the target."""
    life = histories.life(config.registration)
    day_end_us = histories.day_end_us
    assert life is not None
    day = Window(life.start, np.minimum(day_end_us, life.end))
    return day, Window(day_end_us, histories.target_end_us)


def _make_cohort(
    users: np.ndarray, day_actions: Actions, target_actions: Actions, histories: Histories, signals: SignalConfig
) -> Cohort:
    """Build a cohort of those users who used something new in the target window."""
    day_ones = take_actions(day_actions, users)
    on_day = unite_uses(day_ones, signals)
    after = unite_uses(take_actions(target_actions, users), signals)
    truth = after.keep(~contains(on_day, after))
    return Cohort(users, day_ones, truth, on_day.lengths(), histories.day_end_us[users]).with_truth()


def _warm_day_ones(
    roles: Roles, histories: Histories, life_actions: Actions, day_actions: Actions, config: Config
) -> Actions:
    """Return warm users' day ones: from the log if it includes them, else sampled from all of the user's interactions.

    Sizes are sampled from the day ones of users other than validation users, on whom the model is evaluated.
    """
    assert histories.log is not None
    warm = roles.warm
    sampled = config.sampled
    start = histories.log.start
    is_logged = histories.registered_us[warm] >= start
    logged = warm[is_logged]
    unlogged = warm[~is_logged]
    if not len(unlogged):
        return take_actions(day_actions, warm)
    sizes = np.asarray(sampled.sizes)
    probabilities = np.asarray(sampled.probabilities)
    others = np.setdiff1d(logged[histories.n_used[logged] >= MIN_LEARNED_ITEMS], roles.validation)
    if len(others) >= MIN_LOGGED_DAY_ONES:
        logged_sizes = unite_uses(take_actions(day_actions, others), config.signals).lengths()
        sizes, probabilities = np.unique(logged_sizes, return_counts=True)
    rng = np.random.default_rng(config.seed)
    drawn_days = draw_day_ones(life_actions, config.signals, sizes, probabilities, unlogged, rng).day_one
    order = np.argsort(np.argsort(~is_logged, kind="stable"))  # inverse of the order in which they are stacked
    day_ones = {}
    for pair, rows in day_actions.items():
        stacked = stack_rows([rows.take(logged), drawn_days[pair]])
        day_ones[pair] = stacked.take(order)
    return day_ones


def _describe(dataset: Dataset, histories: Histories, roles: Roles, life: Window, config: Config) -> Iterator[str]:
    """Describe warm and validation users, sampled day ones, and interactions that are left out."""
    assert histories.log is not None
    start, end = map(write_moment, (histories.log.start, histories.log.end))
    n_folds = len(roles.folds)
    held_out = f"are used for cross-fitting in {n_folds} fold{'s' * (n_folds > 1)}" if n_folds else "are held out"
    n_registered = int((histories.registered_us >= 0).sum())
    yield (
        f"{count_of(len(roles.warm), n_registered, 'users')} are warm: they used an item before {end}. "
        f"{len(roles.validation):,} past newcomers with a target window of {histories.target_days:g} days {held_out}."
    )
    if n_unlogged := int((histories.registered_us[roles.warm] < histories.log.start).sum()):
        yield (
            f"day one of {count_of(n_unlogged, len(roles.warm), 'warm users')} is before the log, which begins "
            f"{start}; it was sampled from all items of the user."
        )
    if n_unknown := len(histories) - n_registered:
        yield (
            f"users.registered_at: {count_of(n_unknown, len(histories), 'users')} have neither a time nor an "
            "interaction with one, and are left out."
        )
    if n_left_out := len(dataset.events) - sum(len(life.select(frame)) for frame in dataset.events.frames()):
        yield (
            f"interactions: {count_of(n_left_out, len(dataset.events), 'rows')} have no time, or are more than "
            f"{config.registration.early_hours:g} h before their user's registration, and were left out."
        )
    if n_withdrawn := int((~dataset.columns.get(RECOMMENDABLE, pl.Series([True]))).sum()):
        yield (
            f"items.recommendable: {count_of(n_withdrawn, len(dataset.items), 'items')} are not recommendable now; "
            "lists of past newcomers may have them, as only expires_at says since when."
        )
