"""`auto`: answer each user with `blend`, `popular` or `group`, whichever was best for validation users of the class."""

from __future__ import annotations

from typing import Any

import numpy as np

from firstday.artifact.trained_model import KNOWLEDGE, TrainedModel
from firstday.recommend.query import Answer, Query
from firstday.recommend.registry import find_strategy
from firstday.recommend.spec import StrategySpec

AFTER_IMPRESSIONS = "blend"
"""Strategy for users with items passed over: it learns from these (replay: docs/bandit.md)."""


def recommend_auto(query: Query) -> Answer:
    """Answer each user with the strategy selected for their class; its name is the route.

    Users with items passed over are answered with `AFTER_IMPRESSIONS`.
    """
    selection = query.model.selection
    names = np.array([selection.best_of(number) for number in range(len(KNOWLEDGE))], dtype=object)[query.knowledge]
    return answer_each(query, np.where(query.passed_over.lengths() > 0, AFTER_IMPRESSIONS, names))


def answer_each(query: Query, strategies: np.ndarray) -> Answer:
    """Answer each user with the strategy named in `strategies`, shape (n_users,)."""
    names = np.unique(strategies).tolist() or ["popular"]
    if len(names) == 1:  # without a copy of the query
        return find_strategy(names[0]).recommend(query)
    parts = []
    for name in names:
        rows = np.flatnonzero(strategies == name)
        parts.append((rows, find_strategy(name).recommend(query.take(rows))))
    return Answer.join(parts)


def describe_selection(model: TrainedModel) -> list[dict[str, Any]]:
    """Return the selected strategy of each user class and its evidence, as JSON values; empty without a selection.

    Precision is that of each strategy's lists for validation users, with fallbacks and fill-up items, in %.
    """
    return [
        {
            "known": known,
            "strategy": evidence.best,
            "users": {"class": "users", "away": "users with hidden interactions"}[evidence.users],
            "n_users": evidence.n_users,
            "precision": dict(evidence.precision),
            "precision_ci": {name: list(ends) for name, ends in evidence.intervals.items()},
        }
        for known, evidence in zip(KNOWLEDGE, model.selection.classes, strict=False)
    ]


def tabulate_selection(model: TrainedModel) -> list[dict[str, Any]]:
    """Return the rows of `describe_selection` for classes that the data can have."""
    has_friends = model.facts.get("data", {}).get("friends", True)
    can_occur = {"profile": len(model.profile_groups) > 0, "friends": bool(has_friends)}
    return [row for row in describe_selection(model) if can_occur.get(row["known"], True)]


AUTO = StrategySpec(
    name="auto",
    recommend=recommend_auto,
    describe="Answer with blend, popular or group, whichever was best for validation users of the same class.",
    explain="The strategy that was best for people about whom a similar amount was known.",
    reads=("liked", "shown"),
)
