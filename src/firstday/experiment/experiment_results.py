"""What an experiment found: one long table of comparisons, and what stands beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from firstday.display import readable
from firstday.experiment.compare import Comparison, Power
from firstday.experiment.off_policy import ListsEstimate
from firstday.experiment.outcomes import Outcome, write_days
from firstday.experiment.sample_ratio import SampleRatio
from firstday.metrics import Interval

EVERYONE = "everyone"
COHORT = "cohort"


@dataclass(frozen=True)
class Row:
    """One outcome of one treatment against the control, of everyone or of some users.

    Parameters
    ----------
    outcome, days
        What was counted, and within how many days.
    variant
        The treatment.
    column, value
        Which users: ``everyone`` and ""; ``cohort`` and a week; or a column of the profile and its value.
    comparison
        Of these users with an ended window.
    p_corrected
        The p-value after a look at all of its family; NaN where nothing was corrected.
    power
        Of everyone alone; None for some users, and where nobody differs.
    """

    outcome: Outcome
    days: float
    variant: str
    column: str
    value: str
    comparison: Comparison
    p_corrected: float = math.nan
    power: Power | None = None


@readable
@dataclass(frozen=True, eq=False)
class ExperimentResults:
    """All that is reported of an experiment.

    Parameters
    ----------
    experiment, dataset
        Names.
    control, treatments
        The variants.
    first, last, until
        The first and the last assignment, and when the record ends.
    sample_ratio
        Whether users are divided as asked for; where they are not, there are no rows, unless asked for all the same.
    n_by_cohort
        For each week of registration and variant, the users who were assigned.
    n_whole
        For each number of days and variant, the users whose window has ended.
    decides
        The outcome that decides, and its days; None where there are no rows.
    rows
        The comparisons.
    lists
        How lists that were not shown would have done.
    level, planned_users
        Of the intervals.
    notes
        Sentences on what was left out.
    """

    experiment: str
    dataset: str
    control: str
    treatments: tuple[str, ...]
    first: datetime
    last: datetime
    until: datetime
    sample_ratio: SampleRatio
    n_by_cohort: Mapping[str, Mapping[str, int]]
    n_whole: Mapping[float, Mapping[str, int]]
    decides: tuple[Outcome, float] | None
    rows: tuple[Row, ...]
    lists: tuple[ListsEstimate, ...]
    level: float
    planned_users: int
    notes: tuple[str, ...]

    @property
    def n_users(self) -> int:
        """Users in all variants."""
        return sum(self.sample_ratio.counts.values())

    def of_everyone(self) -> tuple[Row, ...]:
        """Return the rows of all users."""
        return tuple(row for row in self.rows if row.column == EVERYONE)

    def deciding(self) -> tuple[Row, ...]:
        """Return the rows that decide, one for each treatment."""
        return tuple(row for row in self.of_everyone() if (row.outcome, row.days) == self.decides)

    def cohorts(self) -> tuple[Row, ...]:
        """Return the rows of registration cohorts."""
        return tuple(row for row in self.rows if row.column == COHORT)

    def groups(self) -> tuple[Row, ...]:
        """Return the rows of groups of the profile."""
        return tuple(row for row in self.rows if row.column not in (EVERYONE, COHORT))

    def sentences(self) -> tuple[str, ...]:
        """Say what was found, in a sentence for each treatment."""
        return tuple(say_row(row, self) for row in self.deciding())

    def say_waiting(self) -> str:
        """Say that nothing can be compared yet, and when the first window ends where that is to come."""
        days = min(self.n_whole, default=0.0)
        end = self.first + timedelta(days=days)
        when = f"; the first one, {write_days(days)}, ends {end:%Y-%m-%d %H:%M} UTC" if end > self.until else ""
        return f"No window has ended for enough users yet{when}."

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON; shares are fractions of 1, what has no number is null."""
        ratio = self.sample_ratio
        return {
            "experiment": self.experiment,
            "dataset": self.dataset,
            "control": self.control,
            "treatments": list(self.treatments),
            "first": self.first.isoformat(),
            "last": self.last.isoformat(),
            "until": self.until.isoformat(),
            "users": self.n_users,
            "sample_ratio": {
                "users": dict(ratio.counts),
                "weights": dict(ratio.weights),
                "p_value": ratio.p_value,
                "broken": ratio.is_broken,
            },
            "users_by_cohort": {cohort: dict(counts) for cohort, counts in self.n_by_cohort.items()},
            "users_with_ended_window": {f"{days:g}": dict(counts) for days, counts in self.n_whole.items()},
            "level": self.level,
            "planned_users": self.planned_users,
            "decides": None if self.decides is None else {"outcome": self.decides[0].name, "days": self.decides[1]},
            "results": [_row_to_json(row) for row in self.rows],
            "lists": [_lists_to_json(estimate) for estimate in self.lists],
            "notes": list(self.notes),
        }


