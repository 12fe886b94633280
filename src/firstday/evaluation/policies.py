"""`epsilon` and `ucb`: simple bandits over segments, with which `explore` is compared in replay."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from firstday.ranking import first_allowed
from firstday.recommend.query import Answer, Query
from firstday.recommend.strategies.explore import seed_of

N_ARMS = 10
"""Segments that are arms: those nearest to the predicted vector; of somebody of whom nothing is known, the largest."""
N_OF_ARM = 120
"""Items of an arm: the segment's most used ones. What is done to an item counts for every arm that has it."""
PRIOR_IMPRESSIONS = 12.0
"""Impressions that each arm has before the first, used as often as the segment's users use its items."""
EPSILON = 0.1
"""How often `epsilon` draws any arm."""
ALPHA = 0.5
"""Width of the bound of `ucb`."""


def choose_greedily(used: np.ndarray, seen: np.ndarray, rng: np.random.Generator, epsilon: float = EPSILON) -> int:
    """Return the arm with the largest share of use, or with the probability `epsilon` any.

    Parameters
    ----------
    used
        Items of each arm that were used, shape (n_arms,).
    seen
        Items of each arm that were used or seen and passed over, above 0, shape (n_arms,).
    rng
        Draws.
    epsilon
        How often any arm is drawn.
    """
    if rng.random() < epsilon:
        return int(rng.integers(len(used)))
    return int((used / seen).argmax())


def bound_shares(used: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return upper confidence bounds of the share of use of each arm, shape (n_arms,); see `choose_greedily`.

    References
    ----------
    UCB1: P. Auer, N. Cesa-Bianchi, P. Fischer, "Finite-time analysis of the multiarmed bandit problem", 2002.
    """
    bounds: np.ndarray = used / seen + ALPHA * np.sqrt(2 * np.log(seen.sum()) / seen)
    return bounds


def _recommend(
    route: str, choose: Callable[[np.ndarray, np.ndarray, np.random.Generator], int], query: Query
) -> Answer:
    """Fill each user's list with the best items left of one segment."""
    segments, shares = query.model.segments, query.model.believed_shares
    nearness = np.where(query.known[:, None], segments.closeness(query.predicted), segments.items.sizes)
    nearest = np.argsort(-nearness, axis=1, kind="stable")[:, :N_ARMS]
    chosen = np.empty(query.n_users, dtype=np.int64)
    for row, arms in enumerate(nearest):
        tops = segments.top_items[arms][:, :N_OF_ARM]
        used = np.isin(tops, query.liked.row(row)).sum(axis=1)
        seen = used + np.isin(tops, query.passed_over.row(row)).sum(axis=1)
        prior = shares[arms][:, : query.k].mean(axis=1)
        rng = np.random.default_rng(seed_of(query, row))
        chosen[row] = arms[choose(used + PRIOR_IMPRESSIONS * prior, seen + PRIOR_IMPRESSIONS, rng)]
    listed = segments.top_items[chosen]
    allowed = (listed >= 0) & (query.excluded.at(listed) == 0)
    items, scores = first_allowed(listed, shares[chosen], allowed, query.k)
    return Answer.where(np.ones(query.n_users, dtype=bool), route, items, scores)


POLICIES: Mapping[str, Callable[[Query], Answer]] = {
    "epsilon": partial(_recommend, "epsilon", choose_greedily),
    "ucb": partial(_recommend, "ucb", lambda used, seen, _: int(bound_shares(used, seen).argmax())),
}
"""Policies that replay knows beside the strategies.

A list is of the segment whose items were used most often so far, and now and then of any near one; or of the segment
that may be the best, as far as so few impressions can tell.
"""
