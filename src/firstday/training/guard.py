"""The guard of `auto`: `blend` must not be worse than `popular` beyond chance, for all users or a class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from firstday.methods.auto import CHOICE, GUARD, PAPER, ClassEvidence, Guard
from firstday.model.trained_model import KNOWLEDGE
from firstday.recommend.fold import Fold, head, measure_folds
from firstday.training.weights import NORMAL_95

MAX_GUARD_USERS = 4_000
"""Maximum number of validation users to evaluate."""
MIN_CLASS_USERS = 20
"""Minimum number of validation users by which a class is judged on its own."""


def choose_guard(folds: Sequence[Fold]) -> Guard:
    """Compare `blend` with `popular` on validation users; users about whom nothing is known never get `blend`."""
    sample = head(folds, MAX_GUARD_USERS)
    knowledge = np.concatenate([fold.query.knowledge for fold in sample])
    precision = {name: 100 * measure_folds(sample, name) for name in (CHOICE, GUARD, PAPER)}
    overall = GUARD if is_worse(precision[CHOICE], precision[GUARD]) else CHOICE
    classes = []
    for number in range(len(KNOWLEDGE)):
        is_member = knowledge == number
        of_class = {name: values[is_member] for name, values in precision.items()}
        strategy = overall
        if number == 0 or (is_member.sum() >= MIN_CLASS_USERS and is_worse(of_class[CHOICE], of_class[GUARD])):
            strategy = GUARD
        classes.append(_describe_class(strategy, of_class))
    return Guard(tuple(classes))


def is_worse(precision: np.ndarray, other: np.ndarray) -> bool:
    """Return whether the paired 95 % interval of users' precision minus another is below zero."""
    difference = precision - other
    half_width = NORMAL_95 * difference.std() / max(1, len(difference)) ** 0.5
    return bool(len(difference) and difference.mean() + half_width < 0)


def _describe_class(strategy: str, precision: Mapping[str, np.ndarray]) -> ClassEvidence:
    """Return the means and 95 % intervals of a class."""
    n_users = len(precision[CHOICE])
    means = {}
    intervals = {}
    for name, values in precision.items() if n_users else ():
        mean = float(values.mean())
        half_width = NORMAL_95 * float(values.std()) / n_users**0.5
        means[name] = round(mean, 2)
        intervals[name] = (round(max(0.0, mean - half_width), 2), round(min(100.0, mean + half_width), 2))
    return ClassEvidence(strategy, n_users, means, intervals)
