"""Rankings rearranged under the caps, pins and boosts of a service's rules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import numpy as np

from firstday.ranking import NO_ITEM
from firstday.recommend.query import Answer, Query
from firstday.recommend.rules.list_rules import Quota
from firstday.recommend.scales import scale_answer


def arrange(query: Query, answer: Answer, k: int) -> Answer:
    """Return k ranks of a long ranking under the rules of its query, with scaled scores.

    Each rank holds its pinned item, or the best remaining item that the caps leave room for. Boosts apply to the scaled
    scores of the items that the strategy ranked; a strategy with propensities has applied them itself.
    """
    rules, scaled = query.item_rules, scale_answer(query, answer)
    if rules.factors is not None and answer.propensities is None:
        scaled = _boost(scaled, rules.factors)
    positions = np.full((query.n_users, k), -1)
    for row, ranked in enumerate(scaled.items):
        ranks = _fill_ranks(ranked, Quota(rules, query.excluded.row(row)))
        listed = list(islice(ranks, rules.after, rules.after + k))
        positions[row, : len(listed)] = listed
    is_listed = positions >= 0
    is_ranked = is_listed & (positions < scaled.count_ranked()[:, None])

    def take(table: np.ndarray, empty: float) -> np.ndarray:
        return np.where(is_listed, np.take_along_axis(table, positions, axis=1), empty).astype(table.dtype, copy=False)

    return replace(
        scaled,
        items=take(scaled.items, NO_ITEM),
        scores=take(scaled.scores, 0),
        n_ranked=np.where(is_ranked, np.arange(1, k + 1), 0).max(axis=1),
        propensities=None if scaled.propensities is None else take(scaled.propensities, 1),
    )


def _boost(answer: Answer, factors: np.ndarray) -> Answer:
    """Return an answer ranked anew by scores times the items' factors, which are not part of the scores it returns.

    Fill-up items keep their ranks.
    """
    is_ranked = np.arange(answer.items.shape[1]) < answer.count_ranked()[:, None]
    of_items = factors[answer.items]
    scores = np.where(answer.scores >= 0, answer.scores * of_items, answer.scores / of_items)  # "score" may be negative
    order = np.argsort(np.where(is_ranked, -scores, np.inf), axis=1, kind="stable")
    items, scores = (np.take_along_axis(table, order, axis=1) for table in (answer.items, answer.scores))
    return replace(answer, items=items, scores=scores)


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
