"""Signals without effect on a user's list: neither the features nor the strategy read them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from firstday.data.events import ITEM
from firstday.features.encoder import find_in_affinity
from firstday.recommend.query import MAX_PASSED_OVER, Query
from firstday.recommend.spec import SignalKind
from firstday.recommend.support import spec_of_route


@dataclass(frozen=True, eq=False)
class Effect:
    """Effects of the signals (interactions, profile values, ...) that share a `name`, and why some may have none.

    `name` is a pair as ``signal x entity``, a profile column (including ``age``), ``friends``, ``impressions``, or
    ``entity rejected by signal``, which is idle for members with too many items; see `SignalConfig.never_recommend`.
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
    """Yield the effects of all signals the model knows: what the features and the strategy read, and what excludes.

    `Encoder.find_read` reports what the features read, and `StrategySpec.reads` declares what a strategy reads.
    `strategy` is the requested strategy, and `routes` those of the users, shape (n_users,).
    """

    @cache
    def is_read(kind: SignalKind) -> np.ndarray:
        """Return the mask of users whose requested strategy or route reads a kind of signals."""
        specs = {name: spec_of_route(name) for name in (strategy, *routes.tolist())}
        model = query.model
        reads = {name: spec is None or kind in spec.reads_in(model) for name, spec in specs.items()}
        return np.array([reads[strategy] or reads[route] for route in routes.tolist()], dtype=bool)

    signals = query.signals
    config = query.model.config.signals
    in_features = query.model.encoder.find_read(signals)
    rejected = {} if query.keep_used else dict(signals.find_rejected(config, query.members_of_items))
    for (signal, entity), rows in signals.actions.items():
        users = rows.row_of_entry()
        informs = in_features[signal, entity] | is_read("other")[users]
        if entity == ITEM and not informs.all():
            informs |= is_read("liked")[users] & find_in_affinity(signals.actions, signal, config)
        why = "no warm user has this signal on day one"
        excludes_item = entity == ITEM and config.excludes_item(signal) and not query.keep_used
        yield Effect(f"{signal} x {entity}", why, users, informs, rejected.get((signal, entity), excludes_item))
    for (signal, entity), is_rejected in rejected.items():
        users = signals.actions[signal, entity].row_of_entry()
        named = [*config.rejections, f"{signal} x {entity}"]
        why = f"has more than 1 % of the items; to exclude them, train with signals.never_recommend = {named}"
        yield Effect(f"{entity} rejected by {signal}", why, users, informs=is_rejected)
    if signals.friends is not None:
        users = signals.friends.row_of_entry()
        informs = in_features["friends"] | is_read("friends")[users]
        yield Effect("friends", "the model has no features of friends", users, informs)
    for name, codes in signals.profile.items():
        users = np.flatnonzero(codes >= 0)
        is_shared = query.profile.get(name, np.full_like(codes, -1)) >= 0  # warm users have the value
        enters_prediction = in_features[name] & query.has_features
        informs = is_shared | enters_prediction | is_read("other")
        yield Effect(name, "no warm user has this value", users, informs[users])
    if query.passed_over.n_entries:
        users = query.passed_over.row_of_entry()
        excludes = (query.passed_over.weights > MAX_PASSED_OVER) & (not query.keep_used)
        yield Effect("impressions", "the strategy does not learn from them", users, is_read("shown")[users], excludes)


def describe_ineffective(query: Query, strategy: str, routes: np.ndarray) -> tuple[list[list[str]], list[list[str]]]:
    """Describe, for each user, the signals without effect and those that only exclude items; see `find_effects`."""
    ignored: list[list[str]] = [[] for _ in range(query.n_users)]
    excluding: list[list[str]] = [[] for _ in range(query.n_users)]
    for effect in find_effects(query, strategy, routes):
        if effect.informs.all():
            continue
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
