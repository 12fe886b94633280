"""Signals without effect on a user's list: neither the features nor the strategy use them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from firstday.data.events import ITEM, Pair
from firstday.recommend.query import RESTING, Query
from firstday.recommend.registry import signals_read
from firstday.recommend.spec import SignalKind
from firstday.sparse import SparseRows, contains, union_rows

MOVES, EXCLUDES, NOTHING = 2, 1, 0
"""Effect of a signal, strongest first: it enters the features or a strategy reads it; it only excludes items; none."""

IsRead = Callable[[SignalKind], np.ndarray]
"""Return the mask of users whose requested strategy or route reads a kind of signals, bool, shape (n_users,)."""


@dataclass(frozen=True, eq=False)
class Effect:
    """Effects of all signals of one kind.

    Parameters
    ----------
    name
        A pair as ``signal x entity``, a profile column (including ``age``), ``friends``, or ``impressions``.
    why
        Why such signals may have no effect.
    users
        User row of each signal, integers, shape (n,).
    does
        `MOVES`, `EXCLUDES` or `NOTHING`, shape (n,).
    """

    name: str
    why: str
    users: np.ndarray
    does: np.ndarray


def find_effects(query: Query, strategy: str, routes: np.ndarray) -> Iterator[Effect]:
    """Yield the effects of all signals the model knows, except kinds that always enter the features.

    This mirrors `Encoder.encode`, `Query.known` and the declared `StrategySpec.reads`. In doubt it reports an effect: a
    signal that happens to have none, such as a liked item without a vector, counts as `MOVES`.

    Parameters
    ----------
    query
        The query the lists were made for.
    strategy
        The requested strategy.
    routes
        The route of each user, shape (n_users,).
    """

    @cache
    def is_read(kind: SignalKind) -> np.ndarray:
        readers = {name for name in (strategy, *routes.tolist()) if kind in signals_read(name)}
        return np.array([strategy in readers or route in readers for route in routes.tolist()], dtype=bool)

    signals, encoder, config = query.signals, query.model.encoder, query.model.config.signals
    closing = () if query.keep_used else (*config.use, *config.never_recommend)
    for pair, rows in signals.actions.items():
        if pair not in encoder.pairs:
            otherwise = EXCLUDES if pair[1] == ITEM and pair[0] in closing else NOTHING
            does = np.where(_moves(query, pair, rows, is_read), MOVES, otherwise)
            yield Effect(" x ".join(pair), "no warm user has it on day one", rows.row_of_entry(), does)
    if signals.friends is not None and encoder.friend_vectors is None:
        users = signals.friends.row_of_entry()
        does = np.where(is_read("friends")[users], MOVES, NOTHING)
        yield Effect("friends", "the model has no features of friends", users, does)
    for name, codes in signals.profile.items():
        moves = is_read("other") | (query.profile.get(name, np.full_like(codes, -1)) >= 0)
        if name == "age" and encoder.age_means is not None:
            moves |= query.known  # the age enters every prediction
        users = np.flatnonzero(codes >= 0)
        yield Effect(name, "no warm user has this value", users, np.where(moves[users], MOVES, NOTHING))
    if query.passed_over.n_entries:
        users = query.passed_over.row_of_entry()
        rests = (query.passed_over.weights > RESTING) & (not query.keep_used)
        does = np.where(is_read("shown")[users], MOVES, np.where(rests, EXCLUDES, NOTHING))
        yield Effect("impressions", "the strategy does not learn from them", users, does)


def _moves(query: Query, pair: Pair, rows: SparseRows, is_read: IsRead) -> np.ndarray:
    """Return the mask of interactions with an effect, for a pair without a feature block, bool, shape (n_entries,)."""
    encoder, users = query.model.encoder, rows.row_of_entry()
    moves: np.ndarray = is_read("other")[users]
    if pair[1] == ITEM:
        moves |= _is_in_affinity(query, pair[0], rows) & (is_read("liked")[users] | encoder.config.fold_in)
        derived = {*encoder.config.derived_pairs}.intersection(encoder.pairs)  # blocks of the items' artists, ...
        moves |= pair[0] in {signal for signal, entity in derived if entity in encoder.members_of_items}
    return moves


def _is_in_affinity(query: Query, signal: str, rows: SparseRows) -> np.ndarray:
    """Return the mask of item interactions that count in affinities, bool, shape (n_entries,).

    Their signal has a non-zero weight, and the user has an interaction with the item by a signal of positive weight.
    """
    weights = query.model.config.signals.affinity
    liking = [done for (name, of), done in query.signals.actions.items() if of == ITEM and weights.get(name, 0) > 0]
    has_weight = liking and weights.get(signal, 0)
    return contains(union_rows(liking), rows) if has_weight else np.zeros(rows.n_entries, dtype=bool)


def _count_weak(query: Query, strategy: str, routes: np.ndarray) -> Iterator[tuple[Effect, bool, np.ndarray]]:
    """Yield each effect with such signals, whether they exclude items, and their number per user, shape (n_users,).

    First the signals without effect, then those that only exclude items.
    """
    for effect in find_effects(query, strategy, routes):
        for excludes in (False, True):
            users = effect.users[effect.does == (EXCLUDES if excludes else NOTHING)]
            if len(users):
                yield effect, excludes, np.bincount(users, minlength=query.n_users)


def tell_each(query: Query, strategy: str, routes: np.ndarray) -> tuple[list[list[str]], list[list[str]]]:
    """Describe, for each user, the signals that were ignored and those that only exclude items.

    Parameters
    ----------
    query, strategy, routes
        See `find_effects`.

    Returns
    -------
    ignored, excluding : list of list of str
        Sentences without a final full stop, one list per user.
    """
    told: tuple[list[list[str]], ...] = tuple([[] for _ in range(query.n_users)] for _ in range(2))
    for effect, excludes, counts in _count_weak(query, strategy, routes):
        why = f"items are only excluded, because {effect.why}" if excludes else effect.why
        totals = np.bincount(effect.users, minlength=query.n_users)
        for user in np.flatnonzero(counts).tolist():
            some = "" if counts[user] == totals[user] else f" ({counts[user]:,} of {totals[user]:,})"
            told[excludes][user].append(f"{effect.name}{some}: {why}")
    return told[0], told[1]


def count_weak(query: Query, strategy: str, routes: np.ndarray) -> tuple[Counter[str], Counter[str]]:
    """Count the signals without effect and those that only exclude items, by `Effect.name`; see `find_effects`."""
    counted = Counter[str](), Counter[str]()
    for effect, excludes, counts in _count_weak(query, strategy, routes):
        counted[excludes][effect.name] += int(counts.sum())
    return counted
