"""`auto`, the default: `blend`, or the model's fallback for users whose lists it made worse in validation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from firstday.display import readable
from firstday.model.trained_model import KNOWLEDGE
from firstday.recommend.query import Answer, Query
from firstday.recommend.registry import find_strategy
from firstday.recommend.spec import StrategySpec

CHOICE = "blend"
PAPER = "segment"
GUARD = "popular"
"""Strategy below which `blend` must not fall; the model's fallback then answers, which also heeds the clock."""


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
        is_chosen = not self.classes or self.classes[knowledge].strategy == CHOICE
        return CHOICE if is_chosen else fallback


def recommend_auto(query: Query) -> Answer:
    """Answer with `blend`, or with the model's fallback where the guard says so; the name is the route.

    `blend` always answers users with items passed over, since only it learns from these.
    """
    guard: Guard = query.learned("auto")
    strategies = np.array([guard.strategy_of(number) for number in range(len(KNOWLEDGE))])
    is_guarded = (strategies[query.knowledge] != CHOICE) & (query.passed_over.lengths() == 0)
    if not is_guarded.any():  # without a copy of the query
        return find_strategy(CHOICE).recommend(query)
    parts = []
    for name, is_answered in ((CHOICE, ~is_guarded), (query.model.fallback, is_guarded)):
        rows = np.flatnonzero(is_answered)
        parts.append((rows, find_strategy(name).recommend(query.take(rows))))
    return Answer.join(parts)


AUTO = StrategySpec(
    name="auto",
    recommend=recommend_auto,
    describe="Answer with blend, or with popular or recent items where blend was worse for validation users.",
    explain="The default: several ways of ranking combined, or the most used items.",
    value=Guard,
    reads=("liked", "shown"),
)
