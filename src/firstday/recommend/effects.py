"""Signals without effect on a user's list: neither the features nor the strategy use them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from firstday.data.events import ITEM, Pair
from firstday.recommend.query import RESTING, Query
from firstday.recommend.registry import spec_of_route
from firstday.recommend.spec import SignalKind
from firstday.sparse import SparseRows, contains, union_rows


@dataclass(frozen=True, eq=False)
class Effect:
    """Effects of the signals (interactions, profile values, ...) that share a `name`, and why some may have none.

    `name` is a pair as ``signal x entity``, a profile column (including ``age``), ``friends``, or ``impressions``.
    Arrays have shape (n,), one entry per interaction, value, friend or impression: `users` has the row of its user,
    `informs` whether the features or a strategy read it, and `excludes` whether it excludes an item.
    """

    name: str
    why: str
    users: np.ndarray
    informs: np.ndarray
    excludes: np.ndarray | bool = False

    @property
    def is_idle(self) -> np.ndarray:
        """Mask of signals without effect, bool, shape (n,)."""
        return ~(self.informs | self.excludes)

    @property
    def only_excludes(self) -> np.ndarray:
        """Mask of signals that only exclude an item, bool, shape (n,)."""
        return ~self.informs & self.excludes


def find_effects(query: Query, strategy: str, routes: np.ndarray) -> Iterator[Effect]:
    """Yield the effects of all signals the model knows, except kinds that always enter the features.

    This mirrors `Encoder.encode`, `Query.has_features` and the declared `StrategySpec.reads`. In doubt it reports an
    effect: a signal that happens to have none, such as a liked item without a vector, counts in `Effect.informs`.
    `strategy` is the requested strategy, and `routes` those of the users, shape (n_users,).
    """

    @cache
    def is_read(kind: SignalKind) -> np.ndarray:
        """Return the mask of users whose requested strategy or route reads a kind of signals."""
        specs = {name: spec_of_route(name) for name in (strategy, *routes.tolist())}
        reads = {name: spec is None or kind in spec.reads for name, spec in specs.items()}
        return np.array([reads[strategy] or reads[route] for route in routes.tolist()], dtype=bool)

    signals = query.signals
    encoder = query.model.encoder
    config = query.model.config.signals
    closing = () if query.keep_used else (*config.use, *config.never_recommend)
    for pair, rows in signals.actions.items():
        if pair not in encoder.pairs:
            informs = _informs(query, pair, rows, is_read)
            excludes = pair[1] == ITEM and pair[0] in closing
            why = "no warm user has this signal on day one"
            yield Effect(" x ".join(pair), why, rows.row_of_entry(), informs, excludes)
    if signals.friends is not None and encoder.friend_vectors is None:
        users = signals.friends.row_of_entry()
        yield Effect("friends", "the model has no features of friends", users, is_read("friends")[users])
    for name, codes in signals.profile.items():
        informs = is_read("other") | (query.profile.get(name, np.full_like(codes, -1)) >= 0)
        if name == "age" and encoder.age_means is not None:
            informs |= query.has_features  # any prediction has the age as an input
        users = np.flatnonzero(codes >= 0)
        yield Effect(name, "no warm user has this value", users, informs[users])
    if query.passed_over.n_entries:
        users = query.passed_over.row_of_entry()
        rests = (query.passed_over.weights > RESTING) & (not query.keep_used)
        yield Effect("impressions", "the strategy does not learn from them", users, is_read("shown")[users], rests)


def _informs(query: Query, pair: Pair, rows: SparseRows, is_read: Callable[[SignalKind], np.ndarray]) -> np.ndarray:
    """Return the mask of interactions with an effect, for a pair without a feature block, bool, shape (n_entries,)."""
    encoder = query.model.encoder
    users = rows.row_of_entry()
    informs: np.ndarray = is_read("other")[users]
    if pair[1] == ITEM:
        informs |= _is_in_affinity(query, pair[0], rows) & (is_read("liked")[users] | encoder.config.fold_in)
        derived = {*encoder.config.derived_pairs}.intersection(encoder.pairs)  # feature blocks for items' artists, ...
        informs |= pair[0] in {signal for signal, entity in derived if entity in encoder.members_of_items}
    return informs


def _is_in_affinity(query: Query, signal: str, rows: SparseRows) -> np.ndarray:
    """Return the mask of item interactions that count in affinities, bool, shape (n_entries,).

    Their signal has a non-zero weight, and the user has an interaction with the item by a signal of positive weight.
    """
    weights = query.model.config.signals.affinity
    liking = [done for (name, of), done in query.signals.actions.items() if of == ITEM and weights.get(name, 0) > 0]
    has_weight = liking and weights.get(signal, 0)
    return contains(union_rows(liking), rows) if has_weight else np.zeros(rows.n_entries, dtype=bool)


def describe_ineffective(query: Query, strategy: str, routes: np.ndarray) -> tuple[list[list[str]], list[list[str]]]:
    """Describe, for each user, the signals without effect and those that only exclude items; see `find_effects`."""
    ignored: list[list[str]] = [[] for _ in range(query.n_users)]
    excluding: list[list[str]] = [[] for _ in range(query.n_users)]
    for effect in find_effects(query, strategy, routes):
        totals = np.bincount(effect.users, minlength=query.n_users)
        for mask, described, why in (
            (effect.is_idle, ignored, effect.why),
            (effect.only_excludes, excluding, f"used only to exclude items, because {effect.why}"),
        ):
            counts = np.bincount(effect.users[mask], minlength=query.n_users)
            for user in np.flatnonzero(counts).tolist():
                some = "" if counts[user] == totals[user] else f" ({counts[user]:,} of {totals[user]:,})"
                described[user].append(f"{effect.name}{some}: {why}")
    return ignored, excluding


def count_ineffective(query: Query, strategy: str, routes: np.ndarray) -> tuple[Counter[str], Counter[str]]:
    """Count the signals without effect and those that only exclude items, by `Effect.name`; see `find_effects`."""
    effects = list(find_effects(query, strategy, routes))
    ignored = {effect.name: int(effect.is_idle.sum()) for effect in effects}
    return Counter(ignored), Counter({effect.name: int(effect.only_excludes.sum()) for effect in effects})
