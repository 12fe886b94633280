"""Results of an experiment: the comparisons of tea-tasting and their context."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from firstday.config import ExperimentConfig
from firstday.display import readable
from firstday.experiment.sample_ratio import SampleRatio


@readable
@dataclass(frozen=True, eq=False)
class ExperimentResults:
    """Results of an experiment.

    `until` is the end of the log; `n_whole` counts the users whose window has ended, by its length in days and variant.
    `comparisons` are tea-tasting's, `ExperimentResult` by length of the window and treatment; empty after a sample
    ratio mismatch, unless they are requested explicitly.
    """

    experiment: str
    dataset: str
    config: ExperimentConfig
    control: str
    first: datetime
    last: datetime
    until: datetime
    sample_ratio: SampleRatio
    n_whole: Mapping[float, Mapping[str, int]]
    notes: Sequence[str]
    comparisons: Mapping[float, Mapping[str, Any]]

    @property
    def n_users(self) -> int:
        """Number of users in all variants."""
        return sum(self.sample_ratio.users.values())

    def to_json(self) -> dict[str, Any]:
        """Return the results as JSON; figures are named as in tea-tasting, and null if they are not finite."""
        rows = [
            {"days": days, "variant": treatment, **row}
            for days, of_window in self.comparisons.items()
            for treatment, result in of_window.items()
            for row in result.to_dicts()
        ]
        return {
            "experiment": self.experiment,
            "dataset": self.dataset,
            "control": self.control,
            "first": self.first.isoformat(),
            "last": self.last.isoformat(),
            "until": self.until.isoformat(),
            "users": self.n_users,
            "sample_ratio": vars(self.sample_ratio),
            "users_with_ended_window": {f"{days:g}": counts for days, counts in self.n_whole.items()},
            "level": self.config.level,
            "results": [{name: _finite(value) for name, value in row.items()} for row in rows],
            "notes": self.notes,
        }


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
