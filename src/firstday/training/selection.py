"""Choice of the strategy `auto` uses for each class of users, on validation users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from firstday.artifact.trained_model import FEW, FIRST_CHOICE, KNOWLEDGE, ClassEvidence, Selection
from firstday.data.events import Pair
from firstday.recommend.query import Query
from firstday.recommend.spec import FALLBACKS
from firstday.sparse import SparseRows, contains, union_rows
from firstday.training.validation import Fold, head, measure_folds

ENOUGH_USERS = 200
"""Number of validation users below which `take_class` adds users to a class by hiding their interactions."""
MAX_CLASS_USERS = 2_000
"""Maximum number of validation users to evaluate per class."""
PSEUDO_USERS = 20
"""Shrinkage of a class's gains towards the gains over all users, in pseudo-users (`benchmarks/auto_choice.py`)."""
NORMAL_95 = 1.96
"""Half-width of a 95 % interval, in standard errors."""


def choose_selection(folds: Sequence[Fold]) -> Selection:
    """Choose the strategy of each class of `KNOWLEDGE`: `blend`, unless a fallback is better."""
    sample = head(folds, MAX_CLASS_USERS)
    overall = {name: measure_folds(sample, name) for name in (*FALLBACKS, FIRST_CHOICE)}
    return Selection(tuple(_evaluate_class(folds, number, overall) for number in range(len(KNOWLEDGE))))


def _evaluate_class(folds: Sequence[Fold], number: int, overall: Mapping[str, np.ndarray]) -> ClassEvidence:
    """Evaluate strategies on the validation users of one class; on class 0, `popular` alone."""
    members, source = take_class(folds, number)
    members = head(members, MAX_CLASS_USERS)
    names = overall if number > 0 else ("popular",)  # users without any signal always get the popular list
    in_class = {name: measure_folds(members, name) for name in names}
    means = {}
    intervals = {}
    for name, precision in in_class.items():
        if n_users := len(precision):
            mean = 100 * float(precision.mean())
            half_width = 100 * NORMAL_95 * float(precision.std()) / n_users**0.5
            means[name] = round(mean, 2)
            intervals[name] = round(max(0.0, mean - half_width), 2), round(min(100.0, mean + half_width), 2)
    return ClassEvidence(len(in_class["popular"]), source, select(in_class, overall), means, intervals)


def select(
    in_class: Mapping[str, np.ndarray], overall: Mapping[str, np.ndarray], pseudo_users: float = PSEUDO_USERS
) -> str:
    """Return the best strategy, which is never worse than a fallback.

    A strategy's gain over `popular` in a class is shrunk towards its gain over all users. Small classes thus have
    little influence, the choice does not jump at a particular class size, and a class without users follows all users.
    `in_class` and `overall` have the precision of each user's list by strategy, shape (n_users,); `pseudo_users` is the
    weight of the gain over all users, in users of the class.
    """

    def gain(name: str) -> float:
        in_all = float((overall[name] - overall["popular"]).mean())
        return float((in_class[name] - in_class["popular"]).sum()) + pseudo_users * in_all

    return max(("popular", *in_class), key=gain)


def take_class(folds: Sequence[Fold], number: int) -> tuple[list[Fold], Literal["class", "away"]]:
    """Return users that represent a class (index `number` of `KNOWLEDGE`), and their source (`ClassEvidence.users`).

    If the class has few members, the source is ``away``: some signals of all users are hidden, and the users who then
    belong to the class are taken. For class ``1-3``, users with more interactions keep 1 to 3 random ones; for
    ``friends``, all interactions are hidden; for ``profile``, friends as well. Hidden items stay excluded from the
    users' lists, because they are not in the truth.
    """
    name = KNOWLEDGE[number]
    members = _take_members(folds, number)
    is_enough = sum(fold.query.n_users for fold in members) >= ENOUGH_USERS
    if is_enough or name not in ("profile", "friends", "1-3") or folds[0].query.computed is not None:
        return members, "class"
    views = []
    for fold in folds:
        query = fold.query
        signals = fold.query.signals
        actions = _hide_all_but_few(query) if name == "1-3" else {}
        friends = None if name == "profile" else signals.friends
        signals = replace(signals, actions=actions, friends=friends)
        views.append(Fold(replace(query, signals=signals, excluded_override=query.excluded), fold.truth))
    return _take_members(views, number), "away"


def _take_members(folds: Sequence[Fold], number: int) -> list[Fold]:
    return [fold.take(np.flatnonzero(fold.query.knowledge == number)) for fold in folds]


def _hide_all_but_few(query: Query) -> dict[Pair, SparseRows]:
    """Keep 1 to 3 random items and entity members of each user of the last class, drawn with the model's seed."""
    rng = np.random.default_rng(query.model.config.seed)
    actions = query.signals.actions
    sizes = rng.integers(1, FEW, query.n_users)
    sizes[query.knowledge < len(KNOWLEDGE) - 1] = query.model.n_items  # other classes keep all interactions
    if not actions:
        return {}
    entities = list(dict.fromkeys(entity for _, entity in actions))
    width = max(rows.n_columns for rows in actions.values())
    blocks = {  # the members of all entities as columns of one matrix
        pair: replace(rows, columns=rows.columns + width * entities.index(pair[1]), n_columns=width * len(entities))
        for pair, rows in actions.items()
    }
    union = union_rows(list(blocks.values()))
    by_entity = np.argsort(union.columns // width, kind="stable")  # entry by_entity[i] gets the i-th key
    keys = rng.random(union.n_entries)[np.argsort(by_entity)]
    drawn = union.keep(union.rank_within_rows(keys) < sizes[union.row_of_entry()])
    return {pair: rows.keep(contains(drawn, blocks[pair])) for pair, rows in actions.items()}
