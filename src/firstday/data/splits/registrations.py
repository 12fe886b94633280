"""Registrations: when users registered, when their day one ends, and the ends of the log."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import polars as pl

from firstday.config import RegistrationProtocolConfig
from firstday.data.dataset import Dataset
from firstday.data.events import UTC_MICROSECONDS, Events, Window
from firstday.errors import ConfigError, DataError, count_of

HOUR_US = 3_600_000_000
"""Microseconds of an hour."""
DAY_US = 24 * HOUR_US

NO_TIMES = (
    "interactions.timestamp: no interaction has a time, which the protocol `registration` needs; add times, or use the "
    "protocol `sampled`."
)
NO_ROW_LEFT = (
    "interactions: no row is left to learn from (rows in the future are left out); bring interactions of the past, or "
    "correct the clock that wrote them."
)


@dataclass(frozen=True, eq=False)
class Registrations:
    """Registration times and ends of day one.

    Parameters
    ----------
    registered_us
        int64, shape (n_users,), microseconds since 1970 UTC; -1 where unknown.
    day_end_us
        The end of day one, likewise.
    notes
        Sentences about odd rows of the log.
    """

    registered_us: np.ndarray
    day_end_us: np.ndarray
    notes: tuple[str, ...]


def find_registrations(dataset: Dataset, protocol: RegistrationProtocolConfig) -> Registrations:
    """Return when each user registered: `users.registered_at`, or without it the first interaction.

    Raises
    ------
    ConfigError
        There is no such time zone or column of time zones.
    """
    n_users = len(dataset.users)
    registered_us = np.full(n_users, -1, dtype=np.int64)
    if dataset.registered_at is not None:
        registered_us[:] = dataset.registered_at
    has_no_date = registered_us < 0
    first, _ = dataset.events.spans(n_users)
    early_us = int(protocol.early_hours * HOUR_US)
    n_timeless, n_early, n_before = 0, 0, 0
    for frame in dataset.events.frames():
        timed = frame.filter(pl.col("timestamp").is_not_null())
        n_timeless += frame.height - timed.height
        registered = registered_us[timed["user_ix"].to_numpy()]
        ahead = np.where(registered >= 0, registered - timed["timestamp"].to_physical().to_numpy(), 0)
        n_before += int((ahead > early_us).sum())
        n_early += int(((ahead > 0) & (ahead <= early_us)).sum())
    registered_us[has_no_date] = first[has_no_date]
    notes = []
    if has_no_date.any():
        notes.append(
            f"users.registered_at: {count_of(int(has_no_date.sum()), n_users, 'users')} have none; their first "
            f"interaction counts as registration, and {int((registered_us < 0).sum()):,} have neither and are left out."
        )
    total = len(dataset.events)
    if n_early or n_before:
        notes.append(
            f"interactions: {count_of(n_before, total, 'rows')} lie before their user's registration and were left "
            f"out; another {n_early:,} lie up to {protocol.early_hours:g} h before it and count as day one."
        )
    if n_timeless:
        notes.append(f"interactions.timestamp: {count_of(n_timeless, total, 'rows')} have no time and were left out.")
    return Registrations(registered_us, _end_days(dataset, protocol, registered_us), tuple(notes))


def _end_days(dataset: Dataset, protocol: RegistrationProtocolConfig, registered_us: np.ndarray) -> np.ndarray:
    """Return when each user's day one ends."""
    if protocol.day_one == "24-hours":
        return np.where(registered_us >= 0, registered_us + DAY_US, -1)
    zones: tuple[str, ...] = (_check_zone(protocol.time_zone, "registration.time_zone"),)
    codes = np.zeros(len(registered_us), dtype=np.int64)
    column = protocol.time_zone_column
    if column:
        if column not in dataset.groups:
            raise ConfigError(
                f"registration.time_zone_column: {column!r} is no column of users that makes groups (found: "
                f"{', '.join(dataset.groups) or 'none'}); name one of them, or leave it empty."
            )
        group = dataset.groups[column]
        zones = (*(_check_zone(zone, f"users.{column}") for zone in group.values), *zones)
        codes = np.where(group.codes < 0, len(zones) - 1, group.codes)
    ends = np.full(len(registered_us), -1, dtype=np.int64)
    for code, zone in enumerate(zones):
        in_zone = (codes == code) & (registered_us >= 0)
        local = pl.Series(registered_us[in_zone]).cast(UTC_MICROSECONDS).dt.convert_time_zone(zone)
        ends[in_zone] = local.dt.truncate("1d").dt.offset_by("1d").to_physical().to_numpy()
    return ends


def _check_zone(name: str, where: str) -> str:
    """Return the name of a time zone, or raise if there is none of this name."""
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(f"{where}: {name!r} is no time zone; write IANA names such as Europe/Paris.") from None


def write_moment(time_us: int) -> str:
    """Return a moment as text, in UTC."""
    text: str = pl.Series([time_us]).cast(UTC_MICROSECONDS).dt.strftime("%Y-%m-%dT%H:%M:%SZ")[0]
    return text


@dataclass(frozen=True)
class Log:
    """The first moment of everyone's interactions and the first moment after them, microseconds since 1970 UTC."""

    start: int
    end: int

    @classmethod
    def of(cls, events: Events) -> Log:
        """Return the log's two ends.

        Raises
        ------
        DataError
            No interaction has a time.
        """
        if events.first is None or events.last is None:
            if not len(events):
                raise DataError(NO_ROW_LEFT)
            raise DataError(NO_TIMES)
        return cls(events.first, events.last + 1)


def windows_until(end: int, registrations: Registrations, protocol: RegistrationProtocolConfig) -> Window:
    """Return the window of what each user did, from a little before registration to `end`; empty where undated."""
    start_us = registrations.registered_us - int(protocol.early_hours * HOUR_US)
    return Window(start_us, np.where(registrations.registered_us >= 0, end, start_us))
