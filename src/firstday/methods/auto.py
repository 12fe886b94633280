"""`auto`, the default: `blend`, or the model's fallback for users whose lists it made worse in validation.

The guard: `blend` must not be worse than `popular` beyond chance, for all validation users or a class of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from firstday.display import readable
from firstday.methods.precision import NORMAL_95, mean_and_error, measure_folds
from firstday.model.trained_model import KNOWLEDGE
from firstday.recommend.fold import Fold, TrainingRun, head
from firstday.recommend.query import Answer, Query
from firstday.recommend.registry import find_strategy
from firstday.recommend.spec import Choice, StrategySpec
from firstday.recommend.support import fallback_of

GUARDED = "blend"
PAPER = "segment"
GUARD = "popular"
"""Strategy below which `blend` must not fall; the model's fallback then answers, which also heeds the clock."""
MAX_GUARD_USERS = 4_000
"""Maximum number of validation users to evaluate."""
MIN_CLASS_USERS = 20
"""Minimum number of validation users by which a class is judged on its own."""


@readable
@dataclass(frozen=True)
class ClassEvidence:
    """Precision of `blend`, `popular` and `segment` on one class of validation users, in %, and the choice of `auto`.

    All are without the clock.
    """

    strategy: str
    n_users: int
    precision: Mapping[str, float] = field(default_factory=dict)
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # 95 %, over the users


@readable
@dataclass(frozen=True)
class Guard:
    """Better strategy for each class of `KNOWLEDGE`; without classes, it is `blend`."""

    classes: tuple[ClassEvidence, ...] = ()

    def strategy_of(self, knowledge: int, fallback: str = GUARD) -> str:
        """Return `blend`, or the fallback, for a class, given its index in `KNOWLEDGE`."""
        is_chosen = not self.classes or self.classes[knowledge].strategy == GUARDED
        return GUARDED if is_chosen else fallback


def choose_strategies(query: Query) -> np.ndarray:
    """Return the strategy of each user: `blend`, or the model's fallback where the guard says so, shape (n_users,).

    `blend` always answers users with items passed over, since only it learns from these.
    """
    guard: Guard = query.learned("auto")
    fallback = fallback_of(query.model)
    strategies = np.array([guard.strategy_of(number, fallback) for number in range(len(KNOWLEDGE))])
    return np.where(query.passed_over.lengths() > 0, GUARDED, strategies[query.knowledge])


def recommend_auto(query: Query) -> Answer:
    """Answer each user with the strategy chosen for them, whose name is the route."""
    chosen = query.derive(choose_strategies)
    if (chosen == GUARDED).all():  # without a copy of the query
        return find_strategy(GUARDED).recommend(query)
    parts = []
    for name in (GUARDED, fallback_of(query.model)):
        rows = np.flatnonzero(chosen == name)
        parts.append((rows, find_strategy(name).recommend(query.take(rows))))
    return Answer.join(parts)


def learn_guard(run: TrainingRun) -> Choice:
    """Compare `blend` with `popular` on validation users."""
    return choose_guard([fold.with_learned(clock=None) for fold in run.folds]), {}


def choose_guard(folds: Sequence[Fold]) -> Guard:
    """Compare `blend` with `popular` on validation users; users about whom nothing is known never get `blend`."""
    sample = head(folds, MAX_GUARD_USERS)
    knowledge = np.concatenate([fold.query.knowledge for fold in sample])
    precision = {name: 100 * measure_folds(sample, name) for name in (GUARDED, GUARD, PAPER)}
    overall = GUARD if is_worse(precision[GUARDED], precision[GUARD]) else GUARDED
    classes = []
    for number in range(len(KNOWLEDGE)):
        is_member = knowledge == number
        of_class = {name: values[is_member] for name, values in precision.items()}
        strategy = overall
        if number == 0 or (is_member.sum() >= MIN_CLASS_USERS and is_worse(of_class[GUARDED], of_class[GUARD])):
            strategy = GUARD
        classes.append(_describe_class(strategy, of_class))
    return Guard(tuple(classes))


def is_worse(precision: np.ndarray, other: np.ndarray) -> bool:
    """Return whether the paired 95 % interval of users' precision minus another is below zero."""
    if not len(precision):
        return False
    mean, error = mean_and_error(precision - other)
    return mean + NORMAL_95 * error < 0


def _describe_class(strategy: str, precision: Mapping[str, np.ndarray]) -> ClassEvidence:
    """Return the means and 95 % intervals of a class."""
    n_users = len(precision[GUARDED])
    means = {}
    intervals = {}
    for name, values in precision.items() if n_users else ():
        mean, error = mean_and_error(values)
        half_width = NORMAL_95 * error
        means[name] = round(mean, 2)
        intervals[name] = (round(max(0.0, mean - half_width), 2), round(min(100.0, mean + half_width), 2))
    return ClassEvidence(strategy, n_users, means, intervals)


AUTO = StrategySpec(
    name="auto",
    recommend=recommend_auto,
    describe="Answer with blend, or with popular or recent items where blend was worse for validation users.",
    explain="The default: several ways of ranking combined, or the most used items.",
    choose=learn_guard,
    value=Guard,
    always_trained=True,
    based_on=GUARDED,
    delegates=choose_strategies,
)
