"""`explore`: Thompson sampling over segments, learning from items used and passed over.

Some ranks are given to new items, which no warm user uses, by their rates of use estimated from impressions
(`firstday.recommend.new_items.offers`). This needs a model that has counted impressions, or items added since training.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice, repeat

import numpy as np

from firstday.ranking import NO_ITEM
from firstday.recommend.belief import believe_segments, believed_shares
from firstday.recommend.new_items.offers import N_DRAWS, Offers, offer_unused
from firstday.recommend.query import Answer, Query
from firstday.recommend.rules.list_rules import Quota
from firstday.recommend.spec import StrategySpec

LEAST_BELIEF = 1e-3
"""Segments below this probability are not drawn."""
NEW_SHARE = 0.05
"""Probability of offering a rank to a new item."""
Offer = tuple[int, float, float]
"""An item, its score (for new items the expected rate among people like the user), and its propensity."""


def recommend_explore(query: Query) -> Answer:
    """Fill each rank with the best remaining item of a segment drawn from the user's posterior over segments.

    With probability `NEW_SHARE`, a rank is offered to a new item instead: the best one in a Thompson sample of the
    rates in a segment drawn likewise. The offer lapses if the item is excluded or already in the list, or if its rate
    in the sample is below what other items have on average.

    Lists are in drawing order, so scores need not decrease.

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
    new_items = query.model.derive(offer_unused)
    if query.new_items is not None and query.moments is None:  # offers as of now depend on what came after a moment
        new_items = query.new_items.offers
    for row, belief in enumerate(believe_segments(query, np.arange(query.n_users))):
        likely = np.flatnonzero(belief >= min(LEAST_BELIEF, belief.max()))
        for rank, (item, score, propensity) in enumerate(draw_list(query, row, likely, belief[likely], new_items)):
            items[row, rank] = item
            scores[row, rank] = score
            propensities[row, rank] = propensity
    answer = Answer.from_lists(np.ones(query.n_users, dtype=bool), "explore", items, scores)
    return replace(answer, propensities=propensities)


def draw_list(query: Query, row: int, segments: np.ndarray, belief: np.ndarray, new_items: Offers) -> Iterator[Offer]:
    """Yield the item of each rank of a user's list.

    `segments` are those that may be drawn, and `belief` their unnormalised probabilities, both of shape (n,).
    """
    seed = seed_of(query, row)
    excluded = query.list_excluded.row(row)
    quota = Quota(query.list_rules, excluded)
    quota.open[excluded] = False
    lists, shares = order_items(query, segments)
    draw = draw_slate(lists, belief, query.k, np.random.default_rng(seed), quota)
    offers: Iterator[tuple[Offer | None, float]] = repeat((None, 0.0))
    if len(new_items):
        offers = draw_offers(new_items, segments, belief, np.random.default_rng([seed, 1]), quota)
    for offer, chance in islice(offers, query.k):
        if offer is not None:
            yield offer
            continue
        segment, position, propensity = next(draw, (-1, -1, 0.0))
        if segment < 0:
            return
        yield int(lists[segment, position]), shares[segment, position], (1 - chance) * propensity


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


def draw_offers(
    new_items: Offers,
    segments: np.ndarray,
    belief: np.ndarray,
    rng: np.random.Generator,
    quota: Quota,
) -> Iterator[tuple[Offer | None, float]]:
    """Yield, for each rank, an offer of a new item or None, and the probability of an offer; no item is offered twice.

    `segments` are those that may be drawn, and `belief` their unnormalised probabilities, both of shape (n,).
    """
    belief = belief / belief.sum()
    drawn = np.concatenate([new_items.drawn(segment) for segment in segments.tolist()])
    items, index = np.unique(drawn, return_inverse=True)
    weights = np.bincount(index, np.repeat(belief / N_DRAWS, N_DRAWS))
    weights[items == NO_ITEM] = 0
    while True:
        weights[~quota.open[items]] = 0
        chance = NEW_SHARE * float(weights.sum())
        ladder = NEW_SHARE * weights.cumsum()
        drawn_index = int(np.searchsorted(ladder, rng.random(), side="right"))
        offer = None
        if drawn_index < len(ladder):
            item = int(items[drawn_index])
            rate = float(belief @ new_items.rates_of(item)[segments])
            offer = item, rate, NEW_SHARE * float(weights[drawn_index])
            quota.take(item)
        yield offer, chance


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
