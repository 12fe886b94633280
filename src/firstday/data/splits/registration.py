"""The `registration` protocol: warm users registered before a date, cold users after it; when each day one ends."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import polars as pl

from firstday.config import RegistrationProtocolConfig, SampledProtocolConfig, SignalConfig
from firstday.data.dataset import Dataset
from firstday.data.events import ITEM, UTC_MICROSECONDS, Window
from firstday.data.splits.sampled import DayOneDraw, find_light, tell_light, unite_uses
from firstday.data.splits.split import Actions, Cohort, Split
from firstday.errors import ConfigError, DataError, count_of
from firstday.sparse import SparseRows, contains, stack_rows, union_rows

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


MOST_HELD_OUT = 10_000
FEW_DAYS = 100
"""With fewer day ones than this in the log, sizes of sampled ones are those of the `sampled` protocol."""


def split_registration(
    dataset: Dataset,
    signals: SignalConfig,
    protocol: RegistrationProtocolConfig,
    sampled: SampledProtocolConfig,
    *,
    seed: int,
    with_cold: bool = True,
) -> Split:
    """Tell users apart by when they registered; nothing from the cut-off on is in what warm users did.

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
        Seed of who of the cold users is for validation, and of sampled day ones.
    with_cold
        Whether to hold out those who registered after the cut-off; without it the cut-off is the end of the log, and
        some users are held out for validation alone.

    Returns
    -------
    Split
        A warm user whose registration day is not in the log gets a day one drawn from their items, of a size that
        users whose day is in the log have.

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
    users = find_registrations(dataset, protocol)
    log = _Log(int(dataset.events.first or 0), int(dataset.events.last or 0) + 1)
    target_us = int(protocol.target_days * DAY_US)
    rng = np.random.default_rng(seed)
    of_roles, of_days = rng.spawn(2)
    cut_off = _find_cut_off(protocol, log) if with_cold else log.end
    if with_cold:
        until = cut_off + int(protocol.cold_days * DAY_US)
        judged = (users.at >= cut_off) & (users.at < min(until, log.end - target_us + 1))
        early = users.at < cut_off
    else:
        judged = _hold_out(users, log, target_us, protocol.held_out, of_roles)
        early = (users.at >= 0) & ~judged
    early &= users.at >= 0
    begun = users.at - int(protocol.early_hours * HOUR_US)
    life = Window(begun, np.where(early, cut_off, begun))
    day = Window(begun, np.where(judged, users.day_end, np.where(early, np.minimum(users.day_end, cut_off), begun)))
    target = Window(users.day_end, np.where(judged, users.at + target_us, users.day_end))
    of_life, of_day, of_target = dataset.actions(life, day, target)

    uses = unite_uses(of_life, signals)
    warm = np.flatnonzero(early & (uses.lengths() >= protocol.min_items))
    if dataset.brought is not None:
        warm = warm[np.isfinite(dataset.brought.user_vectors[warm]).all(axis=1)]
    light = find_light(uses, early & (uses.lengths() < protocol.min_items), dataset)
    cohort, n_idle = _judge(np.flatnonzero(judged), of_day, of_target, signals)
    order = of_roles.permutation(len(cohort))
    n_validation = round(protocol.validation * len(order)) if with_cold else len(order)
    validation, cold = (_take(cohort, np.sort(part)) for part in np.split(order, [n_validation]))
    kinds = (("warm", warm, 2), ("validation", validation, 2), ("cold", cold, 1 if with_cold else 0))
    for kind, members, least in kinds:
        if len(members) < least:
            raise DataError(_too_few(kind, len(members), protocol, log, cut_off, with_cold=with_cold))
    warm_days, note = _days_of_warm(warm, users, log, of_life, of_day, uses, signals, sampled, of_days)
    facts = _describe(protocol, cut_off, len(warm), int(early.sum()), len(validation), len(cold), n_idle, with_cold)
    return Split(
        warm,
        {pair: rows.take(warm) for pair, rows in of_life.items()},
        (warm_days,),
        validation,
        cold,
        light,
        {pair: rows.take(light) for pair, rows in of_life.items()},
        "registration",
        life,
        (*facts, *tell_light(len(light), protocol.min_items), *note, *users.notes),
    )


@dataclass(frozen=True)
class _Log:
    """The first moment of the log and the first after it, microseconds since 1970 UTC."""

    start: int
    end: int


def _find_cut_off(protocol: RegistrationProtocolConfig, log: _Log) -> int:
    """Return the cut-off: the configured one, or the last midnight that leaves room for cold users."""
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


