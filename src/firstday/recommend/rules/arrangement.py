"""Rankings rearranged under the caps, pins and boosts of a service's rules."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from firstday.ranking import NO_ITEM
from firstday.recommend.query import Answer, Query
from firstday.recommend.rules.list_rules import Quota


def arrange(query: Query, answer: Answer, k: int) -> Answer:
    """Return k ranks of a long ranking under the rules of its query.

    Each rank holds its pinned item, or the best remaining item that the caps leave room for. Boosts apply to the scaled
    scores of the items that the strategy ranked, and are not part of the scores returned; a strategy with propensities
    has already applied the boosts.
    """
    rules, n_ranked = query.item_rules, answer.n_ranked[:, None]
    order = np.broadcast_to(np.arange(answer.items.shape[1]), answer.items.shape)
    if rules.factors is not None and answer.propensities is None:
        boosted = answer.scores * rules.factors[answer.items] ** np.sign(answer.scores)  # raw scores may be negative
        order = np.argsort(np.where(order < n_ranked, -boosted, np.inf), axis=1, kind="stable")
    positions = np.full((query.n_users, k), -1)
    for row, (ranking, of_row) in enumerate(zip(answer.items, order, strict=True)):
        quota = Quota(rules, query.excluded.row(row))
        listed = _fill_ranks(ranking, of_row, quota, rules.after + k)[rules.after : rules.after + k]
        positions[row, : len(listed)] = listed
    is_listed = positions >= 0

    def take(table: np.ndarray, empty: float) -> np.ndarray:
        return np.where(is_listed, np.take_along_axis(table, positions, axis=1), empty).astype(table.dtype, copy=False)

    items = take(answer.items, NO_ITEM)
    is_ranked = is_listed & ((positions < n_ranked) | np.isin(items, list(rules.pins.values())))
    return replace(
        answer,
        items=items,
        scores=take(answer.scores, 0),
        n_ranked=np.where(is_ranked, np.arange(1, k + 1), 0).max(axis=1),
        propensities=None if answer.propensities is None else take(answer.propensities, 1),
    )


def _fill_ranks(items: np.ndarray, order: np.ndarray, quota: Quota, n: int) -> list[int]:
    """Return the positions of the first n items in order that have room, and of the pinned ones at their ranks."""
    positions: list[int] = []
    for position, item in zip(order.tolist(), items[order].tolist(), strict=True):
        if len(positions) == n:
            break
        if item >= 0 and quota.open[item]:
            quota.take(item)
            positions.append(position)
    for rank, item in sorted(quota.pins.items()):
        positions.insert(rank, int(np.flatnonzero(items == item)[0]))  # a pin behind the last rank comes last
    return positions
