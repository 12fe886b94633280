"""Notes on lists: what no warm user has, why a fallback answered, and remarks on the rules."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from firstday.recommend.query import Answer, Query
from firstday.recommend.registry import find_strategy
from firstday.recommend.rules.list_rules import ItemRules
from firstday.recommend.similar import SIMILAR
from firstday.recommend.spec import FALLBACKS
from firstday.recommend.support import fallback_of

Sentences = tuple[str, ...]
WITHOUT_HISTORY = (
    "the model learned from this user, but nothing is known here of what they did; send their history by POST "
    "/v1/events, or pass it as interactions"
)


def describe_lists(query: Query, strategy: str, answer: Answer, rules: ItemRules | None) -> list[Sentences]:
    """Return the notes on each user's list; `strategy` is the requested one."""
    of_signals: defaultdict[int, list[str]] = defaultdict(list)
    for note, users in describe_signals(query):
        for row in np.unique(users).tolist():
            of_signals[row].append(note)
    delegates = None if strategy == SIMILAR else find_strategy(strategy).delegates
    names = np.full(query.n_users, strategy) if delegates is None else query.derive(delegates)
    is_absent = find_without_history(query)
    notes = []
    for row in range(query.n_users):
        remarks = [] if rules is None else _describe_rules(query, answer, row, rules)
        omitted = [WITHOUT_HISTORY] if is_absent[row] else []
        if query.new_items is not None and answer.routes[row] == "explore":
            omitted.append(f"explore lists items that the model learned, not the {len(query.new_items):,} new items")
        notes.append((*_describe_fallback(names[row], answer.routes[row]), *omitted, *of_signals[row], *remarks))
    return notes


def describe_signals(query: Query) -> Iterator[tuple[str, np.ndarray]]:
    """Yield notes on signals and values that no warm user has, and on rejections that exclude nothing.

    Each has the rows of its users, one per interaction or value, shape (n,).
    """
    config = query.model.config.signals
    actions = query.signals.actions
    for (signal, entity), rows in actions.items():
        if (signal, entity) not in query.model.encoder.read_pairs:
            yield f"{signal} x {entity}: no warm user has this signal on day one", rows.row_of_entry()
    for name, shared in query.profile.items():
        is_alone = (query.signals.profile[name] >= 0) & (shared < 0)
        yield f"{name}: no warm user has this value", np.flatnonzero(is_alone)
    if query.keep_used:
        return
    for pair, is_rejected in query.signals.find_rejected(config, query.members_of_items):
        named = [*config.rejections, " x ".join(pair)]
        why = f"has more than 1 % of the items; to exclude them, train with signals.never_recommend = {named}"
        yield f"{pair[1]} rejected by {pair[0]}: {why}", actions[pair].row_of_entry()[~is_rejected]


def find_without_history(query: Query) -> np.ndarray:
    """Return the mask of users stored in the model of whom no interaction is known, bool, shape (n_users,)."""
    people, ids = query.model.catalogue.people, query.signals.user_ids
    if people is None or ids is None:
        return np.zeros(query.n_users, dtype=bool)
    is_stored = [user_id is not None and people.index_of(user_id) >= 0 for user_id in ids]
    is_absent: np.ndarray = np.array(is_stored, dtype=bool) & (query.n_known == 0)
    return is_absent


def _describe_fallback(strategy: str, route: str) -> Iterator[str]:
    """Yield why a fallback answered a user, if one did."""
    if route in FALLBACKS and route != strategy:
        why = f"{strategy} can use none of this user's signals"
        if strategy == SIMILAR:
            why = "the model knows nothing that goes with the item and may be listed"
        yield f"answered with {route}: {why}"


def _describe_rules(query: Query, answer: Answer, row: int, rules: ItemRules) -> Iterator[str]:
    """Yield remarks on the rules of a list."""
    items = answer.items[row]
    n_ranked = answer.n_ranked[row]
    n_listed = (items >= 0).sum()
    end = rules.after + query.k
    yield from rules.notes
    for rank, item in rules.pins.items():
        if rank >= rules.after and item not in items:
            why = f"beyond the last rank, {end:,}" if rank >= end else "left out by the rules or the user's history"
            yield f"the item pinned at rank {rank + 1:,} is {why}"
    if n_ranked < n_listed:
        yield f"{fallback_of(query.model)} fills the list up from rank {rules.after + n_ranked + 1:,}"
    if n_listed < query.k:
        yield f"the rules and the user's history leave {n_listed:,} items for {query.k:,} ranks"
