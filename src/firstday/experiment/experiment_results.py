"""Results of an experiment: one long table of comparisons and its context."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from firstday.display import readable
from firstday.experiment.compare import Comparison
from firstday.experiment.off_policy import ListsEstimate
from firstday.experiment.outcomes import Outcome, write_days
from firstday.experiment.sample_ratio import SampleRatio
from firstday.metrics import Interval

EVERYONE = "everyone"
COHORT = "cohort"


@dataclass(frozen=True)
class Row:
    """One outcome of one treatment compared with the control, for all users or a subgroup.

    Parameters
    ----------
    outcome, days
        The outcome and the length of its window.
    variant
        The treatment.
    column, value
        Subgroup: ``everyone`` and ""; ``cohort`` and a week; or a profile column and its value.
    comparison
        On the users of the subgroup whose window has ended.
    p_corrected
        P-value corrected for multiple testing within its family; NaN without correction.
    """

    outcome: Outcome
    days: float
    variant: str
    column: str
    value: str
    comparison: Comparison
    p_corrected: float = math.nan

    @property
    def window(self) -> tuple[Outcome, float]:
        """The outcome and the length of its window in days."""
        return self.outcome, self.days

    @property
    def title(self) -> str:
        """Outcome and window for display."""
        return f"{self.outcome.title}, {write_days(self.days)}"

    def write_values(self) -> tuple[str, str]:
        """Format the outcome of the control and of the treatment with its unit."""
        form = "{:.2%}" if self.outcome.is_share else "{:.3g}"
        return form.format(self.comparison.control), form.format(self.comparison.treatment)

    def write_effect(self, interval: Interval, *, is_ratio: bool) -> tuple[str, str]:
        """Format a difference, or a ratio as a change in %, and its interval."""
        times, same, form, unit = (100, 0, "+.2f", " points") if self.outcome.is_share else (1, 0, "+.3g", "")
        if is_ratio:
            times, same, form, unit = 100, 1, "+.1f", "%"
        mean, low, high = (f"{times * (value - same):{form}}" for value in (interval.mean, interval.low, interval.high))
        return f"{mean}{unit}", "-" if math.isnan(interval.low) else f"{low} to {high}{'%' if is_ratio else ''}"

    def write_change(self) -> tuple[str, str]:
        """Format the change and its interval: relative, in % of the control, if there is a ratio."""
        ratio = self.comparison.ratio
        return self.write_effect(ratio or self.comparison.difference, is_ratio=ratio is not None)

    def write_always(self) -> str:
        """Format the always-valid interval of the same change."""
        ratio, always = self.comparison.ratio_always, self.comparison.difference_always
        if always is None:
            return "-"
        return self.write_effect(ratio or always, is_ratio=ratio is not None)[1]


@readable
@dataclass(frozen=True, eq=False)
class ExperimentResults:
    """Results of an experiment.

    Parameters
    ----------
    experiment, dataset
        Names.
    control, treatments
        The variants.
    first, last, until
        Times of the first and the last assignment, and the end of the log.
    sample_ratio
        Sample ratio check. On a mismatch there are no rows, unless they are requested explicitly.
    n_by_cohort
        Number of assigned users by registration week and variant.
    n_whole
        Number of users whose window has ended, by window length and variant.
    decides
        The deciding outcome and its window; None if there are no rows.
    rows
        The comparisons.
    lists
        Off-policy estimates.
    level, planned_users
        Confidence level of all intervals, and planned sample size of the always-valid ones.
    notes
        One sentence each on what was left out.
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
        """Number of users in all variants."""
        return sum(self.sample_ratio.counts.values())

    def of_everyone(self) -> tuple[Row, ...]:
        """Return the rows on all users."""
        return tuple(row for row in self.rows if row.column == EVERYONE)

    def deciding(self) -> tuple[Row, ...]:
        """Return the deciding rows, one per treatment."""
        return tuple(row for row in self.of_everyone() if row.window == self.decides)

    def cohorts(self) -> tuple[Row, ...]:
        """Return the rows of registration cohorts."""
        return tuple(row for row in self.rows if row.column == COHORT)

    def groups(self) -> tuple[Row, ...]:
        """Return the rows of profile groups."""
        return tuple(row for row in self.rows if row.column not in (EVERYONE, COHORT))

    def sentences(self) -> tuple[str, ...]:
        """Summarise the results, one sentence per treatment."""
        return tuple(say_row(row, self) for row in self.deciding())

    def say_waiting(self) -> str:
        """Explain that there is nothing to compare yet, and when the first window ends if it is still running."""
        days = min(self.n_whole, default=0.0)
        end = self.first + timedelta(days=days)
        when = f"; the first one, {write_days(days)}, ends {end:%Y-%m-%d %H:%M} UTC" if end > self.until else ""
        return f"No window has ended for enough users yet{when}."

    def to_json(self) -> dict[str, Any]:
        """Return the results as JSON; shares are fractions, missing numbers are null."""
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
    """Summarise a comparison in one sentence."""
    comparison = row.comparison
    control, treatment = row.write_values()
    start = f"{row.title[:1].upper()}{row.title[1:]}: {row.variant} {treatment}, {results.control} {control}"
    if math.isnan(comparison.difference.low):
        return f"{start}: nobody differs."
    percent = f"{100 * results.level:g}% interval"
    change, ends = row.write_change()
    if comparison.is_always_clear:
        return f"{start}: {change} ({row.write_always()}, {percent} at every look): a difference, whenever you look."
    corrected = comparison.p_value if math.isnan(row.p_corrected) else row.p_corrected
    verdict = "may be chance"
    if corrected < 1 - results.level:
        verdict = "a difference if this is the day that was chosen before the start"
    return f"{start}: {change} ({ends}, {percent}): {verdict}."


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


def _ends(interval: Interval | None) -> list[float | None] | None:
    return None if interval is None else [_number(interval.low), _number(interval.high)]


def _row_to_json(row: Row) -> dict[str, Any]:
    found, power = row.comparison, row.comparison.power
    intervals = {"difference": found.difference, "ratio": found.ratio, "unadjusted_difference": found.unadjusted}
    numbers: dict[str, float | None] = {
        "control": found.control,
        "value_of_variant": found.treatment,
        "p_value": found.p_value,
        "p_corrected": row.p_corrected,
        **{name: interval.mean if interval else None for name, interval in intervals.items()},
        **{name: getattr(power, name, None) for name in ("effect", "power", "smallest_effect")},
    }
    ends = {**intervals, "difference_always": found.difference_always, "ratio_always": found.ratio_always}
    return {
        "outcome": row.outcome.name,
        "days": row.days,
        "variant": row.variant,
        "column": row.column,
        "value": row.value,
        "users_control": found.n_control,
        "users_variant": found.n_treatment,
        **{name: _number(value) for name, value in numbers.items()},
        **{f"{name}_ci": _ends(interval) for name, interval in ends.items()},
    }


def _lists_to_json(estimate: ListsEstimate) -> dict[str, Any]:
    share = estimate.used_of_lists
    return {
        **vars(estimate),
        "used_of_lists": share and share.mean,
        "used_of_lists_ci": _ends(share),
        "used_of_shown": _number(estimate.used_of_shown),
    }
