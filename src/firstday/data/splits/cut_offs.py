"""Cut-offs: training times of an evaluation, and the cohort of newcomers that each model is evaluated on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from firstday.config import Config
from firstday.data.splits.histories import Histories, write_moment
from firstday.data.splits.roles import ENOUGH_VALIDATION
from firstday.errors import ConfigError, DataError
from firstday.tables.schema import DAY_US

TARGET_DAYS = (30.0, 60.0, 90.0, 180.0, 365.0)
"""Candidate lengths of the target window if none is configured; the paper uses the first."""
SHORT_TARGET_DAYS = (14.0, 7.0)
"""Additional candidates for shorter logs."""
MIN_COHORT_USERS = 30
MIN_SHARE_REGISTERED = 1 / 3
"""Minimum share of users with a registration time who registered before the first cut-off."""


@dataclass(frozen=True)
class CutOffs:
    """Cut-offs in microseconds since 1970 UTC, ascending, and their cohorts.

    A cohort consists of the newcomers who registered at or after its cut-off and before the next one.
    """

    moments: tuple[int, ...]
    users: tuple[int, ...]  # number of newcomers per cohort
    histories: Histories = field(compare=False, repr=False)  # of all users, with the chosen target window

    @property
    def target_days(self) -> float:
        """Length of the target window in days."""
        return self.histories.target_days

    def describe(self) -> str:
        """Describe the cut-offs and the newcomers evaluated, as the end of a sentence."""
        n = len(self.moments)
        first = write_moment(self.moments[0])[:10]
        last = write_moment(self.moments[-1])[:10]
        return (
            f"at {n} cut-off{'s' * (n > 1)} ({first} to {last}) and report on {sum(self.users):,} newcomers who used "
            f"something new within {self.target_days:g} days of registration"
        )

    def to_json(self) -> list[dict[str, str | int]]:
        """Return the cut-offs as JSON values."""
        return [{"at": write_moment(moment), "users": n} for moment, n in zip(self.moments, self.users, strict=True)]


def choose_target_days(histories: Histories, config: Config) -> Histories:
    """Set the target window in all users' histories: as configured, or the shortest with the most newcomers.

    Under `sampled`, histories are returned unchanged. Raises DataError if no interaction has a time, or if
    nobody registered during the log.
    """
    if histories.log is None:
        return histories
    if not histories.log.end:
        raise DataError(
            "interactions.timestamp: no interaction has a time, which the protocol `registration` needs; add times, or "
            "use the protocol `sampled`."
        )
    log = histories.log
    registered = histories.registered_us
    if not ((registered >= log.start) & (registered < log.end)).any():
        last, start, end = map(write_moment, (int(registered.max()), log.start, log.end))
        raise DataError(
            f"users.registered_at: nobody registered during the log, {start} to {end} (last registration: {last}); "
            "correct the column or its unit, or use the protocol `sampled`."
        )
    if config.registration.target_days is not None:
        return replace(histories, target_days=config.registration.target_days)

    def count_evaluable(days: float) -> tuple[int, int]:
        first, registered = _find_first(replace(histories, target_days=days))
        return int((registered >= first).sum()), len(registered)

    best = max(TARGET_DAYS, key=count_evaluable)
    if count_evaluable(best)[0] < MIN_COHORT_USERS:
        best = max((best, *SHORT_TARGET_DAYS), key=count_evaluable)
    return replace(histories, target_days=best)


def choose_cut_offs(histories: Histories, config: Config) -> CutOffs:
    """Choose cut-offs from the histories of all users under `registration`.

    The first cut-off is the configured one. By default, it is the first midnight in UTC before which a third of the
    users registered, and the target windows of 500 newcomers (or half of all), for validation, ended. The other
    cut-offs, also at midnights, divide the later newcomers into cohorts of about equal size: `registration.cut_offs`
    cohorts, or fewer so that each has about 30 newcomers. Raises DataError if no interaction has a time or no newcomer
    can be evaluated, and ConfigError if the configured cut-off is not within the log.
    """
    histories = choose_target_days(histories, config)
    log = histories.log
    target_days = histories.target_days
    assert log is not None
    first, registered = _find_first(histories)
    if config.registration.cut_off is not None:
        first = int(config.registration.cut_off.timestamp() * 1_000_000)
        if not log.start < first < log.end:
            span = f"{write_moment(log.start)} to {write_moment(log.end)}"
            raise ConfigError(f"registration.cut_off: {write_moment(first)} is not in the log ({span}); set it inside.")
    registered = registered[registered >= first]
    if not len(registered):
        raise DataError(
            f"users: nobody registered after {write_moment(first)} and used something new within {target_days:g} days "
            "before the end of the log, so there is nobody to evaluate on; provide a longer log, set an earlier "
            "registration.cut_off, or use the protocol `sampled`."
        )
    n_cohorts = max(1, min(config.registration.cut_offs, len(registered) // MIN_COHORT_USERS))
    first_rows = np.arange(1, n_cohorts) * len(registered) // n_cohorts
    starts = registered[first_rows] // DAY_US * DAY_US
    moments = np.unique([first, *starts[starts > first]])
    users = np.diff(np.searchsorted(registered, moments), append=len(registered))
    has_users = users > 0
    return CutOffs(tuple(moments[has_users].tolist()), tuple(users[has_users].tolist()), histories)


def _find_first(histories: Histories) -> tuple[int, np.ndarray]:
    """Return the default first cut-off and the sorted registration times of evaluable users; see `choose_cut_offs`."""
    assert histories.log is not None
    first = histories.log.start + 1
    dated = histories.registered_us[histories.registered_us >= 0]
    registered = np.sort(histories.registered_us[histories.can_be_evaluated])
    if len(dated):
        first = max(first, int(np.quantile(dated, MIN_SHARE_REGISTERED)))
    if n_validation := min(ENOUGH_VALIDATION, len(registered) // 2):
        first = max(first, int(registered[n_validation - 1] + histories.target_us))
    return -(-first // DAY_US) * DAY_US, registered
