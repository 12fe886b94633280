"""Which strategy `auto` answers by, and which strategies leave the answer to their fallback, by validation users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from firstday.artifact.trained_model import FEW, FIRST_CHOICE, KNOWLEDGE, ClassEvidence, Selection
from firstday.data.events import Pair
from firstday.metrics import measure
from firstday.recommend.query import Query
from firstday.recommend.recommender import answer_all
from firstday.recommend.spec import FALLBACKS
from firstday.sparse import SparseRows, contains, union_rows

ENOUGH_USERS = 200
"""A class with fewer validation users is judged by others too, with what they did taken away. If they are fewer even
so, `blend` has the weights of all for it."""
FEWEST_USERS = 30
"""A class with fewer users than that, even so, is judged by all validation users."""
MOST_JUDGED = 2_000
"""Validation users of a class that are looked at, at most."""
LEAST_ERRORS = 1.645
"""Standard errors by which one list has to be better than another one: a test at 95 %."""


def choose_selection(query: Query, truth: SparseRows, strategies: Sequence[str]) -> Selection:
    """Return for each class of `KNOWLEDGE` what answers it best, and which strategies are no better than a fallback.

    Parameters
    ----------
    query
        Validation users, asking a trained model whose weights are chosen.
    truth
        What they used afterwards, shape (n_users, n_items).
    strategies
        Names of those to judge; `popular`, `group` and `blend` are judged too.
    """
    names = tuple(dict.fromkeys((*FALLBACKS, FIRST_CHOICE, *strategies)))
    return Selection(tuple(_judge_class(query, truth, number, names) for number in range(len(KNOWLEDGE))))


def _judge_class(query: Query, truth: SparseRows, number: int, names: Sequence[str]) -> ClassEvidence:
    """Judge strategies by the validation users who stand for one class."""
    members, used, source = take_class(query, truth, number)
    if number == 0:  # whatever is asked for, everyone's list answers
        of_users = {"popular": measure(answer_all(members, "popular").items, used).precision}
        return ClassEvidence(members.n_users, source, "popular", "popular", (), *_sum_up(of_users))
    if members.n_users < FEWEST_USERS:
        members, used, source = query, truth, "all"
    rows = np.arange(min(members.n_users, MOST_JUDGED))
    members, used = members.take(rows), used.take(rows)
    of_users = {name: measure(answer_all(members, name).items, used).precision for name in names}
    fallback, best, fall_back = select(of_users)
    return ClassEvidence(len(rows), source, fallback, best, fall_back, *_sum_up(of_users))


def select(of_users: dict[str, np.ndarray]) -> tuple[str, str, tuple[str, ...]]:
    """Return the better fallback, the best strategy, and the strategies that are not better than the fallback.

    Parameters
    ----------
    of_users
        Precision of each user's list by each strategy, shape (n_users,); `popular`, `group` and `blend` among them.
    """
    popular, group = of_users["popular"], of_users["group"]
    fallback = "group" if group.mean() > popular.mean() else "popular"
    fall_back = tuple(
        name
        for name, precision in of_users.items()
        if name not in FALLBACKS and not is_better(precision, of_users[fallback])
    )
    best = fallback if FIRST_CHOICE in fall_back else FIRST_CHOICE
    others = [name for name in of_users if is_better(of_users[name], of_users[best])]
    return fallback, max(others, key=lambda name: float(of_users[name].mean()), default=best), fall_back


def is_better(precision: np.ndarray, other: np.ndarray) -> bool:
    """Tell whether lists are better than others beyond chance, user by user, arrays of shape (n_users,)."""
    gain = precision - other
    return bool(gain.mean() > LEAST_ERRORS * gain.std() / np.sqrt(max(1, len(gain))))


def take_class(
    query: Query, truth: SparseRows, number: int
) -> tuple[Query, SparseRows, Literal["class", "away", "all"]]:
    """Return the users who stand for a class of `KNOWLEDGE`, what they used afterwards, and who they are.

    Where there are few of whom so little is known, those who did more are asked about as if they had not: what they did
    is taken away, all or all but 1 to 3 things at random, but stays out of their lists, since it is not in what they
    used afterwards.

    Parameters
    ----------
    query, truth
        See `choose_selection`.
    number
        Position of the class in `KNOWLEDGE`.
    """
    rows = np.flatnonzero(query.knowledge == number)
    name = KNOWLEDGE[number]
    if len(rows) >= ENOUGH_USERS or name not in ("profile", "friends", "1-3") or query.computed is not None:
        return query.take(rows), truth.take(rows), "class"
    signals = query.signals
    if name == "1-3":
        signals = replace(signals, actions=_keep_few(query))
    else:
        signals = replace(signals, actions={}, friends=signals.friends if name == "friends" else None)
    view = replace(query, signals=signals, closed=query.excluded)
    rows = np.flatnonzero(view.knowledge == number)
    return view.take(rows), truth.take(rows), "away"


def _keep_few(query: Query) -> dict[Pair, SparseRows]:
    """Return what users did, of those who did more than that with 1 to 3 things, drawn with the model's seed."""
    rng = np.random.default_rng(query.model.config.seed)
    numbers = rng.integers(1, FEW, query.n_users)
    numbers[query.knowledge < len(KNOWLEDGE) - 1] = query.model.n_items  # these keep all that they did
    by_entity: dict[str, list[tuple[Pair, SparseRows]]] = {}
    for pair, rows in query.signals.actions.items():
        by_entity.setdefault(pair[1], []).append((pair, rows))
    targets = {entity: union_rows([rows for _, rows in of]) for entity, of in by_entity.items()}
    if not targets:
        return {}
    users = np.concatenate([rows.row_of_entry() for rows in targets.values()])
    order = np.lexsort((rng.random(len(users)), users))
    rank = np.arange(len(users)) - np.searchsorted(users[order], users[order])
    is_kept = np.empty(len(users), dtype=bool)
    is_kept[order] = rank < numbers[users[order]]
    kept: dict[Pair, SparseRows] = {}
    at = 0
    for entity, rows in targets.items():
        chosen = rows.keep(is_kept[at : at + rows.n_entries])
        at += rows.n_entries
        kept |= {pair: done.keep(contains(chosen, done)) for pair, done in by_entity[entity]}
    return kept


def _sum_up(of_users: Mapping[str, np.ndarray]) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Return the mean precision of each strategy's lists in %, and the ends of its 95 % interval."""
    means: dict[str, float] = {}
    ends: dict[str, tuple[float, float]] = {}
    for name, precision in of_users.items():
        if len(precision):
            mean, off = 100 * float(precision.mean()), 196 * float(precision.std()) / len(precision) ** 0.5
            means[name], ends[name] = round(mean, 2), (round(max(0.0, mean - off), 2), round(min(100.0, mean + off), 2))
    return means, ends
