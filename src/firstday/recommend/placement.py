"""Places of items added since training in ranked lists, by their probability of use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from firstday.features.signals import Signals
from firstday.ranking import MAX_CELLS, first_allowed, greatest
from firstday.recommend.added_items import AddedItems, find_content
from firstday.recommend.query import Additions, Answer, Query
from firstday.recommend.spec import PROBABILITY
from firstday.segment.segments import BELIEF_SMOOTHING


def read_additions(added: AddedItems, users: Sequence[Signals], *, keep_used: bool) -> tuple[Additions, list[set[Any]]]:
    """Return the added items for some users, and what `Catalogue.read` of the model says about their use of them."""
    catalogue = added.model.catalogue
    own = added.own_catalogue
    batch, _ = own.read(users, added.model.config.signals)
    known = [
        {
            catalogue.find_unknown(one.signal, one.entity, one.entity_id)
            for one in user.interactions
            if own.find_unknown(one.signal, one.entity, one.entity_id) is None
        }
        for user in users
    ]
    return Additions.of(added, batch, keep_used=keep_used), known


def place_additions(query: Query, answer: Answer) -> Answer:
    """Insert the added items that fit better than a list's last ones.

    An item comes before the first ranked item with a lower probability of use. Where scores are not calibrated to
    probabilities, these are estimated by the use in the user's segment, and the item takes the score of the one that it
    precedes. Strategies that draw items at random place new ones themselves.
    """
    additions = query.additions
    if additions is None or not len(additions.items) or (answer.propensities < 1).any():
        return answer
    n_parts = query.n_users * (len(additions.items) + query.k) // MAX_CELLS + 1
    parts = np.array_split(np.arange(query.n_users), n_parts)
    return Answer.join([(rows, _place(query.take(rows), additions.items, answer.take(rows))) for rows in parts])


def _place(query: Query, added: AddedItems, answer: Answer) -> Answer:
    is_excluded = query.list_excluded.has(np.tile(added.index, (query.n_users, 1)))
    is_open = query.list_rules.allowed[added.index] & ~is_excluded
    users = np.where(query.has_features[:, None], query.predicted, 0)
    rates = np.where(is_open, added.rates * added.lifts(users), -1)
    best = greatest(rates, min(query.k, len(added)))
    rates = np.take_along_axis(rates, best, axis=1)
    is_old = (answer.items >= 0) & ~np.isin(answer.items, added.index)  # new items of the model may fill a list up
    is_ranked = is_old & (np.arange(query.k) < answer.n_ranked[:, None])
    is_calibrated = (answer.scales == PROBABILITY)[:, None]
    chances = np.where(is_ranked & is_calibrated, answer.scores, _estimate_use(query, answer.items))
    falling = np.minimum.accumulate(np.where(is_old, chances, np.inf), axis=1)
    in_order = -np.sort(np.where(is_old, -chances, np.inf), axis=1)
    keys = np.append(np.where(is_calibrated, falling, in_order), rates, axis=1)
    order = np.argsort(-keys, axis=1, kind="stable")

    def arrange(of_old: np.ndarray, of_new: np.ndarray) -> np.ndarray:
        return np.take_along_axis(np.append(of_old, of_new, axis=1), order, axis=1)

    is_new = arrange(np.zeros_like(is_old), np.ones_like(rates, bool))
    is_listed = arrange(is_old, rates > 0)
    scores = arrange(np.where(is_ranked, answer.scores, 0), rates)
    width = scores.shape[1]
    following = np.where(is_new, width - 1, np.arange(width))
    following = np.minimum.accumulate(following[:, ::-1], axis=1)[:, ::-1]
    scores = np.where(is_calibrated, scores, np.take_along_axis(np.where(is_new, 0, scores), following, axis=1))
    items, scores = first_allowed(arrange(answer.items, added.index[best]), scores, is_listed, query.k)
    is_placed, _ = first_allowed(arrange(is_ranked, np.ones_like(rates, bool)), is_listed, is_listed, query.k)
    n_ranked = np.where(is_placed > 0, np.arange(1, query.k + 1), 0).max(axis=1)
    return replace(answer, items=items, scores=scores, n_ranked=n_ranked)


def _estimate_use(query: Query, items: np.ndarray) -> np.ndarray:
    """Return the probability that each user uses some items, shape (n_users, k), by their segment or everyone's use."""
    model = query.model
    items = np.maximum(items, 0)
    shares = model.recent_shares * model.popularity.sum() if model.fallback == "recent" else model.popularity
    estimates = shares[items].astype(np.float64)
    known = np.flatnonzero(query.has_features)
    segments = query.nearest_segments[known]
    counts = model.segments.items.counts.take(segments).at(items[known])
    sizes = model.segments.items.sizes[segments][:, None]
    estimates[known] = (counts + BELIEF_SMOOTHING * estimates[known]) / (sizes + BELIEF_SMOOTHING)
    return find_content(model).level * estimates
