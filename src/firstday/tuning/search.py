"""Results of a hyperparameter search: the trials and the final comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from firstday.config import Config
from firstday.display import readable
from firstday.metrics import Interval
from firstday.tuning.settings_to_try import Choice

EndedBy = Literal["time", "trials", "repeats", "interruption"]


@dataclass(frozen=True)
class Trial:
    """One trial of a search.

    Parameters
    ----------
    number
        Number of the trial; 0 is the starting configuration.
    settings
        Settings that differ from the starting configuration.
    precision
        Mean precision on validation users, in %.
    began
        Time at which the trial began, in seconds since the start of the search.
    seconds
        Duration in seconds.
    """

    number: int
    settings: Mapping[str, Any]
    precision: float
    began: float
    seconds: float


@dataclass(frozen=True)
class ColdScores:
    """Precision of the starting and the best settings on cold users, each retrained with seeds that no trial used.

    Parameters
    ----------
    seeds
        Training seeds. The split is always the same, so that no user of the search is used for the comparison.
    n_users
        Number of cold users.
    start, best, gain
        Precision of both in %, and their difference in percentage points, paired by user; 95 % intervals over users.
    """

    seeds: tuple[int, ...]
    n_users: int
    start: Interval
    best: Interval
    gain: Interval


@readable
@dataclass(frozen=True)
class Search:
    """Results of a search.

    Parameters
    ----------
    start
        Starting configuration.
    strategy
        Strategy whose lists were evaluated.
    choices
        Search space.
    trials
        All trials; the first is the starting configuration.
    comparison
        Comparison on cold users; None if no trial was better than the start on validation users.
    ended_by
        Why the search ended.
    n_warm, n_validation, n_cold
        Number of warm users (training), validation users (selection) and cold users (comparison).
    protocol
        Protocol of the split.
    notes
        Sentences on the data.
    seconds
        Total duration in seconds.
    """

    start: Config
    strategy: str
    choices: tuple[Choice, ...]
    trials: tuple[Trial, ...]
    comparison: ColdScores | None
    ended_by: EndedBy
    n_warm: int
    n_validation: int
    n_cold: int
    protocol: str
    notes: tuple[str, ...]
    seconds: float

    @property
    def best(self) -> Trial:
        """The best trial on validation users; the first of ties."""
        return max(self.trials, key=lambda trial: trial.precision)

    @property
    def is_gain(self) -> bool:
        """Whether the best settings are significantly better on cold users."""
        return self.comparison is not None and self.comparison.gain.low > 0

    @property
    def at_edge(self) -> tuple[str, ...]:
        """Settings whose best value is the smallest or largest one tried."""
        settings = self.best.settings
        return tuple(
            choice.name for choice in self.choices if settings.get(choice.name) in (choice.values[0], choice.values[-1])
        )

    def to_json(self) -> dict[str, Any]:
        """Return the results as JSON values."""
        comparison = self.comparison
        return {
            "strategy": self.strategy,
            "k": self.start.recommend.k,
            "protocol": self.protocol,
            "n_warm": self.n_warm,
            "n_validation": self.n_validation,
            "n_cold": self.n_cold,
            "seed": self.start.seed,
            "seconds": round(self.seconds, 1),
            "ended_by": self.ended_by,
            "notes": self.notes,
            "result": "gain" if self.is_gain else "keep",
            "best": self.best.settings,
            "at_edge": self.at_edge,
            "validation": {"start": self.trials[0].precision, "best": self.best.precision},
            "comparison": comparison
            and {
                name: {"mean": value.mean, "ci": (value.low, value.high)} if isinstance(value, Interval) else value
                for name, value in vars(comparison).items()
            },
            "tried": {choice.name: {"values": choice.values, "start": choice.start} for choice in self.choices},
            "trials": [vars(trial) for trial in self.trials],
        }
