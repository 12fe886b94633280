"""`explore`: Thompson sampling over segments, learning from items used and passed over."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from firstday.ranking import NO_ITEM
from firstday.recommend.belief import believe_segments, believed_shares
from firstday.recommend.query import Answer, Query
from firstday.recommend.rules.list_rules import Quota
from firstday.recommend.spec import StrategySpec

LEAST_BELIEF = 1e-3
"""Segments below this probability are not drawn."""


def recommend_explore(query: Query) -> Answer:
    """Fill each rank with the best remaining item of a segment drawn from the user's posterior over segments.

    Lists are in drawing order, so scores need not decrease. Items that no warm user uses are in no segment's list.

    Any user can be answered: if nothing is known, segments are drawn in proportion to their size. The random seed
    depends on the user's id, liked items and items passed over, so that repeated requests return the same list until
    one of these changes. Users without an id, liked items and items passed over share a seed.

    References
    ----------
    Thompson sampling: O. Chapelle, L. Li, "An empirical evaluation of Thompson sampling", NIPS 2011. Cold users as a
    bandit over clusters of warm users: the paper, related work.
    """
    shape = (query.n_users, query.k)
    items = np.full(shape, NO_ITEM, dtype=np.int32)
    scores = np.zeros(shape, dtype=np.float32)
    propensities = np.ones(shape, dtype=np.float32)
    for row, belief in enumerate(believe_segments(query, np.arange(query.n_users))):
        likely = np.flatnonzero(belief >= min(LEAST_BELIEF, belief.max()))
        lists, shares = order_items(query, likely)
        excluded = query.list_excluded.row(row)
        quota = Quota(query.list_rules, excluded)
        quota.open[excluded] = False
        slate = draw_slate(lists, belief[likely], query.k, np.random.default_rng(seed_of(query, row)), quota)
        for rank, (segment, position, propensity) in enumerate(slate):
            items[row, rank] = lists[segment, position]
            scores[row, rank] = shares[segment, position]
            propensities[row, rank] = propensity
    answer = Answer.from_lists(np.ones(query.n_users, dtype=bool), "explore", items, scores)
    return replace(answer, propensities=propensities)


def order_items(query: Query, segments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the items of segments, best first by boosted share, and their shares, both of shape (n_segments, m)."""
    lists = query.model.segments.top_items[segments]
    shares = query.model.derive(believed_shares)[segments]
    factors = query.list_rules.factors
    if factors is None:
        return lists, shares
    order = np.argsort(-shares * factors[lists], axis=1, kind="stable")
    return np.take_along_axis(lists, order, axis=1), np.take_along_axis(shares, order, axis=1)


def draw_slate(
    lists: np.ndarray, belief: np.ndarray, k: int, rng: np.random.Generator, quota: Quota
) -> Iterator[tuple[int, int, float]]:
    """Fill up to k ranks one by one: draw a segment from the belief, and take the best remaining item of its list.

    Yields the index of the segment, the item's position in the segment's list, and the item's probability, given the
    items before it. `lists` are the items of each segment, best first, shape (n_segments, m), and `belief` the
    segments' unnormalised probabilities.
    """
    lists = np.pad(lists, ((0, 0), (0, 1)), constant_values=NO_ITEM)
    rows = np.arange(len(lists))
    heads = np.zeros(len(lists), dtype=np.int64)  # position of the best remaining item
    for _ in range(k):
        best = lists[rows, heads]
        while (is_closed := (best >= 0) & ~quota.open[best]).any():
            heads += is_closed
            best = lists[rows, heads]
        weights = np.where(best >= 0, belief, 0)
        total = weights.sum()
        if total <= 0:
            return
        segment = int(np.searchsorted(weights.cumsum(), rng.random() * total, side="right"))
        segment = min(segment, int(np.flatnonzero(weights)[-1]))
        quota.take(int(best[segment]))
        yield segment, int(heads[segment]), float(weights[best == best[segment]].sum() / total)


def seed_of(query: Query, row: int) -> int:
    """Return the random seed of one user, a hash of the user's id, liked items and items passed over."""
    user_ids = query.signals.user_ids
    known = hashlib.blake2b(digest_size=8)
    known.update(b"" if user_ids is None else str(user_ids[row]).encode())
    known.update(query.liked.row(row).tobytes())
    known.update(query.passed_over.row(row).tobytes())
    return int.from_bytes(known.digest(), "little")


EXPLORE = StrategySpec(
    name="explore",
    recommend=recommend_explore,
    describe="Draw a segment for each rank from the posterior, which learns from items used and passed over.",
    explain="Top items of segments that the user may belong to, drawn by their probability given the items used and "
    "passed over.",
    reads_impressions=True,
    scale="share of the segment drawn",
    places_new=lambda _model: True,
)
