"""Answers to queries: lists by a strategy, under rules, with fallbacks for users whom it cannot answer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from firstday.ranking import first_allowed, first_distinct
from firstday.recommend.arrangement import arrange
from firstday.recommend.new_items.placement import place_new_items
from firstday.recommend.query import Answer, Query
from firstday.recommend.registry import find_strategy
from firstday.recommend.rules.list_rules import NO_RULES, Rules, compile_rules
from firstday.recommend.scales import scale_answer
from firstday.recommend.spec import Strategy
from firstday.recommend.support import fallback_of, find_supported

REACH = 2_201
"""Minimum length of the rankings that rules rearrange: more than `blend` ranks."""


def answer_query(
    query: Query,
    strategy: str | Strategy,
    layers: Sequence[Rules] = (),
    profile: Callable[[int], Mapping[str, Any]] = lambda _row: {},
) -> Answer:
    """Answer all users of a query with a strategy, given by name or as a function, under rules.

    Every user gets a route and k distinct items, or fewer if the rules and the user's history leave fewer. Fallbacks
    answer users whom the strategy cannot answer, and popular items fill short lists up. Scores are on the scale of the
    route.

    `layers` are rules in addition to those of the query, and `profile` maps a user's row to the user's profile. Users
    who agree in every value that the filters read are answered together.
    """
    if all(rules == NO_RULES for rules in layers) or not query.n_users:
        return _answer_together(query, strategy)
    names = {name for rules in layers for name in rules.names}
    users: dict[str, list[int]] = defaultdict(list)
    for row in range(query.n_users):
        of_user = profile(row)
        users[str([of_user.get(name) for name in names])].append(row)
    parts = []
    for rows in map(np.array, users.values()):
        part = query.take(rows).ask(rules=compile_rules(query.model, layers, profile(rows[0]), query.current_items))
        parts.append((rows, _answer_together(part, strategy)))
    return Answer.join(parts)


def _answer_together(query: Query, strategy: str | Strategy) -> Answer:
    """Answer users under the compiled rules of the query, which may rearrange a longer ranking."""
    rules = query.list_rules
    reads_scores = bool(rules.pins) or rules.factors is not None
    if not (reads_scores or rules.caps or rules.after):
        return place_new_items(query, _rank(query, strategy))
    n_allowed = max(1, rules.n_allowed)
    n_first = min(max(rules.after + query.k, REACH), n_allowed)
    for n_ranking in dict.fromkeys((n_first, n_allowed)):
        long_query = query.ask(k=n_ranking)
        ranking = place_new_items(long_query, _rank(long_query, strategy))
        is_cut = n_ranking < n_allowed and bool((ranking.n_ranked == n_ranking).any())
        answer = arrange(long_query, ranking, query.k)
        # Otherwise search the rest for items that boosts raise, or that the caps leave room for.
        if (answer.items >= 0).all() and not (reads_scores and is_cut):
            break
    return answer


def _rank(query: Query, strategy: str | Strategy) -> Answer:
    """Answer users with the strategy or, if it cannot answer them, with fallbacks; fill up short lists."""
    recommend = find_supported(strategy, query.model).recommend if isinstance(strategy, str) else strategy
    answer = recommend(query)
    items = answer.items.copy()
    scores = answer.scores.copy()
    routes = answer.routes.copy()
    propensities = np.ones(items.shape, dtype=np.float32)
    if answer.propensities.size:
        propensities[:] = answer.propensities
    levels = answer.levels if answer.levels.size else np.zeros(query.n_users, dtype=np.float32)
    fallback = fallback_of(query.model)
    for name in ("group", fallback):
        unanswered = np.flatnonzero(routes == "")
        if len(unanswered):
            answered = find_strategy(name).recommend(query.take(unanswered))
            items[unanswered] = answered.items
            scores[unanswered] = answered.scores
            routes[unanswered] = answered.routes
            propensities[unanswered] = 1
    is_listed = (items >= 0) & query.list_rules.allowed[items]  # third-party strategies may ignore the rules
    _, propensities = first_allowed(items, propensities, is_listed, query.k)
    items, scores = first_allowed(items, scores, is_listed, query.k)
    n_ranked = (items >= 0).sum(axis=1)
    propensities[np.arange(query.k) >= n_ranked[:, None]] = 1  # filling up is deterministic
    _fill_up(query, items)
    return scale_answer(query, Answer(items, scores, routes, n_ranked, propensities=propensities, levels=levels))


def _fill_up(query: Query, items: np.ndarray) -> None:
    """Fill empty ranks of lists, shape (n_users, k), with popular items; passed-over ones if nothing else is left."""
    for relaxed in dict.fromkeys((query, query.without_impressions)):
        short = np.flatnonzero((items < 0).any(axis=1))
        if len(short):
            popular = find_strategy(fallback_of(query.model)).recommend(relaxed.take(short)).items
            candidates = np.concatenate([items[short], popular], axis=1)
            items[short], _ = first_distinct(candidates, candidates, query.k)
