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
    rules = query.item_rules
    n_ranked = answer.n_ranked[:, None]
    order = np.broadcast_to(np.arange(answer.items.shape[1]), answer.items.shape)
    if rules.factors is not None and (answer.propensities == 1).all():
        boosted = answer.scores * rules.factors[answer.items] ** np.sign(answer.scores)  # raw scores may be negative
        order = np.argsort(np.where(order < n_ranked, -boosted, np.inf), axis=1, kind="stable")
    positions = np.full((query.n_users, k), -1)
    n = rules.after + k
    for row, (ranking, of_row) in enumerate(zip(answer.items, order, strict=True)):
        quota = Quota(rules, query.excluded.row(row))
        listed = list[int]()
        for position, item in zip(of_row.tolist(), ranking[of_row].tolist(), strict=True):
            if len(listed) == n:
                break
            if item >= 0 and quota.open[item]:
                quota.take(item)
                listed.append(position)
        for rank, item in sorted(quota.pins.items()):
            listed.insert(rank, int(np.flatnonzero(ranking == item)[0]))  # a pin behind the last rank comes last
        listed = listed[rules.after : n]
        positions[row, : len(listed)] = listed

    def take(table: np.ndarray, empty: float) -> np.ndarray:
        """Return the entries at the positions; -1 selects an appended empty column."""
        return np.take_along_axis(np.pad(table, ((0, 0), (0, 1)), constant_values=empty), positions, axis=1)

    items = take(answer.items, NO_ITEM)
    is_ranked = (items >= 0) & ((positions < n_ranked) | np.isin(items, list(rules.pins.values())))
    return replace(
        answer,
        items=items,
        scores=take(answer.scores, 0),
        n_ranked=np.where(is_ranked, np.arange(1, k + 1), 0).max(axis=1),
        propensities=take(answer.propensities, 1),
    )
