"""Places of items added since training in ranked lists, by their probability of use."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from firstday.ranking import MAX_CELLS, NO_ITEM, top_k
from firstday.recommend.added_items import AddedItems
from firstday.recommend.query import Answer, Query
from firstday.recommend.spec import PROBABILITY
from firstday.segment.segments import BELIEF_SMOOTHING


def place_additions(query: Query, answer: Answer) -> Answer:
    """Insert the added items that fit better than a list's last ones.

    An item precedes those with a lower probability of use, and takes the score of the first of them. Where scores are
    not calibrated to probabilities, the use in the user's segment replaces them. Strategies that draw items at
    random place new ones themselves.
    """
    added = query.added
    if added is None or (answer.propensities < 1).any():
        return answer
    n_parts = query.n_users * (len(added) + query.k) // MAX_CELLS + 1
    parts = np.array_split(np.arange(query.n_users), n_parts)
    return Answer.join([(rows, _place(query.take(rows), added, answer.take(rows))) for rows in parts])


def _place(query: Query, added: AddedItems, answer: Answer) -> Answer:
    new = np.tile(added.index, (query.n_users, 1))
    is_open = query.list_rules.allowed[new] & ~query.list_excluded.has(new)
    rates = added.chances(np.where(query.has_features[:, None], query.predicted, 0))
    is_old = (answer.items >= 0) & ~np.isin(answer.items, added.index)  # new items of the model may fill a list up
    is_ranked = is_old & (np.arange(query.k) < answer.n_ranked[:, None])
    is_calibrated = is_ranked & (answer.scales == PROBABILITY)[:, None]
    chances = np.where(is_calibrated, answer.scores, _estimate_use(query, answer.items))
    falling = np.maximum.accumulate(np.where(is_old, chances, -np.inf)[:, ::-1], axis=1)[:, ::-1]
    keys = np.where(np.append(is_old, is_open, axis=1), np.append(falling, rates, axis=1), -np.inf)
    columns, _ = top_k(keys.astype(np.float32), query.k)
    is_new = columns >= query.k
    every = np.append(answer.items, new, axis=1)
    items = np.where(columns >= 0, np.take_along_axis(every, columns, axis=1), NO_ITEM).astype(np.int32)
    following = np.minimum((~is_new).cumsum(axis=1) - ~is_new, query.k - 1)
    n_ranked = np.minimum(query.k, answer.n_ranked + is_new.sum(axis=1))
    scores = np.take_along_axis(answer.scores, following, axis=1)
    return replace(answer, items=items, scores=scores, n_ranked=n_ranked)


def _estimate_use(query: Query, items: np.ndarray) -> np.ndarray:
    """Return the probability that each user uses some items, shape (n_users, k), by their segment or everyone's use."""
    segments = query.model.segments.items
    nearest = query.nearest_segments
    is_known = query.has_features[:, None]
    n_used = is_known * segments.counts.take(nearest).at(np.maximum(items, 0))
    sizes = is_known * segments.sizes[nearest][:, None]
    smoothed: np.ndarray = (n_used + BELIEF_SMOOTHING * query.model.popularity[items]) / (sizes + BELIEF_SMOOTHING)
    return smoothed
