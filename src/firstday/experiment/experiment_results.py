"""Results of an experiment: comparisons and their context."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from firstday.config import ExperimentConfig
from firstday.display import readable
from firstday.experiment.compare import Comparison
from firstday.experiment.off_policy import ListsEstimate
from firstday.experiment.outcomes import Outcome, write_days
from firstday.experiment.sample_ratio import SampleRatio


@readable
@dataclass(frozen=True, eq=False)
class ExperimentResults:
    """Results of an experiment.

    After a sample ratio mismatch nothing is compared, unless that is requested explicitly. `until` is the end of the
    log. `n_by_cohort` counts assigned users by registration week and variant, `n_whole` those whose window has ended,
    by its length and variant. `primary` is the primary outcome and its window, None if nothing is compared. Comparisons
    are on all users, by registration week, and by profile value (`groups`).
    """

    experiment: str
    dataset: str
    config: ExperimentConfig
    control: str
    treatments: tuple[str, ...]
    first: datetime
    last: datetime
    until: datetime
    sample_ratio: SampleRatio
    n_by_cohort: Mapping[str, Mapping[str, int]]
    n_whole: Mapping[float, Mapping[str, int]]
    notes: Sequence[str]
    primary: Outcome | None = None
    everyone: Sequence[Comparison] = ()
    cohorts: Sequence[Comparison] = ()
    groups: Sequence[Comparison] = ()
    lists: Sequence[ListsEstimate] = ()

    @property
    def n_users(self) -> int:
        """Number of users in all variants."""
        return sum(self.sample_ratio.users.values())

    @property
    def title(self) -> str:
        """Primary outcome and window for display."""
        return self.primary.title if self.primary else ""

    def of_primary(self) -> list[Comparison]:
        """Return the comparisons of the primary outcome, one per treatment."""
        return [row for row in self.everyone if row.outcome == self.primary]

    def sentences(self) -> Sequence[str]:
        """Summarise the results, one sentence per treatment."""
        if rows := self.of_primary():
            return [row.sentence(self.control, self.config.level) for row in rows]
        days = min(self.config.days)
        end = f"{self.first + timedelta(days=days):%Y-%m-%d %H:%M} UTC"
        return [f"No window has ended for enough users yet; the first one, {write_days(days)}, ends {end}."]

    def to_json(self) -> dict[str, Any]:
        """Return the results as JSON; shares are fractions, missing numbers are null."""
        return {
            "experiment": self.experiment,
            "dataset": self.dataset,
            "control": self.control,
            "treatments": self.treatments,
            "first": self.first.isoformat(),
            "last": self.last.isoformat(),
            "until": self.until.isoformat(),
            "users": self.n_users,
            "sample_ratio": vars(self.sample_ratio),
            "users_by_cohort": self.n_by_cohort,
            "users_with_ended_window": {f"{days:g}": counts for days, counts in self.n_whole.items()},
            "level": self.config.level,
            "planned_users": self.config.planned_users,
            "primary": self.primary and {"outcome": self.primary.name, "days": self.primary.days},
            "results": [row.to_json() for row in (*self.everyone, *self.cohorts, *self.groups)],
            "lists": [vars(estimate) for estimate in self.lists],
            "notes": self.notes,
        }
