"""`explore`: a bandit over segments (Thompson sampling), which learns from what was used and passed over.

Now and then a place goes to a new item, which no warm user uses, by what impressions tell of it
(`firstday.segment.new_items`): so far as the model has counted any, and only then can it learn from them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import repeat

import numpy as np

from firstday.ranking import NO_ITEM
from firstday.recommend.belief import believe_segments
from firstday.recommend.query import Answer, Query
from firstday.recommend.spec import StrategySpec, reading
from firstday.segment.new_items import N_DRAWS, NewItems

LEAST_BELIEF = 1e-3
"""Segments less likely than that are not drawn."""
NEW_SHARE = 0.05
"""How often a place is offered to a new item."""
Offer = tuple[int, float, float]
"""A new item, its expected rate among people like the user, and how likely it was to be drawn."""


def recommend_explore(query: Query) -> Answer:
    """Fill each place by the best item left of a segment that is drawn by how likely the user belongs to it.

    With the probability `NEW_SHARE` a place is offered to a new item, which is drawn for such a segment. Where the user
    may not be shown it, or it stands in the list already, the place stays as it was. Without new items, or where
    nothing that was shown has been counted, lists are the same as if there were no such rule.

    A list is in the order in which it was drawn: scores need not fall.

    Nothing of it needs to be known of a user: then segments are as likely as they are large. Chance is decided by the
    user's id and by what is known of the user, so that the same request gets the same list until something is learned.

    References
    ----------
    Thompson sampling: O. Chapelle, L. Li, "An empirical evaluation of Thompson sampling", NIPS 2011. Cold users as a
    bandit over clusters of warm users: PAPER, related work.
    """
    model = query.model
    shape = (query.n_users, query.k)
    items, scores = np.full(shape, NO_ITEM, dtype=np.int32), np.zeros(shape, dtype=np.float32)
    propensities = np.ones(shape, dtype=np.float32)
    shares = model.believed_shares
    new_items = model.rates_of_new_items
    for row, belief in enumerate(believe_segments(query, np.arange(query.n_users))):
        likely = np.flatnonzero(belief >= min(LEAST_BELIEF, belief.max()))
        tops = model.segments.top_items[likely]
        excluded = query.excluded.row(row)
        is_left = (tops >= 0) & ~np.isin(tops, np.concatenate([excluded, model.unlisted]))
        lists, values = (
            [of_segment[left][: query.k] for of_segment, left in zip(table, is_left, strict=True)]
            for table in (tops, shares[likely])
        )
        seed = seed_of(query, row)
        draw = draw_slate(lists, belief[likely], query.k, np.random.default_rng(seed))
        offers: Iterator[tuple[Offer | None, float]] = repeat((None, 0.0))
        if new_items is not None:
            offers = draw_offers(new_items, likely, belief[likely], excluded, np.random.default_rng([seed, 1]))
        for at, (offer, chance) in zip(range(query.k), offers, strict=False):
            if offer is not None:
                items[row, at], scores[row, at], propensities[row, at] = offer
                continue
            group, number, propensity = next(draw, (-1, -1, 0.0))
            if group < 0:
                break
            items[row, at], scores[row, at] = lists[group][number], values[group][number]
            propensities[row, at] = (1 - chance) * propensity
    answer = Answer.where(np.ones(query.n_users, dtype=bool), "explore", items, scores)
    return replace(answer, propensities=propensities)


def draw_slate(
    lists: Sequence[np.ndarray], belief: np.ndarray, k: int, rng: np.random.Generator
) -> Iterator[tuple[int, int, float]]:
    """Fill places one after the other: draw a group by its belief, and take the best item of its list that is left.

    Parameters
    ----------
    lists
        Items of each group, best first.
    belief
        How likely each group is, in any unit, shape (n_groups,).
    k
        Places to fill, at most.
    rng
        Decides.

    Yields
    ------
    group, number, propensity
        The group that was drawn, the item's place in its list, and how likely this item was, given those before it.
    """
    heads = [0] * len(lists)  # where each list's best item left stands
    best = np.array([items[0] if len(items) else NO_ITEM for items in lists], dtype=np.int64)
    weights = np.where(best >= 0, belief, 0)
    taken: set[int] = set()
    for _ in range(k):
        total = weights.sum()
        if total <= 0:
            return
        group = int(np.searchsorted(weights.cumsum(), rng.random() * total, side="right"))
        group = min(group, int(np.flatnonzero(weights)[-1]))
        item = int(best[group])
        having = np.flatnonzero(best == item)
        yield group, heads[group], float(weights[having].sum() / total)
        taken.add(item)
        for other in having.tolist():
            items, head = lists[other], heads[other] + 1
            while head < len(items) and int(items[head]) in taken:
                head += 1
            heads[other] = head
            best[other] = items[head] if head < len(items) else NO_ITEM
            if head >= len(items):
                weights[other] = 0


def draw_offers(
    new_items: NewItems, segments: np.ndarray, belief: np.ndarray, excluded: np.ndarray, rng: np.random.Generator
) -> Iterator[tuple[Offer | None, float]]:
    """Offer places to new items, one after the other, each item once.

    Parameters
    ----------
    new_items
        What is known of new items.
    segments, belief
        Segments that the user may belong to, and how likely each is, in any unit, shape (n_likely,).
    excluded
        Items that may not be in the list.
    rng
        Decides.

    Yields
    ------
    offer, chance
        What the next place goes to; None: it stays as it is. And how likely it was to go to any new item.
    """
    belief = belief / belief.sum()
    drawn = np.concatenate([new_items.drawn(segment) for segment in segments.tolist()])
    items, place = np.unique(drawn, return_inverse=True)
    weights = np.bincount(place, np.repeat(belief / N_DRAWS, N_DRAWS))
    weights[np.isin(items, excluded)] = 0
    while True:
        chance, ladder = NEW_SHARE * float(weights.sum()), NEW_SHARE * weights.cumsum()
        at = int(np.searchsorted(ladder, rng.random(), side="right"))
        offer = None
        if at < len(ladder):
            rate = float(belief @ new_items.rates_of(int(items[at]))[segments])
            offer = (int(items[at]), rate, NEW_SHARE * float(weights[at]))
            weights[at] = 0
        yield offer, chance


def seed_of(query: Query, row: int) -> int:
    """Return the seed of what is left to chance for one user: of the user's id and of what is known."""
    user_ids = query.signals.user_ids
    known = hashlib.blake2b(digest_size=8)
    known.update(b"" if user_ids is None else str(user_ids[row]).encode())
    known.update(query.liked.row(row).tobytes())
    known.update(query.passed_over.row(row).tobytes())
    return int.from_bytes(known.digest(), "little")


EXPLORE = StrategySpec(
    name="explore",
    recommend=recommend_explore,
    describe="Draw a segment for each place by how likely the user belongs to it, and learn from what is used.",
    explain="The best items of segments that the user may belong to, drawn by how likely each is after all that was "
    "used and passed over.",
    reads=reading("liked", "shown"),
    scale="share of the segment drawn",
)
