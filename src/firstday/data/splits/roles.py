"""Roles: who would be warm, and counts of what a split can make of users, part by part.

A part is a small Dataset: some of the users with all they did, and all items of the whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Literal

import numpy as np
import polars as pl

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.events import ITEM, Events, Window
from firstday.data.splits.registration import (
    DAY_US,
    Log,
    are_complete,
    find_cut_off,
    find_registrations,
    registered_after,
    windows_until,
)
from firstday.data.splits.sampled import have_vectors, item_uses
from firstday.data.splits.split import Actions, take_actions
from firstday.errors import ConfigError, DataError
from firstday.sparse import union_rows

ROWS_AT_ONCE = 500_000
"""Interactions whose first uses are found at once, about."""
Protocol = Literal["sampled", "registration"]


def choose_protocol(config: Config, *, is_dated: bool, has_times: bool) -> Protocol:
    """Return the configured protocol; under ``auto``, `registration` where registrations and times are known."""
    if config.protocol != "auto":
        return config.protocol
    return "registration" if is_dated and has_times else "sampled"


def find_warm(part: Dataset, config: Config, protocol: Protocol, log: Log | None) -> tuple[np.ndarray, Actions]:
    """Return the users of a part whom `train` would take as warm if it held out nobody, and what they did.

    Parameters
    ----------
    part
        Some users, or all.
    config
        Settings.
    protocol
        Under ``sampled`` everything counts; under ``registration`` what was done from `early_hours` before registration
        to the log's end.
    log
        The ends of everyone's log, for ``registration``.

    Returns
    -------
    warm : numpy.ndarray
        `user_ix` in the part, ascending, shape (n_warm,).
    actions : dict
        Their interactions by (signal, entity) pair, rows in the order of `warm`.

    Raises
    ------
    ConfigError
        There is no such time zone or column of time zones.
    """
    warm, actions, _ = find_warm_within(part, config, protocol, log)
    return warm, take_actions(actions, warm)


def find_warm_within(
    part: Dataset, config: Config, protocol: Protocol, log: Log | None
) -> tuple[np.ndarray, Actions, Window | None]:
    """Return the warm users of a part, what all users did, rows by `user_ix`, and the window of it; see `find_warm`."""
    window = None
    is_early = np.ones(len(part.users), dtype=bool)
    if protocol == "sampled":
        actions, min_items = part.all_actions(), config.sampled.min_items
    else:
        assert log is not None
        registrations = find_registrations(part, config.registration)
        is_early = registrations.registered_us >= 0
        window = windows_until(log.end, is_early, registrations, config.registration)
        (actions,) = part.actions(window)
        min_items = config.registration.min_items
    uses = item_uses(actions, config.signals)
    n_used = union_rows(uses).lengths() if uses else np.zeros(len(part.users), dtype=np.int64)
    warm = np.flatnonzero(is_early & (n_used >= min_items))
    return warm[have_vectors(part, warm)], actions, window


@dataclass(frozen=True)
class RoleCounts:
    """What a split can make of the users of a part; counts of parts add up.

    Parameters
    ----------
    users, interactions, uses
        Users, interactions, and those interactions that are use of an item.
    used
        Users who used any item; under ``registration``, from registration on.
    eligible, warm
        Users who used enough items to be warm, and those of them who have a vector where vectors are precomputed.
    undated
        Under ``registration``, users with neither a registration nor an interaction with a time.
    complete, complete_warm, complete_judged
        Users whose first day and target window are in the log, of whom `train` holds some out; those of them who are
        counted in `warm`; and those who used something new in the window.
    early_warm
        Users whom `evaluate` would take as warm: registered before the cut-off, with enough items until then.
    cold, idle
        Users who registered in the days after it, with something new in their target window and without.
    """

    users: int = 0
    interactions: int = 0
    uses: int = 0
    used: int = 0
    eligible: int = 0
    warm: int = 0
    undated: int = 0
    complete: int = 0
    complete_warm: int = 0
    complete_judged: int = 0
    early_warm: int = 0
    cold: int = 0
    idle: int = 0

    def __add__(self, other: RoleCounts) -> RoleCounts:
        return RoleCounts(**{of.name: getattr(self, of.name) + getattr(other, of.name) for of in fields(self)})

    @property
    def light(self) -> int:
        """Users who used some items, but too few to be warm."""
        return self.used - self.eligible


def count_roles(part: Dataset, config: Config, protocol: Protocol, log: Log | None) -> RoleCounts:
    """Count what a split can make of the users of a part, a part of the interactions at a time.

    Parameters
    ----------
    part, config, protocol, log
        See `find_warm`.

    Raises
    ------
    ConfigError
        There is no such time zone or column of time zones.
    """
    events = part.events
    n_users, codes = len(part.users), _use_codes(part, config)
    counts = RoleCounts(n_users, len(events), int(sum(events.counts[code] for code in codes)))
    if protocol == "sampled":
        (n_used,) = _count_users(part, codes, None, [None])
        eligible = np.flatnonzero(n_used >= config.sampled.min_items)
        warm = have_vectors(part, eligible)
        return counts + RoleCounts(used=_count(n_used > 0), eligible=len(eligible), warm=_count(warm))
    assert log is not None
    rules = config.registration
    registrations = find_registrations(part, rules)
    registered_us, day_end_us = registrations.registered_us, registrations.day_end_us
    is_dated = registered_us >= 0
    life = windows_until(log.end, is_dated, registrations, rules)
    cut_off = _cut_off_or_none(config, log)
    until = windows_until(log.start if cut_off is None else cut_off, is_dated, registrations, rules)
    target = Window(day_end_us, registered_us + int(rules.target_days * DAY_US))
    # An item is new in the target window if its first use of all lies there.
    n_used, n_early, n_new = _count_users(part, codes, life, [life, until, target])
    is_eligible = is_dated & (n_used >= rules.min_items)
    has_vector = have_vectors(part, np.arange(n_users))
    is_complete = are_complete(registrations, log, rules)
    counts += RoleCounts(
        used=_count(n_used > 0),
        eligible=_count(is_eligible),
        warm=_count(is_eligible & has_vector),
        undated=_count(~is_dated),
        complete=_count(is_complete),
        complete_warm=_count(is_complete & is_eligible & has_vector),
        complete_judged=_count(is_complete & (n_new > 0)),
    )
    if cut_off is None:
        return counts
    is_early = is_dated & (registered_us < cut_off) & (n_early >= rules.min_items)
    is_judged = registered_after(cut_off, registrations, log, rules)
    return counts + RoleCounts(
        early_warm=_count(is_early & has_vector),
        cold=_count(is_judged & (n_new > 0)),
        idle=_count(is_judged & (n_new == 0)),
    )


def _use_codes(part: Dataset, config: Config) -> list[int]:
    """Return the codes of the pairs that are use of an item."""
    pairs = enumerate(part.events.pairs)
    return [code for code, (signal, entity) in pairs if entity == ITEM and signal in config.signals.use]


def _count_users(
    part: Dataset, codes: list[int], within: Window | None, windows: list[Window | None]
) -> list[np.ndarray]:
    """Count for each user the items whose first use within a window lies in each of some windows, int64, (n_users,)."""
    n_users = len(part.users)
    counted = [np.zeros(n_users, dtype=np.int64) for _ in windows]
    for firsts in _first_uses(part, codes, within):
        for n_items, window in zip(counted, windows, strict=True):
            rows = firsts if window is None else window.select(firsts)
            n_items += np.bincount(rows["user_ix"].to_numpy(), minlength=n_users)
    return counted


def _first_uses(part: Dataset, codes: list[int], within: Window | None) -> Iterator[pl.DataFrame]:
    """Return when each user first used each item within a window: `user_ix` and `timestamp`, a row for each item."""
    for frame in _by_users(part.events):
        rows = frame.filter(pl.col("pair").is_in(codes))
        if within is not None:
            rows = within.select(rows)
        cells = rows["user_ix"].to_numpy().astype(np.int64) * len(part.items) + rows["target_ix"].to_numpy()
        _, first = np.unique(cells, return_index=True)  # the earliest: rows are in the order of user and time
        yield rows.select("user_ix", "timestamp")[first]


def _by_users(events: Events) -> Iterator[pl.DataFrame]:
    """Return the interactions of some users at a time, about `ROWS_AT_ONCE` rows: what is sorted meanwhile is small."""
    for frame in events.frames():
        users = frame["user_ix"].to_numpy()
        near = users[np.arange(0, len(users), ROWS_AT_ONCE)]
        bounds = [*np.unique(np.searchsorted(users, near)).tolist(), len(users)]
        for start, end in pairwise(bounds):
            yield frame[start:end]


def _count(mask: np.ndarray) -> int:
    return int(np.count_nonzero(mask))


def _cut_off_or_none(config: Config, log: Log) -> int | None:
    """Return the cut-off of `evaluate`, None where the log has no room for one."""
    try:
        return find_cut_off(config.registration, log)
    except (DataError, ConfigError):
        return None
