"""New items of a list: candidates of `blend`, and places in finished rankings, both by their probability of use."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from firstday.model.calibration import to_probabilities
from firstday.model.item_content import N_INPUTS, expect_use, stack_inputs, weigh_inputs
from firstday.ranking import MAX_CELLS, NO_ITEM, greatest, top_k
from firstday.recommend.new_items.attributes import find_content
from firstday.recommend.new_items.new_items import NewItems
from firstday.recommend.query import Answer, Query
from firstday.recommend.spec import PROBABILITY
from firstday.recommend.support import spec_of_route
from firstday.segment.segments import BELIEF_SMOOTHING

MAX_CANDIDATES = 200
"""Maximum number of new items per list of `blend`."""


def find_new_candidates(query: Query, new: NewItems, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return positions, int64, and log-odds of the `MAX_CANDIDATES` new items that users use most probably, boosted.

    Both have the shape (n_rows, n). Log-odds are minus infinity for items that may not be listed.
    """
    log_odds = _measure_odds(query.take(rows), new, find_content(query.model).odds)
    factors = query.list_rules.factors
    with np.errstate(divide="ignore"):  # a boost may round to 0
        promise = log_odds if factors is None else log_odds + np.log(factors[new.index])
    best = greatest(promise.astype(np.float32), min(MAX_CANDIDATES, len(new)))
    return best, np.take_along_axis(log_odds, best, axis=1)


def known_vectors(query: Query) -> np.ndarray:
    """Return the predicted vector of each user, zero if nothing is known, shape (n_users, d)."""
    return np.where(query.has_features[:, None], query.predicted, 0)


def _measure_odds(query: Query, new: NewItems, odds: np.ndarray) -> np.ndarray:
    """Return the log-odds with which users use new items, minus infinity if lists may not have them: (n_users, n)."""
    current = query.current_items
    assert current is not None
    rates = find_content(query.model).rates
    likeness = (known_vectors(query)[:, None] @ new.vectors.T)[:, 0]  # one product per user; rounding depends on shapes
    continued = expect_use(query.current_liked, current.members_of_items, current.members_of_new, rates)
    inputs = stack_inputs(likeness, new.log_use, continued, *new.measure_past(query.moments), query.n_known[:, None])
    index = np.tile(new.index, (query.n_users, 1))
    is_open = query.list_rules.allowed[index] & ~query.list_excluded.has(index)
    return np.where(is_open, weigh_inputs(inputs, odds), -np.inf)


def place_new_items(query: Query, answer: Answer) -> Answer:
    """Insert the new items that fit better than a list's last ones.

    An item precedes those with a lower probability of use, and takes the score of the first of them. Where scores are
    not calibrated to probabilities, the use in the user's segment replaces them. Lists of strategies that place
    new items themselves, or draw items at random, stay as they are.
    """
    new = query.new_items
    if new is None:
        return answer
    specs = map(spec_of_route, answer.routes)
    is_complete = np.array([spec is not None and spec.places_new(query.model) for spec in specs], dtype=bool)
    is_complete |= (answer.propensities < 1).any(axis=1)
    kept, rest = np.flatnonzero(is_complete), np.flatnonzero(~is_complete)
    if not len(rest):
        return answer
    parts = np.array_split(rest, len(rest) * (N_INPUTS * len(new) + query.k) // MAX_CELLS + 1)
    placed = [(rows, _place(query.take(rows), new, answer.take(rows))) for rows in parts]
    return Answer.join([(kept, answer.take(kept)), *placed])


def _place(query: Query, new: NewItems, answer: Answer) -> Answer:
    log_odds = _measure_odds(query, new, find_content(query.model).usual_odds)
    chances = np.where(log_odds > -np.inf, to_probabilities(log_odds), -np.inf)
    candidates = np.append(answer.items, np.tile(new.index, (query.n_users, 1)), axis=1)
    keys = np.append(_rate_listed(query, new, answer), chances, axis=1)
    columns, _ = top_k(keys.astype(np.float32), query.k)
    items = np.where(columns >= 0, np.take_along_axis(candidates, columns, axis=1), NO_ITEM).astype(np.int32)
    is_old = columns < query.k
    following = np.minimum(is_old.cumsum(axis=1) - is_old, query.k - 1)
    scores = np.take_along_axis(answer.scores, following, axis=1)
    n_ranked = np.minimum(query.k, answer.n_ranked + (~is_old).sum(axis=1))
    return replace(answer, items=items, scores=scores, n_ranked=n_ranked)


def _rate_listed(query: Query, new: NewItems, answer: Answer) -> np.ndarray:
    """Return the highest probability of use at each rank or below, shape (n_users, k).

    It is -inf for empty ranks and for new items of the model, which may fill a list up.
    """
    is_old = (answer.items >= 0) & ~np.isin(answer.items, new.index)
    is_ranked = np.arange(query.k) < answer.n_ranked[:, None]
    is_calibrated = is_ranked & (answer.scales == PROBABILITY)[:, None]
    chances = np.where(is_calibrated, answer.scores, _estimate_use(query, answer.items))
    chances = np.where(is_old, chances, -np.inf)
    highest = np.maximum.accumulate(chances[:, ::-1], axis=1)[:, ::-1]
    return np.where(is_old, highest, -np.inf)


def _estimate_use(query: Query, items: np.ndarray) -> np.ndarray:
    """Return the probability that each user uses some items, shape (n_users, k), by their segment or everyone's use."""
    segments = query.model.segments.items
    nearest = query.nearest_segments
    is_known = query.has_features[:, None]
    n_used = is_known * segments.counts.take(nearest).at(np.maximum(items, 0))
    sizes = is_known * segments.sizes[nearest][:, None]
    smoothed: np.ndarray = (n_used + BELIEF_SMOOTHING * query.model.popularity[items]) / (sizes + BELIEF_SMOOTHING)
    return smoothed
