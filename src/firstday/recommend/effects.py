"""Signals without effect on a user's list: neither the features nor the strategy use them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from firstday.data.events import ITEM, Pair
from firstday.recommend.query import RESTING, Query
from firstday.recommend.registry import parts_read
from firstday.recommend.spec import Part
from firstday.sparse import SparseRows, contains, union_rows

MOVES, KEEPS_OUT, NOTHING = 2, 1, 0
"""Effect of a signal, strongest first: it enters the features or a strategy reads it; it only excludes items; none."""
LEARNS_NOTHING = "the strategy does not learn from impressions"

IsRead = Callable[[Part], np.ndarray]
"""Given a part, return whether the requested strategy or the route reads it, bool, shape (n_users,)."""


@dataclass(frozen=True, eq=False)
class Effect:
    """Effects of all signals of one kind, such as ``favorite x item``.

    Parameters
    ----------
    kind, name
        The kind, and its name: a pair as ``signal x entity``, a profile column (including ``age``), friends, or items
        shown and passed over.
    users
        User row of each signal, integers, shape (n,).
    does
        `MOVES`, `KEEPS_OUT` or `NOTHING`, shape (n,).
    codes
        Codes of a profile column, or ages in years; None for other kinds.
    """

    kind: Literal["pair", "column", "friends", "shown"]
    name: str
    users: np.ndarray
    does: np.ndarray
    codes: np.ndarray | None = None


def find_effects(query: Query, strategy: str, routes: np.ndarray) -> Iterator[Effect]:
    """Yield the effects of all signals the model knows, except kinds that always enter the features.

    This mirrors `Encoder.encode`, `Query.known` and the declared `StrategySpec.reads`. It errs on the side of an
    effect: a signal without one by coincidence, such as a liked item without a vector, counts as `MOVES`.

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
    def is_read(part: Part) -> np.ndarray:
        readers = {name: part in parts_read(name, query.model) for name in {strategy, *routes.tolist()}}
        return np.array([readers[strategy] or readers[route] for route in routes.tolist()], dtype=bool)

    signals, encoder, config = query.signals, query.model.encoder, query.model.config.signals
    closing = () if query.keep_used else (*config.use, *config.never_recommend)
    for pair, rows in signals.actions.items():
        if pair not in encoder.pairs:
            otherwise = KEEPS_OUT if pair[1] == ITEM and pair[0] in closing else NOTHING
            does = np.where(_moves(query, pair, rows, is_read), MOVES, otherwise)
            yield Effect("pair", " x ".join(pair), rows.row_of_entry(), does)
    if signals.friends is not None and signals.friends.n_entries and encoder.friend_vectors is None:
        users = signals.friends.row_of_entry()
        yield Effect("friends", "friends", users, np.where(is_read("friends")[users], MOVES, NOTHING))
    ages = {} if signals.ages is None else {"age": signals.ages}
    for name, codes in {**ages, **signals.groups}.items():
        heeded = query.profile[name] >= 0 if name in query.profile else np.zeros(len(codes), dtype=bool)
        users = np.flatnonzero(codes >= 0)
        if not heeded[users].all():
            moves = heeded | is_read("anything")
            if name == "age" and encoder.age_means is not None:
                moves |= query.known  # the age enters every prediction
            yield Effect("column", name, users, np.where(moves[users], MOVES, NOTHING), codes[users])
    if query.passed_over.n_entries:
        users = query.passed_over.row_of_entry()
        rests = (query.passed_over.weights > RESTING) & (not query.keep_used)
        does = np.where(is_read("shown")[users], MOVES, np.where(rests, KEEPS_OUT, NOTHING))
        yield Effect("shown", "shown", users, does)


def _moves(query: Query, pair: Pair, rows: SparseRows, is_read: IsRead) -> np.ndarray:
    """Return the mask of interactions with an effect, for a pair without a feature block, bool, shape (n_entries,)."""
    encoder, users = query.model.encoder, rows.row_of_entry()
    moves: np.ndarray = is_read("anything")[users]
    if pair[1] == ITEM:
        is_liked = _is_in_affinity(query, pair[0], rows)
        moves |= is_liked & (is_read("liked")[users] | encoder.config.fold_in)
        for signal, entity in encoder.config.derived_pairs:  # feature block of the items' entity members
            if signal == pair[0] and (signal, entity) in encoder.pairs and entity in encoder.members_of_items:
                moves |= encoder.members_of_items[entity].lengths()[rows.columns] > 0
    return moves


