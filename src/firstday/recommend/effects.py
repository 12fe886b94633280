"""What each thing that is known of a user does: it enters the features, moves the list alone, or does nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from firstday.data.events import ITEM, Pair
from firstday.errors import ConfigError
from firstday.features.signals import SignalBatch
from firstday.recommend.query import RESTING, Query
from firstday.recommend.registry import find_strategy
from firstday.recommend.spec import EVERYTHING, Part
from firstday.sparse import SparseRows, contains, union_rows

FEATURES, LIST, KEEPS_OUT, NOTHING = 3, 2, 1, 0
"""What a thing does, the strongest first: it enters the features, and so the prediction; the strategy, or the fallback,
that answered reads it beside the features; it only keeps items out of the list; nothing."""


LEARNS_NOTHING = "the strategy learns nothing from that"


@dataclass(frozen=True, eq=False)
class Effect:
    """What things of one kind do, such as all of ``favorite x item``.

    Parameters
    ----------
    kind, name
        What they are: a pair by ``signal x entity``, a profile column (``age`` among them), friends, or items that
        were shown and passed over.
    users
        Whose each is, integers, shape (n,).
    does
        `FEATURES`, `LIST`, `KEEPS_OUT` or `NOTHING`, int8, shape (n,).
    codes
        The code of each value of a profile column, the years of each age; None elsewhere.
    """

    kind: Literal["pair", "column", "friends", "shown"]
    name: str
    users: np.ndarray
    does: np.ndarray
    codes: np.ndarray | None = None


def find_effects(query: Query, strategy: str, routes: np.ndarray, *, weak_only: bool = False) -> Iterator[Effect]:
    """Say for each thing that a model understands what it did for the lists of some users.

    This follows `Encoder.encode`, `Query.known` and what strategies say they read (`StrategySpec.reads`). Where it is
    in doubt it says more: what has no effect by chance, such as a liked item without a vector, is said to enter.

    Parameters
    ----------
    query
        The users, asking a model, as they asked for the lists.
    strategy
        What was asked for.
    routes
        What answered each, shape (n_users,).
    weak_only
        Whether kinds of things that all enter the features may be passed over, which is quicker.
    """
    encoder, friends = query.model.encoder, query.signals.friends
    reads = cache(lambda: _find_readers(query, strategy, routes))
    for pair, rows in query.signals.actions.items():
        if pair not in encoder.pairs:
            yield _effect_of_actions(query, pair, rows, reads())
        elif not weak_only:
            every = np.full(rows.n_entries, FEATURES, dtype=np.int8)
            yield Effect("pair", name_pair(pair), rows.row_of_entry(), every)
    if friends is not None and friends.n_entries:
        in_features = encoder.friend_vectors is not None
        if not (in_features and weak_only):
            users = friends.row_of_entry()
            yield Effect("friends", "friends", users, _strongest(in_features, reads()["friends"][users]))
    ages = {} if query.signals.ages is None else {"age": query.signals.ages}
    columns: dict[str, np.ndarray] = {**ages, **query.signals.groups}
    for name, codes in columns.items():
        given = codes >= 0
        heeded = query.profile[name] >= 0 if name in query.profile else np.zeros(len(codes), dtype=bool)
        if (given & ~heeded).any() or (given.any() and not weak_only):
            yield _effect_of_profile(query, name, codes, heeded, reads())
    if query.passed_over.n_entries:
        users, seen = query.passed_over.row_of_entry(), query.passed_over.weights
        does = _strongest(False, reads()["shown"][users], (seen > RESTING) & (not query.keep_used))
        yield Effect("shown", "shown", users, does)


def _find_readers(query: Query, strategy: str, routes: np.ndarray) -> dict[Part, np.ndarray]:
    """Tell of which users the strategy or what answered reads each part, bool, shape (n_users,)."""
    by_name = {name: _read_by(query, name) for name in {strategy, *routes.tolist()}}
    by_strategy = by_name[strategy]
    return {
        part: np.array([part in by_strategy or part in by_name[route] for route in routes.tolist()], dtype=bool)
        for part in EVERYTHING
    }


def _read_by(query: Query, name: str) -> tuple[Part, ...]:
    """Return what a strategy reads beside the features: everything where nobody says."""
    try:
        reads = find_strategy(name).reads
    except ConfigError:  # a route that a stranger's strategy calls as it likes
        reads = None
    if reads is None:
        return EVERYTHING
    return reads(query.model)


def _strongest(
    in_features: np.ndarray | bool, is_read: np.ndarray | bool, keeps_out: np.ndarray | bool = False
) -> np.ndarray:
    """Return what things do, the strongest of what holds, int8."""
    does: np.ndarray = np.where(in_features, FEATURES, np.where(is_read, LIST, np.where(keeps_out, KEEPS_OUT, NOTHING)))
    return does.astype(np.int8)


def name_pair(pair: Pair) -> str:
    """Return the name of a (signal, entity) pair, as blocks have it."""
    return " x ".join(pair)


def _effect_of_actions(query: Query, pair: Pair, rows: SparseRows, reads: Mapping[Part, np.ndarray]) -> Effect:
    """Say what each interaction of a pair without a block did."""
    config, (signal, entity) = query.model.config.signals, pair
    users = rows.row_of_entry()
    is_read, in_features = reads["anything"][users], np.zeros(len(users), dtype=bool)
    closing = entity == ITEM and not query.keep_used and signal in (*config.use, *config.never_recommend)
    if entity == ITEM:
        in_affinity = _is_in_affinity(query.signals, config.affinity, signal, rows)
        in_features = _is_derived(query, signal, rows) | (in_affinity & query.model.encoder.config.fold_in)
        is_read = is_read | (in_affinity & reads["liked"][users])
    return Effect("pair", name_pair(pair), users, _strongest(in_features, is_read, closing))


def _is_derived(query: Query, signal: str, rows: SparseRows) -> np.ndarray:
    """Tell which interactions with items have a block by what the items belong to, bool, shape (n_entries,)."""
    encoder = query.model.encoder
    derived = np.zeros(rows.n_entries, dtype=bool)
    for pair in encoder.config.derived_pairs:
        if pair[0] == signal and pair in encoder.pairs and pair[1] in encoder.members_of_items:
            derived |= encoder.members_of_items[pair[1]].lengths()[rows.columns] > 0
    return derived


def _is_in_affinity(batch: SignalBatch, weights: Mapping[str, float], signal: str, rows: SparseRows) -> np.ndarray:
    """Tell which interactions with items count in affinities, bool, shape (n_entries,).

    All do by which the item is liked. Others take from that: they count where the user also likes the item.
    """
    weight = weights.get(signal, 0)
    if weight >= 0:
        return np.full(rows.n_entries, weight > 0)
    liking = [
        of_pair for (name, entity), of_pair in batch.actions.items() if entity == ITEM and weights.get(name, 0) > 0
    ]
    return contains(union_rows(liking), rows) if liking else np.zeros(rows.n_entries, dtype=bool)


def _effect_of_profile(
    query: Query, name: str, codes: np.ndarray, heeded: np.ndarray, reads: Mapping[Part, np.ndarray]
) -> Effect:
    """Say what each value of a profile column, or each age, did."""
    encoder, users = query.model.encoder, np.flatnonzero(codes >= 0)
    heeded = heeded[users]
    in_features, means = heeded, encoder.group_means.get(name)
    if name == "age" and encoder.age_means is not None:
        in_features = heeded | query.known[users]  # where there is a prediction, the number counts in any case
    elif means is not None:
        in_features = heeded | (means[codes[users]] != means[-1]).any(axis=1)
    is_read = reads["anything"][users] | (reads["profile"][users] & heeded)
    return Effect("column", name, users, _strongest(in_features, is_read), codes[users])


def tell_each(query: Query, strategy: str, routes: np.ndarray) -> tuple[list[list[str]], list[list[str]]]:
    """Say for each user what of the known was ignored, and what only keeps items out of the list.

    Parameters
    ----------
    query, strategy, routes
        See `find_effects`.

    Returns
    -------
    ignored, kept_out : list of list of str
        Sentences without an end, one list for each user.
    """
    ignored: list[list[str]] = [[] for _ in range(query.n_users)]
    kept_out: list[list[str]] = [[] for _ in range(query.n_users)]
    for effect in find_effects(query, strategy, routes, weak_only=True):
        weak = effect.does <= KEEPS_OUT
        if not weak.any():
            continue
        for user in np.unique(effect.users[weak]).tolist():
            of_user = effect.users == user
            does = effect.does[of_user]
            if effect.codes is not None:
                code = int(effect.codes[of_user][0])
                value = code if effect.name == "age" else query.model.catalogue.groups[effect.name][code]
                ignored[user].append(f"no warm user has {effect.name} {value}")
            elif effect.kind == "friends":
                ignored[user].append("friends are in none of the model's features")
            elif effect.kind == "shown":
                n_resting = int((does == KEEPS_OUT).sum())
                if n_resting:
                    kept_out[user].append(f"passed over ({n_resting:,}) only rests: {LEARNS_NOTHING}")
                if n_resting < len(does):
                    ignored[user].append(f"shown, hardly seen ({len(does) - n_resting:,}): {LEARNS_NOTHING}")
            else:
                _tell_pair(effect.name, does, ignored[user], kept_out[user])
    return ignored, kept_out


def _tell_pair(name: str, does: np.ndarray, ignored: list[str], kept_out: list[str]) -> None:
    """Say what the interactions of one user and one pair did that have no part in the features."""
    of_them = ""
    n_nothing, n_closing = int((does == NOTHING).sum()), int((does == KEEPS_OUT).sum())
    if n_nothing:
        of_them = "" if n_nothing == len(does) else f", which leaves {n_nothing:,} of {len(does):,} without effect"
        ignored.append(f"no warm user has {name} on day one{of_them}")
    if n_closing:
        of_them = "" if n_closing == len(does) else f" ({n_closing:,} of {len(does):,})"
        kept_out.append(f"{name}{of_them} only keeps items out of the list: no warm user has it on day one")


def count_weak(query: Query, strategy: str, routes: np.ndarray) -> Counter[tuple[str, str, int]]:
    """Count what did nothing, or only kept items out, by `Effect.kind`, name and what it did.

    Parameters
    ----------
    query, strategy, routes
        See `find_effects`.
    """
    counts: Counter[tuple[str, str, int]] = Counter()
    for effect in find_effects(query, strategy, routes, weak_only=True):
        for does in (KEEPS_OUT, NOTHING):
            n = int((effect.does == does).sum())
            if n:
                counts[effect.kind, effect.name, does] += n
    return counts


def tell_counts(counts: Counter[tuple[str, str, int]]) -> list[str]:
    """Say of many users what did nothing, and what only kept items out of lists, in whole sentences."""
    sentences = []
    for (kind, name, does), n in sorted(counts.items()):
        if kind == "column":
            sentences.append(f"{n:,} values of {name} were ignored: no warm user has them.")
        elif kind == "friends":
            sentences.append(f"{n:,} friends were ignored: the model's features have none.")
        elif kind == "shown":
            only = "only rested" if does == KEEPS_OUT else "were ignored"
            sentences.append(f"{n:,} items that were shown and passed over {only}: {LEARNS_NOTHING}.")
        elif does == KEEPS_OUT:
            sentences.append(
                f"{n:,} interactions ({name}) only kept items out of lists: no warm user has any on day one."
            )
        else:
            sentences.append(f"{n:,} interactions ({name}) were ignored: no warm user has any on day one.")
    return sentences
