"""Histories: when users registered, what they used and when they came back, from which their roles follow.

Parts of a large dataset are read independently and added up, so that `check`, training and evaluation agree on every
engine.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import polars as pl

from firstday.config import Config, RegistrationProtocolConfig
from firstday.data.dataset import Dataset
from firstday.data.events import ITEM, UTC_MICROSECONDS, Window
from firstday.data.ids import stable_numbers
from firstday.data.user_rows import DAY_US, NEVER
from firstday.errors import ConfigError

Protocol = Literal["sampled", "registration"]
HOUR_US = DAY_US // 24
LEAST_LEARNED = 2
"""Items that a warm user must have used to be learned from: one alone says what is popular, not what goes together."""


@dataclass(frozen=True)
class Log:
    """The first moment of everyone's interactions and the first moment after them, microseconds since 1970 UTC."""

    start: int
    end: int


def find_log(config: Config, *, is_dated: bool, first: int | None, last: int | None) -> Log | None:
    """Return the log that the protocol `registration` divides: empty without times; None under `sampled`.

    Parameters
    ----------
    config
        Names the protocol; ``auto`` is `registration` where registrations and times are known.
    is_dated
        Whether the registration of any user is known.
    first, last
        Microseconds since 1970 UTC of the earliest and the latest interaction; None without times.
    """
    has_times = first is not None and last is not None
    if config.protocol == "sampled" or (config.protocol == "auto" and not (is_dated and has_times)):
        return None
    return Log(first, last + 1) if first is not None and last is not None else Log(0, 0)


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
    registered_us
        int64: when each registered, by `users.registered_at` or else the first interaction, microseconds since 1970
        UTC; -1 where unknown and under `sampled`.
    day_end_us
        int64: when their day one ends, likewise.
    returned_us
        int64: when each first used an item after day one that was not used on it; `NEVER` if at no time.
    counts
        ``interactions``, and ``uses`` of items among them; under `registration` also those ``before`` registration,
        ``early`` (shortly before it) and ``timeless``, and users ``without_date``, of whom the ``undated`` did nothing
        with a time either.
    log
        The ends of everyone's log; None under `sampled`.
    target_days
        Length of the target window after registration, once it is chosen.
    """

    numbers: np.ndarray
    n_used: np.ndarray
    has_vector: np.ndarray
    registered_us: np.ndarray
    day_end_us: np.ndarray
    returned_us: np.ndarray
    counts: Counter[str]
    log: Log | None = None
    target_days: float = 0.0

    def __len__(self) -> int:
        return len(self.numbers)

    def __add__(self, other: Histories) -> Histories:
        arrays: dict[str, Any] = {
            name: np.concatenate([values, getattr(other, name)])
            for name, values in vars(self).items()
            if isinstance(values, np.ndarray)
        }
        return Histories(**arrays, counts=self.counts + other.counts, log=self.log)

    @property
    def can_be_warm(self) -> np.ndarray:
        """Who used an item, and has a vector where these are precomputed, bool, shape (n_users,)."""
        warm: np.ndarray = (self.n_used > 0) & self.has_vector
        return warm

    def life(self, protocol: RegistrationProtocolConfig) -> Window | None:
        """Return the window of what counts of each user, from a little before registration on; None: at all times."""
        if self.log is None:
            return None
        start_us = self.registered_us - int(protocol.early_hours * HOUR_US)
        return Window(start_us, np.where(self.registered_us >= 0, self.log.end, start_us))

    @property
    def target_end_us(self) -> np.ndarray:
        """When the target window of each user ends, int64, shape (n_users,)."""
        end_us: np.ndarray = self.registered_us + int(self.target_days * DAY_US)
        return end_us

    @property
    def are_judged(self) -> np.ndarray:
        """Who has a day one and a complete target window in the log and used something new in it, bool, (n_users,)."""
        assert self.log is not None
        end_us = self.target_end_us
        is_logged = (self.registered_us >= max(0, self.log.start)) & (end_us <= self.log.end)
        judged: np.ndarray = is_logged & (self.returned_us < end_us)
        return judged


def read_histories(part: Dataset, config: Config, log: Log | None) -> Histories:
    """Read what the roles of the users of a dataset, or of a part of one, depend on.

    Parameters
    ----------
    part, config
        Some users, or all; and settings.
    log
        See `find_log`: of everyone.

    Raises
    ------
    ConfigError
        There is no such time zone or column of time zones.
    """
    n_users, events, unknown = len(part.users), part.events, np.full(len(part.users), -1, dtype=np.int64)
    codes = [i for i, (signal, kind) in enumerate(events.pairs) if kind == ITEM and signal in config.signals.use]
    counts = Counter(interactions=len(events), uses=int(sum(events.counts[code] for code in codes)))
    registered_us = unknown if log is None else _find_registrations(part, config.registration, counts)
    histories = Histories(
        numbers=stable_numbers(part.users, config.seed),
        n_used=np.zeros(n_users, dtype=np.int64),
        has_vector=np.ones(n_users, dtype=bool),
        registered_us=registered_us,
        day_end_us=unknown if log is None else _end_days(part, config.registration, registered_us),
        returned_us=np.full(n_users, NEVER),
        counts=counts,
        log=log,
    )
    if part.precomputed is not None:
        histories.has_vector[:] = np.isfinite(part.precomputed.user_vectors).all(axis=1)
    life = histories.life(config.registration)
    for frame in events.frames():
        rows = frame.filter(pl.col("pair").is_in(codes))
        rows = rows if life is None else life.select(rows)
        first_uses = rows.group_by("user_ix", "target_ix").agg(pl.col("timestamp").min())
        user = first_uses["user_ix"].to_numpy()
        histories.n_used[:] += np.bincount(user, minlength=n_users)
        if life is not None:
            moment = first_uses["timestamp"].to_physical().to_numpy()
            is_later = moment >= histories.day_end_us[user]
            np.minimum.at(histories.returned_us, user[is_later], moment[is_later])
    return histories


def _find_registrations(dataset: Dataset, protocol: RegistrationProtocolConfig, counts: Counter[str]) -> np.ndarray:
    """Return when each user registered: `users.registered_at`, or without it the first interaction; count oddities."""
    first, _ = dataset.events.spans(len(dataset.users))
    dates = np.full_like(first, -1) if dataset.registered_at is None else dataset.registered_at
    early_us = int(protocol.early_hours * HOUR_US)
    for frame in dataset.events.frames():
        ahead = dates[frame["user_ix"].to_numpy()] - frame["timestamp"].to_physical().fill_null(NEVER).to_numpy()
        n_early = int(((ahead > 0) & (ahead <= early_us)).sum())
        counts.update(before=int((ahead > early_us).sum()), early=n_early, timeless=frame["timestamp"].null_count())
    registered_us = np.where(dates < 0, first, dates)
    counts.update(without_date=int((dates < 0).sum()), undated=int((registered_us < 0).sum()))
    return registered_us


def _end_days(dataset: Dataset, protocol: RegistrationProtocolConfig, registered_us: np.ndarray) -> np.ndarray:
    """Return when each user's day one ends."""
    if protocol.day_one == "24-hours":
        return np.where(registered_us >= 0, registered_us + DAY_US, -1)
    column, zones, codes = protocol.time_zone_column, [protocol.time_zone], np.zeros_like(registered_us)
    if column:
        if column not in dataset.groups:
            raise ConfigError(
                f"registration.time_zone_column: {column!r} is no column of users that makes groups (found: "
                f"{', '.join(dataset.groups) or 'none'}); name one of them, or leave it empty."
            )
        zones[:0] = dataset.groups[column].values
        codes = dataset.groups[column].codes % len(zones)  # the default zone is the last: that of users without one
    ends = np.full_like(registered_us, -1)
    for code, zone in enumerate(zones):
        in_zone = (codes == code) & (registered_us >= 0)
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            where = f"users.{column}" if code < len(zones) - 1 else "registration.time_zone"
            raise ConfigError(f"{where}: {zone!r} is no time zone; write IANA names such as Europe/Paris.") from None
        local = pl.Series(registered_us[in_zone]).cast(UTC_MICROSECONDS).dt.convert_time_zone(zone)
        ends[in_zone] = local.dt.truncate("1d").dt.offset_by("1d").to_physical().to_numpy()
    return ends


def write_moment(time_us: int) -> str:
    """Return a moment as text, in UTC."""
    return f"{np.datetime64(time_us // 1_000_000, 's')}Z"
