"""Answering for everyone: a strategy first, then the fallbacks, and lists filled up with popular items."""

from __future__ import annotations

import numpy as np

from firstday.ranking import first_allowed
from firstday.recommend.popularity import POPULAR
from firstday.recommend.query import Answer, Query
from firstday.recommend.registry import FALLBACKS, find_strategy, refuse_without
from firstday.recommend.spec import Strategy


def answer_all(query: Query, strategy: str | Strategy) -> Answer:
    """Answer for every user: by the strategy, where it has nothing to go on by a fallback, then fill lists up.

    Parameters
    ----------
    query
        The users, asking a model.
    strategy
        Its name, or the function itself.

    Returns
    -------
    Answer
        Every user has a route, and k distinct items unless the catalogue has no more.

    Raises
    ------
    ConfigError
        There is no strategy of that name, or the model lacks what it needs.
    """
    if isinstance(strategy, str):
        spec = find_strategy(strategy)
        refuse_without(strategy, spec.lacks(query.model))
        strategy = spec.recommend
    answer = strategy(query)
    items, scores, routes = answer.items.copy(), answer.scores.copy(), answer.routes.copy()
    for name in FALLBACKS:
        unanswered = np.flatnonzero(routes == "")
        if len(unanswered):
            fallback = find_strategy(name).recommend(query.take(unanswered))
            items[unanswered], scores[unanswered] = fallback.items, fallback.scores
            routes[unanswered] = fallback.routes
    short = np.flatnonzero(items[:, -1] < 0)
    if len(short):
        items[short], scores[short] = _fill_up(items[short], scores[short], query.take(short))
    return Answer(items, scores, routes)


def _fill_up(items: np.ndarray, scores: np.ndarray, query: Query) -> tuple[np.ndarray, np.ndarray]:
    """Complete short lists with popular items that they do not have, with score 0."""
    popular = POPULAR.recommend(query).items  # k of them suffice: each one repeated is an item more in the list
    row = np.arange(len(items))[:, None] * query.model.n_items
    repeated = np.isin(row + popular, (row + items)[items >= 0])
    both = np.concatenate([items, popular], axis=1)
    both_scores = np.concatenate([scores, np.zeros_like(popular, dtype=np.float32)], axis=1)
    allowed = np.concatenate([items >= 0, (popular >= 0) & ~repeated], axis=1)
    return first_allowed(both, both_scores, allowed, query.k)
