"""Roles: which users a training learns from, which ones it validates on, and which ones it keeps out.

The roles follow from a few numbers of each user (`Histories`), which parts of a large dataset count independently, so
that `check`, training and evaluation agree on every engine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl

from firstday.config import Config, SampledProtocolConfig, SignalConfig
from firstday.data.dataset import Dataset
from firstday.data.events import ITEM, Window
from firstday.data.ids import stable_numbers
from firstday.data.splits.registrations import (
    DAY_US,
    NO_ROW_LEFT,
    Log,
    Registrations,
    find_registrations,
    windows_until,
    write_moment,
)
from firstday.data.splits.snapshot import NEVER
from firstday.data.splits.split import Actions
from firstday.errors import DataError, count_of

Protocol = Literal["sampled", "registration"]
ENOUGH_VALIDATION = 500
"""Validation users that are wanted: in one held-out tenth, or else in several folds."""
MOST_VALIDATION = 3_000
MOST_FOLDS = 5
LEAST_LEARNED = 2
"""Items that a warm user must have used to be learned from: one alone says what is popular, not what goes together."""
COUNTS = ("interactions", "uses")


def choose_protocol(config: Config, *, is_dated: bool, has_times: bool) -> Protocol:
    """Return the configured protocol; under ``auto``, `registration` where registrations and times are known."""
    if config.protocol != "auto":
        return config.protocol
    return "registration" if is_dated and has_times else "sampled"


@dataclass(frozen=True, eq=False)
class Histories:
    """What the roles of users depend on.

    Parameters
    ----------
    numbers
        uint64, shape (n_users,): a hash of the user's id, by which users are drawn.
    n_used
        int64: items that each user used; under `registration`, since then.
    has_vector
        bool: whether each has a precomputed vector; True where vectors are learned.
    registered_us, day_end_us
        int64: see `Registrations`; -1 under `sampled`.
    returned_us
        int64: when each first used an item after day one that was not used on it; `NEVER` if at no time.
    interactions, uses
        Interactions of all users, and how many of them are uses of items.
    """

    numbers: np.ndarray
    n_used: np.ndarray
    has_vector: np.ndarray
    registered_us: np.ndarray
    day_end_us: np.ndarray
    returned_us: np.ndarray
    interactions: int
    uses: int

    def __len__(self) -> int:
        return len(self.numbers)

    def __add__(self, other: Histories) -> Histories:
        arrays = {name: [values, getattr(other, name)] for name, values in vars(self).items() if name not in COUNTS}
        joined: dict[str, Any] = {name: np.concatenate(pair) for name, pair in arrays.items()}
        return Histories(**joined, interactions=self.interactions + other.interactions, uses=self.uses + other.uses)

    @property
    def is_dated(self) -> np.ndarray:
        """Whether the registration of each user is known, bool, shape (n_users,)."""
        dated: np.ndarray = self.registered_us >= 0
        return dated

    def returned_within(self, days: float, log: Log) -> np.ndarray:
        """Tell who has a day one and a complete target window in the log and used something new in it, bool, (n,)."""
        end_us = self.registered_us + int(days * DAY_US)
        returned: np.ndarray = (
            self.is_dated & (self.registered_us >= log.start) & (end_us <= log.end) & (self.returned_us < end_us)
        )
        return returned


def read_histories(part: Dataset, config: Config, protocol: Protocol, log: Log | None) -> Histories:
    """Count what the roles of the users of a dataset, or of a part of one, depend on.

    Parameters
    ----------
    part, config, protocol
        Some users, or all; settings; and how cold users are told from warm ones.
    log
        The ends of everyone's log, for ``registration``.

    Raises
    ------
    ConfigError
        There is no such time zone or column of time zones.
    """
    n_users, events = len(part.users), part.events
    codes = [i for i, (signal, kind) in enumerate(events.pairs) if kind == ITEM and signal in config.signals.use]
    registrations, window = _find_lives(part, config, protocol, log)
    n_used, returned_us = np.zeros(n_users, dtype=np.int64), np.full(n_users, NEVER)
    for frame in events.frames():
        rows = frame.filter(pl.col("pair").is_in(codes))
        rows = rows if window is None else window.select(rows)
        first_uses = rows.group_by("user_ix", "target_ix").agg(pl.col("timestamp").min())
        user = first_uses["user_ix"].to_numpy()
        n_used += np.bincount(user, minlength=n_users)
        if window is not None:
            moment = first_uses["timestamp"].to_physical().to_numpy()
            is_later = moment >= registrations.day_end_us[user]
            np.minimum.at(returned_us, user[is_later], moment[is_later])
    return Histories(
        numbers=stable_numbers(part.users, config.seed),
        n_used=n_used,
        has_vector=have_vectors(part),
        registered_us=registrations.registered_us,
        day_end_us=registrations.day_end_us,
        returned_us=returned_us,
        interactions=len(events),
        uses=int(sum(events.counts[code] for code in codes)),
    )


def _find_lives(
    part: Dataset, config: Config, protocol: Protocol, log: Log | None
) -> tuple[Registrations, Window | None]:
    """Return registrations, and the window in which what users did counts; None without a clock: at all times."""
    if protocol == "sampled" or log is None:
        unknown = np.full(len(part.users), -1, dtype=np.int64)
        return Registrations(unknown, unknown, ()), None
    registrations = find_registrations(part, config.registration)
    return registrations, windows_until(log.end, registrations, config.registration)


@dataclass(frozen=True, eq=False)
class Roles:
    """Who takes which part in a training: positions of users, int64, each of shape (n,).

    Parameters
    ----------
    warm
        All others who used an item: all are counted, and those who used `LEAST_LEARNED` are learned from.
    validation
        Users to choose settings by.
    cold
        Users who are kept out of everything.
    folds
        Positions among `validation`, for each fold of cross-fitting: then these users are also warm, and each fold is
        judged by a model that did not learn from it. Empty: validation users are held out.
    """

    warm: np.ndarray
    validation: np.ndarray
    cold: np.ndarray
    folds: tuple[np.ndarray, ...] = ()


def assign_roles(
    histories: Histories,
    config: Config,
    protocol: Protocol,
    log: Log | None,
    *,
    seed: int,
    with_cold: bool = False,
    held_out: np.ndarray | None = None,
) -> Roles:
    """Assign every user a role.

    Parameters
    ----------
    histories, config, protocol, log
        See `read_histories`; `registration.target_days` is set.
    seed
        Seed of the draw under `sampled`.
    with_cold
        Under `sampled`: whether a share of the users is cold.
    held_out
        Who is kept out, bool, shape (n_users,): those who could be judged are cold.
    """
    is_free = np.ones(len(histories), dtype=bool) if held_out is None else ~held_out
    is_warm = is_free & can_be_warm(histories, protocol)
    if protocol == "sampled":
        is_eligible = histories.n_used >= config.sampled.min_items
        order = np.random.default_rng(seed).permutation(np.flatnonzero(is_eligible & is_free))
        n_warm, n_validation = share_out(len(order), config.sampled, with_cold=with_cold)
        validation, cold = np.split(order[n_warm:], [n_validation])
        is_warm[order[n_warm:]] = False
        cold = cold if held_out is None else np.flatnonzero(is_eligible & held_out)
        return Roles(np.flatnonzero(is_warm), validation, cold)
    assert log is not None
    assert config.registration.target_days is not None
    is_judged = histories.returned_within(config.registration.target_days, log)
    judged = np.flatnonzero(is_judged & is_free)
    judged = judged[np.argsort(histories.numbers[judged], kind="stable")]
    n_held_out, folds = min(MOST_VALIDATION, round(len(judged) / 10)), []
    if n_held_out >= ENOUGH_VALIDATION:
        validation = np.sort(judged[:n_held_out])
        is_warm[validation] = False
    else:
        n_folds = max(1, -(-ENOUGH_VALIDATION * MOST_FOLDS // max(1, len(judged))))
        folds = [np.sort(fold) for fold in np.array_split(judged, MOST_FOLDS)[:n_folds] if len(fold)]
        validation = np.sort(np.concatenate([judged[:0], *folds]))
    return Roles(
        warm=np.flatnonzero(is_warm),
        validation=validation,
        cold=np.flatnonzero(is_judged & ~is_free),
        folds=tuple(np.searchsorted(validation, fold) for fold in folds),
    )


def can_be_warm(histories: Histories, protocol: Protocol) -> np.ndarray:
    """Tell who used an item, and has a vector where these are precomputed, bool, shape (n_users,)."""
    warm: np.ndarray = (histories.is_dated | (protocol == "sampled")) & (histories.n_used > 0) & histories.has_vector
    return warm


def have_vectors(dataset: Dataset) -> np.ndarray:
    """Tell which users have a precomputed vector, bool, shape (n_users,); all of them where there is no such table."""
    if dataset.precomputed is None:
        return np.ones(len(dataset.users), dtype=bool)
    finite: np.ndarray = np.isfinite(dataset.precomputed.user_vectors).all(axis=1)
    return finite


def share_out(n_eligible: int, protocol: SampledProtocolConfig, *, with_cold: bool) -> tuple[int, int]:
    """Return how many of the users with enough items are to be warm, and for validation; the others are cold."""
    n_validation = round(protocol.validation * n_eligible)
    n_warm = round(protocol.warm * n_eligible) if with_cold else n_eligible - n_validation
    return n_warm, n_validation


def refuse_too_few(
    roles: Roles, histories: Histories, config: Config, log: Log | None, *, with_cold: bool = False
) -> None:
    """Raise if there are too few users to train on.

    Raises
    ------
    DataError
        Fewer than two users to learn from or two for validation, or `with_cold` nobody to report on.
    """
    if not histories.uses:
        raise DataError(tell_no_use(histories.interactions, config.signals))
    learned = roles.warm[histories.n_used[roles.warm] >= LEAST_LEARNED]
    of_folds = [np.isin(learned, roles.validation[fold], assume_unique=True).sum() for fold in roles.folds]
    n_warm = len(learned) - max(of_folds, default=0)
    if min(n_warm, len(roles.validation)) >= 2 and (len(roles.cold) or not with_cold):
        return
    if log is None:
        n_eligible = int((histories.n_used >= config.sampled.min_items).sum())
        raise DataError(
            f"interactions: {count_of(n_eligible, len(histories), 'users')} have at least {config.sampled.min_items} "
            "used items, too few to train on; bring more data or lower sampled.min_items in the configuration."
        )
    until = write_moment(log.end)
    if n_warm < 2:
        what = f"{n_warm:,} used at least {LEAST_LEARNED} items until {until}"
        what += ", apart from those validated on" if n_warm < len(learned) else ""
        advice = ""
    else:
        what = (
            f"{len(roles.validation):,} registered in the log, used something new after day one and have a target "
            f"window of {config.registration.target_days:g} days that ends before {until}"
        )
        advice = ", set a shorter registration.target_days"
    raise DataError(
        f"users: {what}, in a log of {(log.end - log.start) / DAY_US:.0f} days, and training needs 2; bring a longer "
        f"log{advice}, or use the protocol `sampled`."
    )


def tell_no_use(n_interactions: int, signals: SignalConfig) -> str:
    """Return the error of interactions among which no item is used."""
    if not n_interactions:
        return NO_ROW_LEFT
    return (
        f"interactions.signal: no interaction with an item is a use ({', '.join(signals.use)}); "
        "name the signals that are in signals.use of the configuration."
    )


def find_warm(
    part: Dataset, config: Config, protocol: Protocol, log: Log | None
) -> tuple[np.ndarray, Actions, Window | None]:
    """Return the users of a part whom `train` would take as warm if it held out nobody, and what everyone did.

    Parameters
    ----------
    part, config, protocol, log
        See `read_histories`.

    Returns
    -------
    warm : numpy.ndarray
        `user_ix` in the part, ascending, shape (n_warm,).
    actions : dict
        Interactions by (signal, entity) pair, rows by `user_ix`.
    window : Window or None
        The time window of `actions`; None: all times.
    """
    histories = read_histories(part, config, protocol, log)
    _, window = _find_lives(part, config, protocol, log)
    actions = part.all_actions() if window is None else part.actions(window)[0]
    return np.flatnonzero(can_be_warm(histories, protocol)), actions, window
