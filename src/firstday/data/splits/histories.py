"""Histories: registration, uses and return of each user, which determine the user's role.

Parts of a large dataset are read independently and concatenated, so `check`, training and evaluation agree on every
engine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import polars as pl

from firstday.config import Config, RegistrationProtocolConfig
from firstday.data.dataset import Dataset
from firstday.data.events import ITEM, UTC_MICROSECONDS, Window
from firstday.data.ids import stable_numbers
from firstday.data.user_rows import NEVER
from firstday.errors import ConfigError
from firstday.tables.schema import DAY_US

Protocol = Literal["sampled", "registration"]
HOUR_US = DAY_US // 24
MIN_LEARNED_ITEMS = 2
"""Minimum number of used items to learn from a warm user: a single item shows popularity, not co-occurrence."""


@dataclass(frozen=True)
class LogSpan:
    """Half-open time span of all interactions, in microseconds since 1970 UTC."""

    start: int
    end: int


@dataclass(frozen=True, eq=False)
class Histories:
    """Facts that determine the roles of users, in arrays of shape (n_users,); times in microseconds since 1970 UTC."""

    numbers: np.ndarray  # uint64: hash of the user's id, for sampling users
    n_used: np.ndarray  # int64: number of items used; under `registration`, since registration
    has_vector: np.ndarray  # bool: whether the user has a precomputed vector; True if vectors are learned
    # int64: `users.registered_at` or else the first interaction; -1 if unknown and under `sampled`
    registered_us: np.ndarray
    day_end_us: np.ndarray  # int64: end of day one; -1 under the same conditions
    returned_us: np.ndarray  # int64: first use, after day one, of an item not used before; `NEVER` if there is none
    log: LogSpan | None = None  # time span of the whole log; None under `sampled`
    target_days: float = 0.0  # length of the target window after registration; 0 until chosen

    def __len__(self) -> int:
        return len(self.numbers)

    def __add__(self, other: Histories) -> Histories:
        names = ("numbers", "n_used", "has_vector", "registered_us", "day_end_us", "returned_us")
        arrays: dict[str, Any] = {name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in names}
        return replace(self, **arrays)

    @property
    def protocol(self) -> Protocol:
        """Name of the protocol."""
        return "sampled" if self.log is None else "registration"

    @property
    def can_be_warm(self) -> np.ndarray:
        """Whether each user used an item, and has a precomputed vector if there are any: bool, shape (n_users,)."""
        return (self.n_used > 0) & self.has_vector

    def life(self, protocol: RegistrationProtocolConfig) -> Window | None:
        """Return the window of each user's interactions, from shortly before registration; None under `sampled`."""
        if self.log is None:
            return None
        start_us = self.registered_us - int(protocol.early_hours * HOUR_US)
        return Window(start_us, np.where(self.registered_us >= 0, self.log.end, start_us))

    @property
    def target_us(self) -> int:
        """Length of the target window in microseconds."""
        return int(self.target_days * DAY_US)

    @property
    def target_end_us(self) -> np.ndarray:
        """End of each user's target window, int64, shape (n_users,)."""
        return self.registered_us + self.target_us

    @property
    def can_be_evaluated(self) -> np.ndarray:
        """Whether each user's day one and target window are in the log, with a new item in the latter: bool array."""
        assert self.log is not None
        end_us = self.target_end_us
        is_logged = (self.registered_us >= max(0, self.log.start)) & (end_us <= self.log.end)
        return is_logged & (self.returned_us < end_us)


def read_histories(part: Dataset, config: Config, log: LogSpan | None) -> Histories:
    """Collect the facts that determine roles from a dataset or a part; `log` is the time span of all users' log.

    Raises ConfigError if the time zone or the column of time zones does not exist.
    """
    n_users = len(part.users)
    events = part.events
    codes = events.codes_of(ITEM, config.signals.use)
    registered_us = day_end_us = np.full(n_users, -1, dtype=np.int64)
    if log is not None:
        registered_us = events.first_moments("user_ix", n_users, -1)
        dates = part.registered_at
        registered_us = registered_us if dates is None else np.where(dates < 0, registered_us, dates)
        day_end_us = _end_days(part, config.registration, registered_us)
    has_vector = np.ones(n_users, dtype=bool)
    if part.user_vectors is not None:
        has_vector = np.isfinite(part.user_vectors).all(axis=1)
    histories = Histories(
        numbers=stable_numbers(part.users, config.seed),
        n_used=np.zeros(n_users, dtype=np.int64),
        has_vector=has_vector,
        registered_us=registered_us,
        day_end_us=day_end_us,
        returned_us=np.full(n_users, NEVER),
        log=log,
    )
    life = histories.life(config.registration)
    for frame in events.frames():
        rows = frame.filter(pl.col("pair").is_in(codes))
        rows = rows if life is None else life.select(rows)
        first_uses = rows.group_by("user_ix", "target_ix").agg(pl.col("timestamp").min().to_physical())
        user = first_uses["user_ix"].to_numpy()
        histories.n_used[:] += np.bincount(user, minlength=n_users)
        if life is not None:
            moment = first_uses["timestamp"].to_numpy()
            is_later = moment >= day_end_us[user]
            np.minimum.at(histories.returned_us, user[is_later], moment[is_later])
    return histories


def _end_days(dataset: Dataset, protocol: RegistrationProtocolConfig, registered_us: np.ndarray) -> np.ndarray:
    """Return the end of each user's day one."""
    if protocol.day_one == "24-hours":
        return np.where(registered_us >= 0, registered_us + DAY_US, -1)
    column = protocol.time_zone_column
    zones = [protocol.time_zone]
    codes = np.zeros_like(registered_us)
    if column:
        if column not in dataset.groups:
            raise ConfigError(
                f"registration.time_zone_column: {column!r} is not a group column of users (found: "
                f"{', '.join(dataset.groups) or 'none'}); give one of them, or leave it empty."
            )
        zones[:0] = dataset.groups[column].values
        codes = dataset.groups[column].codes % len(zones)  # code -1 selects the last zone, which is the default
    ends = np.full_like(registered_us, -1)
    for code, zone in enumerate(zones):
        in_zone = (codes == code) & (registered_us >= 0)
        registered = pl.Series(registered_us[in_zone]).cast(UTC_MICROSECONDS)
        try:
            local = registered.dt.convert_time_zone(zone)
        except pl.exceptions.PolarsError:
            raise ConfigError(
                f"registration.time_zone: {zone!r} is not a time zone; use IANA names such as Europe/Paris, here and "
                "in the column of time zones."
            ) from None
        ends[in_zone] = local.dt.truncate("1d").dt.offset_by("1d").to_physical().to_numpy()
    return ends


def write_moment(time_us: int) -> str:
    """Format a time in UTC, to the second."""
    return f"{np.datetime64(time_us // 1_000_000, 's')}Z"