def _hold_out(users: Registrations, log: _Log, target_us: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """Choose users whose day one and target window are in the log, bool, shape (n_users,)."""
    whole = np.flatnonzero((users.at >= log.start) & (users.at + target_us <= log.end))
    chosen = rng.permutation(whole)[: min(MOST_HELD_OUT, round(share * len(whole)))]
    return np.isin(np.arange(len(users.at)), chosen)


def _judge(users: np.ndarray, of_day: Actions, of_target: Actions, signals: SignalConfig) -> tuple[Cohort, int]:
    """Make the cohort of users who used anything new in the target window, and count the others."""
    on_day = unite_uses(of_day, signals).take(users)
    after = unite_uses(of_target, signals).take(users)
    truth = after.keep(~contains(on_day, after))
    has = truth.lengths() > 0
    kept = users[has]
    day_one = {pair: rows.take(kept) for pair, rows in of_day.items()}
    return Cohort(kept, day_one, truth.take(np.flatnonzero(has)), on_day.lengths()[has]), int((~has).sum())


def _take(cohort: Cohort, rows: np.ndarray) -> Cohort:
    """Return some users of a cohort."""
    day_one = {pair: actions.take(rows) for pair, actions in cohort.day_one.items()}
    return Cohort(cohort.users[rows], day_one, cohort.truth.take(rows), cohort.day_one_size[rows])


def _days_of_warm(
    warm: np.ndarray,
    users: Registrations,
    log: _Log,
    of_life: Actions,
    of_day: Actions,
    uses: SparseRows,
    signals: SignalConfig,
    sampled: SampledProtocolConfig,
    rng: np.random.Generator,
) -> tuple[Actions, tuple[str, ...]]:
    """Return warm users' day ones: of the log where it has them, else drawn from all that they did."""
    logged = users.at[warm] >= log.start
    known, lacking = warm[logged], warm[~logged]
    if not len(lacking):
        return {pair: rows.take(warm) for pair, rows in of_day.items()}, ()
    sizes, probabilities = np.asarray(sampled.sizes), np.asarray(sampled.probabilities, dtype=np.float64)
    like = "those of sampled.sizes"
    if len(known) >= FEW_DAYS:
        seen = union_rows([rows.take(known) for rows in _used(of_day, signals)]).ones().lengths()
        sizes, counts = np.unique(seen, return_counts=True)
        probabilities, like = counts.astype(np.float64), "those of the others"
    drawn = DayOneDraw(of_life, uses, signals, sizes, probabilities, rng).cohort(lacking).day_one
    back = np.argsort(np.concatenate([np.flatnonzero(logged), np.flatnonzero(~logged)]))
    days = {pair: stack_rows([rows.take(known), drawn[pair]]).take(back) for pair, rows in of_day.items()}
    return days, (
        f"day one of {count_of(len(lacking), len(warm), 'warm users')} is not in the log, which begins "
        f"{write_moment(log.start)}: theirs was drawn from all their items, with sizes like {like}.",
    )


def _used(actions: Actions, signals: SignalConfig) -> list[SparseRows]:
    """Return the parts of actions that are use of items."""
    return [rows for (signal, entity), rows in actions.items() if entity == ITEM and signal in signals.use]


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
    """Say who is what."""
    warm = (
        f"{count_of(n_warm, n_early, 'users')} who registered before {write_moment(cut_off)} are warm: they used at "
        f"least {protocol.min_items} items until then."
    )
    if with_cold:
        judged = (
            f"{n_validation + n_cold:,} cold users registered in the {protocol.cold_days:g} days after it "
            f"({n_validation:,} for validation, {n_cold:,} to report on); {n_idle:,} more used nothing new in the "
            f"{protocol.target_days:g} days and take no part."
        )
    else:
        judged = (
            f"{n_validation:,} users whose {protocol.target_days:g} days are in the log were held out to stop "
            f"training; {n_idle:,} more used nothing new in them and take no part."
        )
    return warm, judged


def _too_few(
    kind: str, n: int, protocol: RegistrationProtocolConfig, log: _Log, cut_off: int, *, with_cold: bool
) -> str:
    """Say that there are too few users of a kind."""
    newcomers = f"registered in the {protocol.cold_days:g} days after {write_moment(cut_off)} and used anything later"
    what = {
        "warm": f"registered before {write_moment(cut_off)} and used {protocol.min_items} items until then",
        "validation": f"are for validation, of those who {newcomers}"
        if with_cold
        else "are for validation: a first day and a target window that are both in the log",
        "cold": newcomers,
    }[kind]
    return (
        f"users: {n:,} {what}, in a log of {(log.end - log.start) / DAY_US:.0f} days; bring a longer log, set "
        "`registration.cut_off` to a day after which people registered, or use the protocol `sampled`."
    )
