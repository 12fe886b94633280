"""Notes on lists: signals without effect, why a fallback answered, and remarks on the rules."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from firstday.recommend.effects import describe_ineffective
from firstday.recommend.query import Answer, Query
from firstday.recommend.registry import find_strategy
from firstday.recommend.rules.list_rules import ItemRules
from firstday.recommend.similar import SIMILAR
from firstday.recommend.spec import FALLBACKS
from firstday.recommend.support import fallback_of

Sentences = tuple[str, ...]


def describe_lists(
    query: Query, strategy: str, answer: Answer, rules: ItemRules | None
) -> tuple[list[Sentences], list[Sentences]]:
    """Return the signals that each user's list ignores, and the notes on it; `strategy` is the requested one."""
    unused, excluding = describe_ineffective(query, strategy, answer.routes)
    delegates = None if strategy == SIMILAR else find_strategy(strategy).delegates
    names = np.full(query.n_users, strategy) if delegates is None else query.derive(delegates)
    notes = []
    for row, effects in enumerate(excluding):
        remarks = [] if rules is None else _describe_rules(query, answer, row, rules)
        notes.append((*_describe_fallback(names[row], answer.routes[row]), *effects, *remarks))
    return list(map(tuple, unused)), notes


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
