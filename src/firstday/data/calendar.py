"""When each user's day one begins and ends."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import polars as pl

from firstday.config_protocols import RegistrationProtocolConfig
from firstday.data.dataset import Dataset
from firstday.data.events import UTC_MICROSECONDS
from firstday.errors import ConfigError, DataError, count_of

HOUR_US = 3_600_000_000
"""Microseconds of an hour."""
DAY_US = 24 * HOUR_US


@dataclass(frozen=True, eq=False)
class Registrations:
    """When users registered, and what is odd about the log.

    Parameters
    ----------
    at
        int64, shape (n_users,), microseconds since 1970 UTC; -1 for users of whom it is not known.
    day_end
        The same, when day one ends.
    notes
        Sentences about what was decided.
    """

    at: np.ndarray
    day_end: np.ndarray
    notes: tuple[str, ...]


def find_registrations(dataset: Dataset, protocol: RegistrationProtocolConfig) -> Registrations:
    """Tell when each user registered: `users.registered_at`, or without it the first interaction.

    Raises
    ------
    DataError
        No interaction has a time.
    ConfigError
        There is no such time zone or column of time zones.
    """
    n_users = len(dataset.users)
    if dataset.events.first is None:
        raise DataError(
            "interactions.timestamp: no interaction has a time, which the protocol `registration` needs; add times, or "
            "use the protocol `sampled`."
        )
    at = np.full(n_users, -1, dtype=np.int64)
    if dataset.registered_at is not None:
        at[:] = dataset.registered_at
    unknown = at < 0
    first, _ = dataset.events.spans(n_users)
    early_us = int(protocol.early_hours * HOUR_US)
    n_timeless, n_early, n_before = 0, 0, 0
    for frame in dataset.events.frames():
        timed = frame.filter(pl.col("timestamp").is_not_null())
        n_timeless += frame.height - timed.height
        user, moment = timed["user_ix"].to_numpy(), timed["timestamp"].to_physical().to_numpy()
        too_soon = (at[user] >= 0) & (moment < at[user])
        n_before += int((too_soon & (moment < at[user] - early_us)).sum())
        n_early += int(too_soon.sum())
    n_early -= n_before
    at[unknown] = first[unknown]
    notes = []
    if unknown.any():
        notes.append(
            f"users.registered_at: {count_of(int(unknown.sum()), n_users, 'users')} have none and registered, it is "
            f"taken, with their first interaction; {int((at < 0).sum()):,} have neither and take no part."
        )
    total = len(dataset.events)
    if n_early or n_before:
        notes.append(
            f"interactions: {count_of(n_before, total, 'rows')} lie before their user's registration and were left "
            f"out; another {n_early:,} lie up to {protocol.early_hours:g} h before it and count as day one."
        )
    if n_timeless:
        notes.append(f"interactions.timestamp: {count_of(n_timeless, total, 'rows')} have no time and were left out.")
    return Registrations(at, _end_days(dataset, protocol, at), tuple(notes))


def _end_days(dataset: Dataset, protocol: RegistrationProtocolConfig, at: np.ndarray) -> np.ndarray:
    """Return when each user's day one ends."""
    if protocol.day_one == "24-hours":
        return np.where(at >= 0, at + DAY_US, -1)
    zones: tuple[str, ...] = (_check_zone(protocol.time_zone, "registration.time_zone"),)
    codes = np.zeros(len(at), dtype=np.int64)
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
    ends = np.full(len(at), -1, dtype=np.int64)
    for code, zone in enumerate(zones):
        mine = (codes == code) & (at >= 0)
        local = pl.Series(at[mine]).cast(UTC_MICROSECONDS).dt.convert_time_zone(zone)
        ends[mine] = local.dt.truncate("1d").dt.offset_by("1d").to_physical().to_numpy()
    return ends


def _check_zone(name: str, where: str) -> str:
    """Return the name of a time zone if there is such a one."""
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(f"{where}: {name!r} is no time zone; write IANA names such as Europe/Paris.") from None


def write_moment(at: int) -> str:
    """Write a moment for people."""
    text: str = pl.Series([at]).cast(UTC_MICROSECONDS).dt.strftime("%Y-%m-%dT%H:%M:%SZ")[0]
    return text