def _is_in_affinity(query: Query, signal: str, rows: SparseRows) -> np.ndarray:
    """Return the mask of item interactions that count in affinities, bool, shape (n_entries,).

    Signals with a positive weight always count. Signals with a negative weight count only where the user also likes the
    item.
    """
    weights = query.model.config.signals.affinity
    weight = weights.get(signal, 0)
    if weight >= 0:
        return np.full(rows.n_entries, weight > 0)
    liking = [done for (name, of), done in query.signals.actions.items() if of == ITEM and weights.get(name, 0) > 0]
    return contains(union_rows(liking), rows) if liking else np.zeros(rows.n_entries, dtype=bool)


def tell_each(query: Query, strategy: str, routes: np.ndarray) -> tuple[list[list[str]], list[list[str]]]:
    """Describe, for each user, the signals that were ignored and those that only exclude items.

    Parameters
    ----------
    query, strategy, routes
        See `find_effects`.

    Returns
    -------
    ignored, kept_out : list of list of str
        Sentences without a final full stop, one list per user.
    """
    ignored: list[list[str]] = [[] for _ in range(query.n_users)]
    kept_out: list[list[str]] = [[] for _ in range(query.n_users)]
    for effect in find_effects(query, strategy, routes):
        for does, sentences in ((NOTHING, ignored), (KEEPS_OUT, kept_out)):
            for user in np.unique(effect.users[effect.does == does]).tolist():
                sentences[user].append(_tell(query, effect, effect.users == user, does))
    return ignored, kept_out


def _tell(query: Query, effect: Effect, of_user: np.ndarray, does: int) -> str:
    """Describe the signals of one user and one kind that had the effect `does`."""
    name, n, n_all = effect.name, int((effect.does[of_user] == does).sum()), int(of_user.sum())
    if effect.codes is not None:
        code = int(effect.codes[of_user][0])
        return f"no warm user has {name} {code if name == 'age' else query.model.catalogue.groups[name][code]}"
    if effect.kind == "friends":
        return "the model has no features of friends"
    if effect.kind == "shown":
        what = ("passed over", "only excluded") if does == KEEPS_OUT else ("hardly seen", "without effect")
        return f"items {what[0]}: {n:,}, {what[1]}, since {LEARNS_NOTHING}"
    if does == KEEPS_OUT:
        some = "" if n == n_all else f" ({n:,} of {n_all:,})"
        return f"{name}{some} only excludes items: no warm user has it on day one"
    some = "" if n == n_all else f", which leaves {n:,} of {n_all:,} without effect"
    return f"no warm user has {name} on day one{some}"


def count_weak(query: Query, strategy: str, routes: np.ndarray) -> Counter[tuple[str, str, int]]:
    """Count signals that had no effect or only excluded items, by `Effect.kind`, name and effect.

    See `find_effects` for the parameters.
    """
    counts: Counter[tuple[str, str, int]] = Counter()
    for effect in find_effects(query, strategy, routes):
        counts += Counter({(effect.kind, effect.name, does): int((effect.does == does).sum()) for does in (0, 1)})
    return counts


def tell_counts(counts: Counter[tuple[str, str, int]]) -> list[str]:
    """Describe the counts of `count_weak` in full sentences."""
    sentences = []
    for (kind, name, does), n in sorted(counts.items()):
        things, why = {
            "pair": (f"interactions ({name})", "no warm user has any on day one"),
            "column": (f"values of {name}", "no warm user has them"),
            "friends": ("friends", "the model has no features of friends"),
            "shown": ("items that were shown and passed over", LEARNS_NOTHING),
        }[kind]
        sentences.append(f"{n:,} {things} {'only excluded items' if does == KEEPS_OUT else 'were ignored'}: {why}.")
    return sentences