def say_row(row: Row, results: ExperimentResults) -> str:
    """Say what a comparison found."""
    comparison = row.comparison
    treatment, control = (write_value(row.outcome, value) for value in (comparison.treatment, comparison.control))
    title = f"{row.outcome.title[:1].upper()}{row.outcome.title[1:]}, {write_days(row.days)}"
    start = f"{title}: {row.variant} {treatment}, {results.control} {control}"
    if math.isnan(comparison.difference.low):
        return f"{start}: nobody differs."
    percent = f"{100 * results.level:g}% interval"
    interval = comparison.difference if comparison.ratio is None else comparison.ratio
    change = write_change(row.outcome, comparison.difference, comparison.ratio)
    always = comparison.difference_always if comparison.ratio is None else comparison.ratio_always
    if comparison.is_always_clear and always is not None:
        ends = write_ends(row.outcome, always, is_ratio=comparison.ratio is not None)
        return f"{start}: {change} ({ends}, {percent} at every look): a difference, whenever you look."
    ends = write_ends(row.outcome, interval, is_ratio=comparison.ratio is not None)
    corrected = comparison.p_value if math.isnan(row.p_corrected) else row.p_corrected
    if corrected < 1 - results.level:
        return (
            f"{start}: {change} ({ends}, {percent}): a difference if this is the day that was chosen before the start."
        )
    return f"{start}: {change} ({ends}, {percent}): may be chance."


def write_value(outcome: Outcome, value: float) -> str:
    """Write an outcome with its unit."""
    return f"{100 * value:.2f}%" if outcome.is_share else f"{value:.3g}"


def write_change(outcome: Outcome, difference: Interval, ratio: Interval | None) -> str:
    """Write how much more or less a treatment has: in % of the control where there is a ratio."""
    if ratio is not None:
        return f"{100 * (ratio.mean - 1):+.1f}%"
    return f"{100 * difference.mean:+.2f} points" if outcome.is_share else f"{difference.mean:+.3g}"


def write_ends(outcome: Outcome, interval: Interval, *, is_ratio: bool) -> str:
    """Write the ends of an interval of a change."""
    if math.isnan(interval.low):
        return "-"
    if is_ratio:
        return f"{100 * (interval.low - 1):+.1f} to {100 * (interval.high - 1):+.1f}%"
    times, digits = (100, ".2f") if outcome.is_share else (1, ".3g")
    return f"{times * interval.low:+{digits}} to {times * interval.high:+{digits}}"


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


def _ends(interval: Interval | None) -> list[float | None] | None:
    return None if interval is None else [_number(interval.low), _number(interval.high)]


def _row_to_json(row: Row) -> dict[str, Any]:
    comparison = row.comparison
    return {
        "outcome": row.outcome.name,
        "days": row.days,
        "variant": row.variant,
        "column": row.column,
        "value": row.value,
        "users_control": comparison.n_control,
        "users_variant": comparison.n_treatment,
        "control": _number(comparison.control),
        "value_of_variant": _number(comparison.treatment),
        "difference": _number(comparison.difference.mean),
        "difference_ci": _ends(comparison.difference),
        "difference_always_ci": _ends(comparison.difference_always),
        "ratio": None if comparison.ratio is None else _number(comparison.ratio.mean),
        "ratio_ci": _ends(comparison.ratio),
        "ratio_always_ci": _ends(comparison.ratio_always),
        "p_value": _number(comparison.p_value),
        "p_corrected": _number(row.p_corrected),
        "unadjusted_difference": None if comparison.unadjusted is None else _number(comparison.unadjusted.mean),
        "unadjusted_difference_ci": _ends(comparison.unadjusted),
        "effect": None if row.power is None else row.power.effect,
        "power": None if row.power is None else _number(row.power.power),
        "smallest_effect": None if row.power is None else _number(row.power.smallest_effect),
    }


def _lists_to_json(estimate: ListsEstimate) -> dict[str, Any]:
    share = estimate.share_used
    return {
        "name": estimate.name,
        "users": estimate.n_users,
        "places": estimate.n_places,
        "places_of_lists": estimate.n_places_of_lists,
        "matches": estimate.n_matches,
        "effective_users": estimate.effective_users,
        "mean_weight": estimate.mean_weight,
        "used_of_lists": None if share is None else share.mean,
        "used_of_lists_ci": _ends(share),
        "used_of_shown": _number(estimate.shown_used),
        "refusal": estimate.refusal or None,
    }
