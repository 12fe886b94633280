"""Rankings rearranged under the caps, pins and boosts of a service's rules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import numpy as np

from firstday.ranking import NO_ITEM
from firstday.recommend.list_rules import Quota
from firstday.recommend.query import Answer, Query
from firstday.recommend.scales import scale_answer


def arrange(query: Query, answer: Answer, k: int) -> Answer:
    """Return k ranks of a long ranking under the rules of its query, with scaled scores.

    Each rank holds its pinned item, or the best remaining item that the caps leave room for. Boosts multiply the scaled
    scores of the items that the strategy ranked; a strategy with propensities has applied them itself.
    """
    rules, scaled = query.item_rules, scale_answer(query, answer)
    after = rules.after
    if rules.factors is not None and answer.propensities is None:
        scaled = _boost(scaled, rules.factors)
    shape, n_ranked = (query.n_users, after + k), scaled.count_ranked().copy()
    items, scores = np.full(shape, NO_ITEM, dtype=np.int32), np.zeros(shape, dtype=np.float32)
    propensities = np.ones(shape, dtype=np.float32)
    for row, ranked in enumerate(scaled.items):
        quota = rules.quota_without(query.excluded.row(row))
        positions = np.fromiter(islice(_fill_ranks(ranked, quota), after + k), dtype=np.int64)
        n_listed, is_ranked = len(positions), positions < n_ranked[row]
        items[row, :n_listed], scores[row, :n_listed] = ranked[positions], scaled.scores[row, positions]
        if scaled.propensities is not None:
            propensities[row, :n_listed] = scaled.propensities[row, positions]
        n_ranked[row] = np.flatnonzero(is_ranked).max(initial=-1) + 1
    return replace(
        scaled,
        items=items[:, after:],
        scores=scores[:, after:],
        n_ranked=np.maximum(n_ranked - after, 0),
        propensities=None if scaled.propensities is None else propensities[:, after:],
    )


def _boost(answer: Answer, factors: np.ndarray) -> Answer:
    """Return an answer ranked anew by scores times the items' factors; fill-up items keep their ranks."""
    is_ranked = np.arange(answer.items.shape[1]) < answer.count_ranked()[:, None]
    of_items = factors[answer.items]
    scores = np.where(answer.scores >= 0, answer.scores * of_items, answer.scores / of_items)  # "score" may be negative
    order = np.argsort(np.where(is_ranked, -scores, np.inf), axis=1, kind="stable")
    items, scores = (
        np.take_along_axis(table, order, axis=1) for table in (answer.items, np.where(is_ranked, scores, 0))
    )
    return replace(answer, items=items, scores=scores.astype(np.float32))


def _fill_ranks(ranked: np.ndarray, quota: Quota) -> Iterator[int]:
    """Yield, for each rank, the position of the pinned item in a ranking, or of the next item with room; then pins."""
    pins = {rank: int(np.flatnonzero(ranked == item)[0]) for rank, item in quota.pins.items()}
    rank = 0
    for position, item in enumerate(ranked.tolist()):
        while rank in pins:
            yield pins.pop(rank)
            rank += 1
        if item >= 0 and quota.has_room(item):
            quota.take(item)
            yield position
            rank += 1
    yield from (pins[rank] for rank in sorted(pins))
