"""Results of a hyperparameter search: the trials and the final comparison."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from firstday.config import Config
from firstday.display import readable
from firstday.metrics import Interval
from firstday.tuning.settings_to_try import Choice

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

EndedBy = Literal["time", "trials", "repeats", "interruption"]
SETTINGS = "settings"
SECONDS = "seconds"


def list_completed(study: optuna.Study) -> list[FrozenTrial]:
    """Return the completed trials; the first is the starting configuration."""
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def _round(trial: FrozenTrial) -> float:
    return round(trial.value or 0.0, 4)


@dataclass(frozen=True)
class ColdScores:
    """Precision of the starting and the best settings on cold users, each retrained with seeds that no trial used.

    The split does not depend on the seeds, so that no user of the search is used for the comparison. `start` and `best`
    are in %, `gain` is their difference in percentage points, paired by user; 95 % intervals over users.
    """

    seeds: tuple[int, ...]
    start: Interval
    best: Interval
    gain: Interval

    def to_json(self) -> dict[str, Any]:
        """Return the results as JSON values."""
        intervals = {"start": self.start, "best": self.best, "gain": self.gain}
        values = {name: {"mean": of.mean, "ci": (of.low, of.high)} for name, of in intervals.items()}
        return {"seeds": self.seeds, **values}


@readable
@dataclass(frozen=True, eq=False)
class Search:
    """Results of a search.

    The first trial of `study` is the starting configuration. The value of a trial is the precision on validation users,
    in %; its parameters are indexes into the values of `choices`; its attributes are `SETTINGS`, the settings that
    differ from the starting configuration, and `SECONDS`. `comparison` is None if no trial was better than the start.
    """

    start: Config
    strategy: str
    choices: tuple[Choice, ...]
    study: optuna.Study
    comparison: ColdScores | None
    ended_by: EndedBy
    n_warm: int
    n_validation: int
    n_cold: int
    protocol: str
    notes: tuple[str, ...]
    seconds: float

    @property
    def best(self) -> FrozenTrial:
        """The best trial on validation users; the first of ties."""
        return self.study.best_trial

    @property
    def is_gain(self) -> bool:
        """Whether the best settings are significantly better on cold users."""
        return self.comparison is not None and self.comparison.gain.low > 0

    @property
    def at_edge(self) -> tuple[str, ...]:
        """Settings whose best value is the smallest or largest one tried."""
        settings = self.best.user_attrs[SETTINGS]
        edges = {choice.name: (choice.values[0], choice.values[-1]) for choice in self.choices}
        return tuple(name for name, ends in edges.items() if settings.get(name) in ends)

    def to_json(self) -> dict[str, Any]:
        """Return the results as JSON values."""
        trials = [
            {"number": number, "precision": _round(trial), **trial.user_attrs}
            for number, trial in enumerate(list_completed(self.study))
        ]
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
            "best": self.best.user_attrs[SETTINGS],
            "at_edge": self.at_edge,
            "validation": {"start": trials[0]["precision"], "best": _round(self.best)},
            "comparison": self.comparison and self.comparison.to_json(),
            "tried": {choice.name: {"values": choice.values, "start": choice.start} for choice in self.choices},
            "trials": trials,
        }
