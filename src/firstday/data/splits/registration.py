"""The `registration` protocol: warm users registered before a date, cold users after it; when each day one ends."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import polars as pl

from firstday.config import RegistrationProtocolConfig, SampledProtocolConfig, SignalConfig
from firstday.data.dataset import Dataset
from firstday.data.events import UTC_MICROSECONDS, Events, Window
from firstday.data.splits.sampled import (
    NO_ROW_LEFT,
    DayOneDraw,
    have_vectors,
    item_uses,
    note_light,
    select_light,
    unite_uses,
)
from firstday.data.splits.split import Actions, Cohort, Split
from firstday.errors import ConfigError, DataError, count_of
from firstday.sparse import SparseRows, contains, stack_rows, union_rows

HOUR_US = 3_600_000_000
"""Microseconds of an hour."""
DAY_US = 24 * HOUR_US

NO_TIMES = (
    "interactions.timestamp: no interaction has a time, which the protocol `registration` needs; add times, or use the "
    "protocol `sampled`."
)
MAX_HELD_OUT = 10_000
MIN_LOGGED_DAY_ONES = 100
"""With fewer day ones than this in the log, sizes of sampled ones come from the `sampled` protocol's settings."""


def split_registration(
    dataset: Dataset,
    signals: SignalConfig,
    protocol: RegistrationProtocolConfig,
    sampled: SampledProtocolConfig,
    *,
    seed: int,
    with_cold: bool = True,
    held_out: np.ndarray | None = None,
) -> Split:
    """Split users by registration time; warm users' data ends at the cut-off.

    Parameters
    ----------
    dataset
        The data, with times.
    signals
        Which signals are use, and which are given at registration.
    protocol
        Dates, windows and the items that make a user warm.
    sampled
        Sizes of sampled day ones, where too few are in the log.
    seed
        Seed of the choice of validation users and of sampled day ones.
    with_cold
        Whether to hold out users who registered after the cut-off; without it the cut-off is the end of the log, and
        some users are held out for validation only.
    held_out
        Without `with_cold`: who takes part in nothing, bool, shape (n_users,); those whose target window is in the log
        are cold then.

    Returns
    -------
    Split
        A warm user whose registration day is not in the log gets a day one drawn from all their items, with a size
        drawn from the logged day ones of the others.

    Raises
    ------
    DataError
        No times, or too few users of a kind.
    ConfigError
        A cut-off or time zone that does not fit the log.

    References
    ----------
    PAPER, "Offline protocol": cold users registered within a week; truth is what they used in 30 days.
    """
    log = Log.of(dataset.events)
    registrations = find_registrations(dataset, protocol)
    target_us = int(protocol.target_days * DAY_US)
    rng = np.random.default_rng(seed)
    role_rng, day_rng = rng.spawn(2)
    cut_off = find_cut_off(protocol, log) if with_cold else log.end
    if held_out is None:
        held_out = np.zeros(len(registrations.registered_us), dtype=bool)
    if with_cold:
        is_judged = registered_after(cut_off, registrations, log, protocol)
        is_early = registrations.registered_us < cut_off
    else:
        is_complete = are_complete(registrations, log, protocol)
        is_judged = _draw_validation(is_complete & ~held_out, protocol, role_rng) | (is_complete & held_out)
        is_early = ~is_judged & ~held_out
    is_early &= registrations.registered_us >= 0
    life_window = windows_until(cut_off, is_early, registrations, protocol)
    start_us = life_window.start
    day_window = Window(
        start_us,
        np.where(
            is_judged,
            registrations.day_end_us,
            np.where(is_early, np.minimum(registrations.day_end_us, cut_off), start_us),
        ),
    )
    target_window = Window(
        registrations.day_end_us, np.where(is_judged, registrations.registered_us + target_us, registrations.day_end_us)
    )
    life_actions, day_actions, target_actions = dataset.actions(life_window, day_window, target_window)

    uses = unite_uses(life_actions, signals)
    warm = np.flatnonzero(is_early & (uses.lengths() >= protocol.min_items))
    warm = warm[have_vectors(dataset, warm)]
    light = select_light(uses, is_early & (uses.lengths() < protocol.min_items), dataset)
    cohort, n_idle = _make_cohort(
        np.flatnonzero(is_judged), day_actions, target_actions, registrations.day_end_us, signals
    )
    is_cold = held_out[cohort.users]
    if with_cold:
        is_cold[role_rng.permutation(len(cohort))[round(protocol.validation * len(cohort)) :]] = True
    validation, cold = (cohort.take(np.flatnonzero(part)) for part in (~is_cold, is_cold))
    kinds = (("warm", warm, 2), ("validation", validation, 2), ("cold", cold, 1 if with_cold else 0))
    for kind, members, least in kinds:
        if len(members) < least:
            raise DataError(tell_too_few(kind, len(members), protocol, log, cut_off, with_cold=with_cold))
    warm_days, note = _warm_day_ones(
        warm, registrations, log, life_actions, day_actions, uses, signals, sampled, day_rng
    )
    facts = _describe(protocol, cut_off, len(warm), int(is_early.sum()), len(validation), len(cold), n_idle, with_cold)
    return Split(
        warm,
        {pair: rows.take(warm) for pair, rows in life_actions.items()},
        (warm_days,),
        validation,
        cold,
        light,
        {pair: rows.take(light) for pair, rows in life_actions.items()},
        "registration",
        life_window,
        (*facts, *note_light(len(light), protocol.min_items), *note, *registrations.notes),
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
        user, time_us = timed["user_ix"].to_numpy(), timed["timestamp"].to_physical().to_numpy()
        too_soon = (registered_us[user] >= 0) & (time_us < registered_us[user])
        n_before += int((too_soon & (time_us < registered_us[user] - early_us)).sum())
        n_early += int(too_soon.sum())
    n_early -= n_before
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


def find_cut_off(protocol: RegistrationProtocolConfig, log: Log) -> int:
    """Return the cut-off: the configured one, or the last midnight that leaves room for cold users.

    Raises
    ------
    DataError
        The log is too short.
    ConfigError
        The configured one is not in the log.
    """
    days = protocol.cold_days + protocol.target_days
    if protocol.cut_off is None:
        cut_off = int(log.end - days * DAY_US) // DAY_US * DAY_US
        if cut_off <= log.start:
            raise DataError(
                f"interactions.timestamp: the log spans {(log.end - log.start) / DAY_US:.1f} days, not more than the "
                f"{days:g} that registration.cold_days and registration.target_days ask for; bring a longer log, or "
                "lower them."
            )
        return cut_off
    cut_off = int(protocol.cut_off.timestamp() * 1_000_000)
    if not log.start < cut_off <= log.end - protocol.target_days * DAY_US:
        raise ConfigError(
            f"registration.cut_off: is {write_moment(cut_off)}, where the log spans {write_moment(log.start)} to "
            f"{write_moment(log.end)} and target windows take {protocol.target_days:g} days; set it between."
        )
    return cut_off


def windows_until(
    end: int, is_early: np.ndarray, registrations: Registrations, protocol: RegistrationProtocolConfig
) -> Window:
    """Return the windows of what warm users did: from a little before registration to a moment; empty for others.

    Parameters
    ----------
    end
        The cut-off, microseconds since 1970 UTC.
    is_early
        Whether each user may be warm, bool, shape (n_users,).
    registrations, protocol
        When users registered, and how long before that counts.
    """
    start_us = registrations.registered_us - int(protocol.early_hours * HOUR_US)
    return Window(start_us, np.where(is_early, end, start_us))


def registered_after(
    cut_off: int, registrations: Registrations, log: Log, protocol: RegistrationProtocolConfig
) -> np.ndarray:
    """Tell who registered in the `cold_days` after a cut-off, with the target window in the log, bool, (n_users,)."""
    until = min(cut_off + int(protocol.cold_days * DAY_US), log.end - int(protocol.target_days * DAY_US) + 1)
    judged: np.ndarray = (registrations.registered_us >= cut_off) & (registrations.registered_us < until)
    return judged


def are_complete(registrations: Registrations, log: Log, protocol: RegistrationProtocolConfig) -> np.ndarray:
    """Tell whose day one and target window are in the log, bool, shape (n_users,)."""
    end_us = registrations.registered_us + int(protocol.target_days * DAY_US)
    complete: np.ndarray = (registrations.registered_us >= log.start) & (end_us <= log.end)
    return complete


def count_held_out(n_complete: int, protocol: RegistrationProtocolConfig) -> int:
    """Return how many of the users whose target window is in the log `train` holds out."""
    return min(MAX_HELD_OUT, round(protocol.held_out * n_complete))


def _draw_validation(may_be: np.ndarray, protocol: RegistrationProtocolConfig, rng: np.random.Generator) -> np.ndarray:
    """Choose among users whose day one and target window are in the log, bool, shape (n_users,)."""
    complete = np.flatnonzero(may_be)
    drawn = rng.permutation(complete)[: count_held_out(len(complete), protocol)]
    return np.isin(np.arange(len(may_be)), drawn)


def _make_cohort(
    users: np.ndarray, day_actions: Actions, target_actions: Actions, day_end_us: np.ndarray, signals: SignalConfig
) -> tuple[Cohort, int]:
    """Make the cohort of users with new items in the target window, and count the other users."""
    on_day = unite_uses(day_actions, signals).take(users)
    after = unite_uses(target_actions, signals).take(users)
    truth = after.keep(~contains(on_day, after))
    has_truth = truth.lengths() > 0
    cohort_users = users[has_truth]
    day_one = {pair: rows.take(cohort_users) for pair, rows in day_actions.items()}
    cohort = Cohort(
        cohort_users,
        day_one,
        truth.take(np.flatnonzero(has_truth)),
        on_day.lengths()[has_truth],
        day_end_us[cohort_users],
    )
    return cohort, int((~has_truth).sum())


def _warm_day_ones(
    warm: np.ndarray,
    registrations: Registrations,
    log: Log,
    life_actions: Actions,
    day_actions: Actions,
    uses: SparseRows,
    signals: SignalConfig,
    sampled: SampledProtocolConfig,
    rng: np.random.Generator,
) -> tuple[Actions, tuple[str, ...]]:
    """Return warm users' day ones: from the log, or else drawn from all their interactions."""
    is_logged = registrations.registered_us[warm] >= log.start
    logged, unlogged = warm[is_logged], warm[~is_logged]
    if not len(unlogged):
        return {pair: rows.take(warm) for pair, rows in day_actions.items()}, ()
    sizes, probabilities = np.asarray(sampled.sizes), np.asarray(sampled.probabilities, dtype=np.float64)
    model = "those of sampled.sizes"
    if len(logged) >= MIN_LOGGED_DAY_ONES:
        logged_sizes = union_rows([rows.take(logged) for rows in item_uses(day_actions, signals)]).ones().lengths()
        sizes, counts = np.unique(logged_sizes, return_counts=True)
        probabilities, model = counts.astype(np.float64), "those of the others"
    drawn_days = DayOneDraw(life_actions, uses, signals, sizes, probabilities, rng).cohort(unlogged).day_one
    order = np.argsort(np.concatenate([np.flatnonzero(is_logged), np.flatnonzero(~is_logged)]))
    days = {pair: stack_rows([rows.take(logged), drawn_days[pair]]).take(order) for pair, rows in day_actions.items()}
    return days, (
        f"day one of {count_of(len(unlogged), len(warm), 'warm users')} is not in the log, which begins "
        f"{write_moment(log.start)}; it was drawn from all their items, with sizes like {model}.",
    )


def _describe(
    protocol: RegistrationProtocolConfig,
    cut_off: int,
    n_warm: int,
    n_early: int,
    n_validation: int,
    n_cold: int,
    n_idle: int,
    with_cold: bool,
) -> tuple[str, ...]:
    """Describe the warm, validation and cold users, in sentences."""
    warm_sentence = (
        f"{count_of(n_warm, n_early, 'users')} who registered before {write_moment(cut_off)} are warm: they used at "
        f"least {protocol.min_items} items until then."
    )
    if with_cold:
        cold_sentence = (
            f"{n_validation + n_cold:,} cold users registered in the {protocol.cold_days:g} days after it "
            f"({n_validation:,} for validation, {n_cold:,} to report on); {n_idle:,} more used nothing new in the "
            f"{protocol.target_days:g} days and take no part."
        )
    else:
        cold_sentence = (
            f"{n_validation:,} users whose {protocol.target_days:g} days are in the log were held out to stop "
            f"training; {n_idle:,} more used nothing new in them and take no part."
        )
    return warm_sentence, cold_sentence


def tell_too_few(
    kind: str, n: int, protocol: RegistrationProtocolConfig, log: Log, cut_off: int, *, with_cold: bool
) -> str:
    """Return the error of too few users of a kind."""
    cold_text = f"registered in the {protocol.cold_days:g} days after {write_moment(cut_off)} and used anything later"
    requirement = {
        "warm": f"registered before {write_moment(cut_off)} and used {protocol.min_items} items until then",
        "validation": f"are for validation, of those who {cold_text}"
        if with_cold
        else "are for validation: a first day and a target window that are both in the log",
        "cold": cold_text,
    }[kind]
    return (
        f"users: {n:,} {requirement}, in a log of {(log.end - log.start) / DAY_US:.0f} days; bring a longer log, set "
        "`registration.cut_off` to a day after which people registered, or use the protocol `sampled`."
    )
