"""A search for settings: its trials, the comparison in the end, and what follows from them."""

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
    """Settings that were trained with and judged.

    Parameters
    ----------
    number
        From 0 on, which is the start itself.
    settings
        What differs from the start.
    precision
        Of the lists of validation users, in %.
    began
        When, in seconds from the start of the search on.
    seconds
        How long it took.
    """

    number: int
    settings: Mapping[str, Any]
    precision: float
    began: float
    seconds: float


@dataclass(frozen=True)
class Comparison:
    """The start beside the best trial, on users who took no part, each trained anew with seeds that no trial had.

    Parameters
    ----------
    seeds
        Of the trainings. All are of the same split, so that nobody who took part in one is judged.
    n_users
        How many users.
    start, best, gain
        Precision of both in %, and the difference in points, paired by user; 95 % intervals over users.
    """

    seeds: tuple[int, ...]
    n_users: int
    start: Interval
    best: Interval
    gain: Interval


@readable
@dataclass(frozen=True)
class Search:
    """What was tried, and what it gave.

    Parameters
    ----------
    start
        The configuration to start from.
    strategy
        Whose lists were judged.
    choices
        The settings that were tried.
    trials
        In order, the start first.
    comparison
        None where no trial was better than the start for validation users: there is nothing to compare.
    ended_by
        Why no more was tried.
    n_warm, n_validation, n_cold
        Users learned from, users who judged, and users who took no part.
    protocol
        Of the split.
    notes
        Sentences about the data.
    seconds
        Time in all.
    """

    start: Config
    strategy: str
    choices: tuple[Choice, ...]
    trials: tuple[Trial, ...]
    comparison: Comparison | None
    ended_by: EndedBy
    n_warm: int
    n_validation: int
    n_cold: int
    protocol: str
    notes: tuple[str, ...]
    seconds: float

    @property
    def best(self) -> Trial:
        """The best trial for validation users; among equals the first."""
        return max(self.trials, key=lambda trial: trial.precision)

    @property
    def is_gain(self) -> bool:
        """Whether the best settings gain beyond chance on users who took no part."""
        return self.comparison is not None and self.comparison.gain.low > 0

    @property
    def at_edge(self) -> tuple[str, ...]:
        """Settings of the best trial of which it has the smallest or the largest value that was tried."""
        settings = self.best.settings
        return tuple(
            choice.name for choice in self.choices if settings.get(choice.name) in (choice.values[0], choice.values[-1])
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        compared = self.comparison
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
            "notes": list(self.notes),
            "result": "gain" if self.is_gain else "keep",
            "best": dict(self.best.settings),
            "at_edge": list(self.at_edge),
            "validation": {"start": round(self.trials[0].precision, 4), "best": round(self.best.precision, 4)},
            "comparison": compared
            and {
                "seeds": list(compared.seeds),
                "n_users": compared.n_users,
                **{name: _round_interval(getattr(compared, name)) for name in ("start", "best", "gain")},
            },
            "tried": {choice.name: {"values": choice.values, "start": choice.start} for choice in self.choices},
            "trials": [
                {
                    "number": trial.number,
                    "settings": dict(trial.settings),
                    "precision": round(trial.precision, 4),
                    "began": round(trial.began, 1),
                    "seconds": round(trial.seconds, 1),
                }
                for trial in self.trials
            ],
        }


def _round_interval(interval: Interval) -> dict[str, Any]:
    return {"mean": round(interval.mean, 4), "ci": [round(interval.low, 4), round(interval.high, 4)]}
