"""`epsilon` and `ucb`: simple bandits over segments, the baselines of `explore` in replay."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from firstday.methods.explore import seed_of
from firstday.recommend.belief import believed_shares
from firstday.recommend.query import Answer, Query

N_ARMS = 10
"""Number of arms: the segments nearest to the predicted vector, or the largest ones for users without any signal."""
N_OF_ARM = 120
"""Items per arm: the segment's most used ones. A response to an item counts for every arm that contains it."""
PRIOR_IMPRESSIONS = 12.0
"""Prior of each arm in pseudo-impressions, at the usage rate of the segment."""
EPSILON = 0.1
"""Probability that `epsilon` draws a random arm."""
ALPHA = 0.5
"""Width of the confidence bound of `ucb`."""


def choose_greedily(used: np.ndarray, seen: np.ndarray, rng: np.random.Generator, epsilon: float = EPSILON) -> int:
    """Return the arm with the highest usage rate, or with probability `epsilon` a random one.

    `used` and `seen` are the numbers of used and of used or passed-over items per arm, including the prior, shape
    (n_arms,).
    """
    if rng.random() < epsilon:
        return int(rng.integers(len(used)))
    return int((used / seen).argmax())


def bound_shares(used: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return upper confidence bounds of each arm's usage rate, shape (n_arms,); see `choose_greedily`.

    References
    ----------
    UCB1: P. Auer, N. Cesa-Bianchi, P. Fischer, "Finite-time analysis of the multiarmed bandit problem", 2002.
    """
    return used / seen + ALPHA * np.sqrt(2 * np.log(seen.sum()) / seen)


def _recommend(
    route: str, choose: Callable[[np.ndarray, np.ndarray, np.random.Generator], int], query: Query
) -> Answer:
    """Fill each user's list with the best remaining items of one segment."""
    segments = query.model.segments
    shares = query.model.derive(believed_shares)
    nearness = np.where(query.has_features[:, None], query.closeness, segments.items.sizes)
    nearest = np.argsort(-nearness, axis=1, kind="stable")[:, :N_ARMS]
    tops = segments.top_items[nearest][..., :N_OF_ARM].reshape(query.n_users, -1)
    n_used, n_passed_over = (
        entries.has(tops).reshape(*nearest.shape, -1).sum(axis=2) for entries in (query.liked, query.passed_over)
    )
    prior = shares[nearest][..., : query.k].mean(axis=2)
    used = n_used + PRIOR_IMPRESSIONS * prior
    seen = n_used + n_passed_over + PRIOR_IMPRESSIONS
    rows = range(query.n_users)
    arms = [choose(used[row], seen[row], np.random.default_rng(seed_of(query, row))) for row in rows]
    chosen = nearest[rows, arms]
    everyone = np.ones(query.n_users, dtype=bool)
    return query.take_lists(segments.top_items, shares, chosen, route, everyone)


POLICIES: Mapping[str, Callable[[Query], Answer]] = {
    "epsilon": partial(_recommend, "epsilon", choose_greedily),
    "ucb": partial(_recommend, "ucb", lambda used, seen, _: int(bound_shares(used, seen).argmax())),
}
"""Additional policies of replay. A list consists of items of one segment.

`epsilon` takes the segment with the highest usage rate so far, occasionally a random nearby one. `ucb` takes the one
with the highest upper confidence bound.
"""
