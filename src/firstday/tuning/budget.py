"""The time of a search: what still fits, and what is kept for the comparison."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter

MOST_SEEDS = 3
"""Trainings of each of the two that are compared in the end, at most."""
COMPARISON_SHARE = 1 / 3
"""Share of the time that is kept for further seeds of the comparison; the first seed takes what it takes."""


@dataclass(frozen=True)
class Budget:
    """What a search may take.

    Parameters
    ----------
    seconds
        Time in all, from `began` on.
    trials
        Trials at most, the start among them.
    seeds
        Trainings of the start and of the best in the comparison, at most; fewer where time is short.
    began
        The beginning, by `time.perf_counter`; now if left out.
    """

    seconds: float = math.inf
    trials: float = math.inf
    seeds: int = MOST_SEEDS
    began: float = field(default_factory=perf_counter)

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return perf_counter() - self.began


def has_time(limit: float, elapsed: float, trials: Sequence[float], kept: float) -> bool:
    """Tell whether one more trial, and the comparison after it, would end within a time.

    Parameters
    ----------
    limit, elapsed
        Seconds in all, and those that are over.
    trials
        Seconds of each trial before, at least one. The mean counts, since a trial that takes too long is given up.
    kept
        Seconds that are kept for the comparison.
    """
    return elapsed + sum(trials) / len(trials) + kept <= limit


def is_too_late(limit: float, elapsed: float, trial: float, start: float) -> bool:
    """Tell whether a trial in progress has to be given up: if it were the best, there would be no time to compare it.

    Parameters
    ----------
    limit, elapsed
        See `has_time`.
    trial
        Seconds that the trial has taken so far; to compare, its settings are trained with once more.
    start
        Seconds of the comparison beside that: to train the start, and to make the lists.
    """
    return elapsed + trial + start > limit


def plan_comparison(limit: float, one_seed: float, most_seeds: int = MOST_SEEDS) -> float:
    """Return the seconds to keep for the comparison: for as many seeds as take a third of the time, at least for one.

    Parameters
    ----------
    limit
        Seconds in all.
    one_seed
        Seconds of one seed.
    most_seeds
        Seeds at most.
    """
    if math.isinf(limit):
        return most_seeds * one_seed
    return one_seed * min(most_seeds, max(1, int(limit * COMPARISON_SHARE / one_seed)))


def expect_trials(limit: float, elapsed: float, trials: Sequence[float], most_trials: float = math.inf) -> int:
    """Return how many trials there will be, by the mean of those before.

    Parameters
    ----------
    limit, elapsed, trials
        See `has_time`; `limit` without the time of the comparison, and no trial yet is allowed.
    most_trials
        Trials at most.
    """
    if not trials:
        return 1 if math.isinf(most_trials) else int(most_trials)
    fitting = len(trials) + max(0.0, limit - elapsed) / (sum(trials) / len(trials))
    return int(min(most_trials, fitting))
