"""Choice of the strategy `auto` uses for each class of users, on validation users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import polars as pl

from firstday.artifact.trained_model import FEW, FIRST_CHOICE, KNOWLEDGE, ClassEvidence, Selection
from firstday.data.events import Pair
from firstday.recommend.query import Query
from firstday.recommend.spec import FALLBACKS
from firstday.sparse import SparseRows, contains, union_rows
from firstday.training.validation import Fold, head, measure_folds

ENOUGH_USERS = 200
"""Classes with fewer validation users also use other users with their actions hidden."""
MOST_JUDGED = 2_000
"""Maximum number of validation users to score per class."""
PSEUDO_USERS = 20
"""Shrinkage of a class's gains towards the gains over all users, in pseudo-users (`benchmarks/auto_choice.py`)."""


def choose_selection(folds: Sequence[Fold]) -> Selection:
    """Choose the strategy of each class of `KNOWLEDGE`: `blend`, unless a fallback is better."""
    names = (*FALLBACKS, FIRST_CHOICE)
    judged = head(folds, MOST_JUDGED)
    overall = {name: measure_folds(judged, name) for name in names}
    return Selection(tuple(_judge_class(folds, number, names, overall) for number in range(len(KNOWLEDGE))))


def _judge_class(
    folds: Sequence[Fold], number: int, names: Sequence[str], overall: Mapping[str, np.ndarray]
) -> ClassEvidence:
    """Score strategies on the validation users that represent one class."""
    members, source = take_class(folds, number)
    if number == 0:  # users without any signal always get the popular list
        names = ("popular",)
    members = head(members, MOST_JUDGED)
    of_class = {name: measure_folds(members, name) for name in names}
    means: dict[str, float] = {}
    ends: dict[str, tuple[float, float]] = {}
    for name, precision in of_class.items():
        if len(precision):
            mean, off = 100 * float(precision.mean()), 196 * float(precision.std()) / len(precision) ** 0.5
            means[name], ends[name] = round(mean, 2), (round(max(0.0, mean - off), 2), round(min(100.0, mean + off), 2))
    return ClassEvidence(len(of_class["popular"]), source, select(of_class, overall), means, ends)


def select(
    of_class: Mapping[str, np.ndarray], overall: Mapping[str, np.ndarray], pseudo_users: float = PSEUDO_USERS
) -> str:
    """Return the best strategy, which is never worse than a fallback.

    A strategy's gain over `popular` in a class is shrunk towards its gain over all users. Small classes thus have
    little influence, the choice does not jump at a particular class size, and a class without users follows all users.

    Parameters
    ----------
    of_class, overall
        Precision of each user's list by strategy, shape (n_users,), for the class and for all users.
    pseudo_users
        Weight of the gain over all users, in users of the class.
    """
    n_users = len(of_class["popular"])

    def gain(name: str) -> float:
        of_all = float((overall[name] - overall["popular"]).mean()) if len(overall[name]) else 0.0
        return (float((of_class[name] - of_class["popular"]).sum()) + pseudo_users * of_all) / (n_users + pseudo_users)

    return max(("popular", *of_class), key=gain)


def take_class(folds: Sequence[Fold], number: int) -> tuple[list[Fold], Literal["class", "away"]]:
    """Return the users that represent a class of `KNOWLEDGE`, and where they come from.

    If the class has few members, users who did more are added with their actions hidden: all of them, or all but 1 to 3
    at random. Hidden items stay excluded from their lists, because they are not in the truth.

    Parameters
    ----------
    folds
        Validation users, querying trained models.
    number
        Index of the class in `KNOWLEDGE`.
    """
    members = [fold.take(np.flatnonzero(fold.query.knowledge == number)) for fold in folds]
    n_users, name = sum(fold.query.n_users for fold in members), KNOWLEDGE[number]
    if n_users >= ENOUGH_USERS or name not in ("profile", "friends", "1-3") or folds[0].query.computed is not None:
        return members, "class"
    views = []
    for fold in folds:
        query, signals = fold.query, fold.query.signals
        if name == "1-3":
            signals = replace(signals, actions=_keep_few(query))
        else:
            signals = replace(signals, actions={}, friends=signals.friends if name == "friends" else None)
        view = Fold(replace(query, signals=signals, closed=query.excluded), fold.truth)
        views.append(view.take(np.flatnonzero(view.query.knowledge == number)))
    return views, "away"


def _keep_few(query: Query) -> dict[Pair, SparseRows]:
    """Keep 1 to 3 random actions of each user who did more, drawn with the model's seed."""
    rng = np.random.default_rng(query.model.config.seed)
    numbers = rng.integers(1, FEW, query.n_users)
    numbers[query.knowledge < len(KNOWLEDGE) - 1] = query.model.n_items  # these keep all their actions
    actions = query.signals.actions
    if not actions:
        return {}
    targets = {
        entity: union_rows([rows for (_, of), rows in actions.items() if of == entity])
        for entity in dict.fromkeys(of for _, of in actions)
    }
    users = np.concatenate([rows.row_of_entry() for rows in targets.values()])
    ranks = pl.DataFrame({"user": users, "key": rng.random(len(users))}).select(
        pl.col("key").rank("ordinal").over("user")
    )
    is_kept = np.split(
        ranks["key"].to_numpy() <= numbers[users], np.cumsum([rows.n_entries for rows in targets.values()])
    )
    chosen = {entity: rows.keep(mask) for (entity, rows), mask in zip(targets.items(), is_kept, strict=False)}
    return {pair: rows.keep(contains(chosen[pair[1]], rows)) for pair, rows in actions.items()}
