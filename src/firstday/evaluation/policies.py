"""`epsilon` and `ucb`: simple bandits over segments, with which `explore` is compared in replay."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from firstday.ranking import NO_ITEM
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


@dataclass(frozen=True, eq=False)
class Arms:
    """What is known of one user's arms.

    Parameters
    ----------
    rewards
        Items of each arm that were used, shape (n_arms,).
    pulls
        Items of each arm that were used or seen and passed over, shape (n_arms,).
    """

    rewards: np.ndarray
    pulls: np.ndarray

    @property
    def means(self) -> np.ndarray:
        """Share of each arm's items that were used, shape (n_arms,), 0 where none was shown."""
        means: np.ndarray = self.rewards / np.maximum(self.pulls, 1e-12)
        return means

    def choose_greedily(self, rng: np.random.Generator, epsilon: float) -> int:
        """Return the arm with the best mean, or with the probability `epsilon` any."""
        if rng.random() < epsilon:
            return int(rng.integers(len(self.means)))
        return int(self.means.argmax())

    def bounds(self, alpha: float) -> np.ndarray:
        """Return upper confidence bounds, shape (n_arms,); infinite where an arm was never pulled.

        References
        ----------
        UCB1: P. Auer, N. Cesa-Bianchi, P. Fischer, "Finite-time analysis of the multiarmed bandit problem", 2002.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            widths = np.sqrt(2 * np.log(max(1.0, float(self.pulls.sum()))) / self.pulls)
        return np.where(self.pulls > 0, self.means + alpha * widths, np.inf)


def recommend_epsilon(query: Query) -> Answer:
    """Answer by the segment whose items were used most often so far, now and then by any of the near ones."""
    return _recommend(query, "epsilon", lambda arms, rng: arms.choose_greedily(rng, EPSILON))


def recommend_ucb(query: Query) -> Answer:
    """Answer by the segment that may be the best one, as far as so few impressions can tell."""
    return _recommend(query, "ucb", lambda arms, _: int(arms.bounds(ALPHA).argmax()))


POLICIES: Mapping[str, Callable[[Query], Answer]] = {"epsilon": recommend_epsilon, "ucb": recommend_ucb}
"""Policies that replay knows beside the strategies."""


def _recommend(query: Query, route: str, choose: Callable[[Arms, np.random.Generator], int]) -> Answer:
    """Fill each user's list with the best items left of one segment."""
    model = query.model
    segments = model.segments
    shape = (query.n_users, query.k)
    items, scores = np.full(shape, NO_ITEM, dtype=np.int32), np.zeros(shape, dtype=np.float32)
    shares = model.believed_shares
    n_arms = min(N_ARMS, len(segments))
    nearness = np.where(query.known[:, None], segments.closeness(query.predicted), segments.items.sizes)
    nearest = np.argsort(-nearness, axis=1, kind="stable")[:, :n_arms]
    for row in range(query.n_users):
        arms = nearest[row]
        tops = segments.top_items[arms][:, :N_OF_ARM]
        liked, passed_over = query.liked.row(row), query.passed_over.row(row)
        rewards = np.isin(tops, liked).sum(axis=1).astype(np.float64)
        pulls = rewards + np.isin(tops, passed_over).sum(axis=1)
        prior = shares[arms][:, : query.k].mean(axis=1)
        known = Arms(rewards + PRIOR_IMPRESSIONS * prior, pulls + PRIOR_IMPRESSIONS)
        arm = choose(known, np.random.default_rng(seed_of(query, row)))
        listed = segments.top_items[arms[arm]]
        is_left = (listed >= 0) & ~np.isin(listed, query.excluded.row(row))
        chosen = np.flatnonzero(is_left)[: query.k]
        items[row, : len(chosen)], scores[row, : len(chosen)] = listed[chosen], shares[arms[arm], chosen]
    return Answer.where(np.ones(query.n_users, dtype=bool), route, items, scores)
