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
    rules = query.list_rules
    n_users, width = answer.items.shape
    n_ranked = answer.n_ranked[:, None]
    orders = np.broadcast_to(np.arange(width), answer.items.shape)
    if rules.factors is not None and (answer.propensities == 1).all():
        boosted = answer.scores * rules.factors[answer.items] ** np.sign(answer.scores)  # raw scores may be negative
        orders = np.argsort(np.where(orders < n_ranked, -boosted, np.inf), axis=1, kind="stable")
    pins = np.full((n_users, len(rules.pins)), NO_ITEM, dtype=answer.items.dtype)  # the ranking may lack them
    positions = np.full((n_users, k), -1)
    for row, (ranking, order) in enumerate(zip(answer.items, orders, strict=True)):
        quota = Quota(rules, query.list_excluded.row(row))
        pins[row, : len(quota.pins)] = list(quota.pins.values())
        listed = _fill_ranks(quota, np.append(ranking, pins[row]), order, rules.after + k)[rules.after :]
        positions[row, : len(listed)] = listed

    def take(table: np.ndarray, of_pins: np.ndarray, empty: float) -> np.ndarray:
        """Return the entries at the positions; -1 selects an appended empty column."""
        padded = np.pad(np.append(table, of_pins, axis=1), ((0, 0), (0, 1)), constant_values=empty)
        return np.take_along_axis(padded, positions, axis=1)

    items = take(answer.items, pins, NO_ITEM)
    is_pinned = np.isin(items, list(rules.pins.values()))
    is_ranked = (items >= 0) & ((positions < n_ranked) | is_pinned)
    return replace(
        answer,
        items=items,
        scores=take(answer.scores, np.zeros(pins.shape, np.float32), 0),
        n_ranked=np.where(is_ranked, np.arange(1, k + 1), 0).max(axis=1),
        propensities=take(answer.propensities, np.ones(pins.shape, np.float32), 1),
    )


def _fill_ranks(quota: Quota, ranking: np.ndarray, order: np.ndarray, n: int) -> list[int]:
    """Return the positions in a ranking of up to n items to list, given its positions in order of preference."""
    listed = list[int]()
    for position, item in zip(order.tolist(), ranking[order].tolist(), strict=True):
        if len(listed) == n:
            break
        if item >= 0 and quota.open[item]:
            quota.take(item)
            listed.append(position)
    for rank, item in sorted(quota.pins.items()):
        listed.insert(rank, int(np.flatnonzero(ranking == item)[0]))  # a pin behind the last rank comes last
    return listed[:n]
