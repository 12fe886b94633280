"""Impressions: items shown to a user, and the probability that the user passed them over (saw but did not use them)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import numpy as np
import polars as pl

from firstday.config import SignalConfig
from firstday.data.dataset import Dataset
from firstday.data.events import Pair
from firstday.data.user_rows import renumber, renumber_users
from firstday.embed.embeddings import select_uses
from firstday.sparse import SparseRows, union_rows


def infer_passed_over(
    users: np.ndarray,
    lists: np.ndarray,
    items: np.ndarray,
    positions: np.ndarray,
    is_used: np.ndarray,
    persistence: float,
    shape: tuple[int, int],
    visits: np.ndarray | None = None,
) -> SparseRows:
    """Return the probability that each user passed over each item, in (0, 1], shape (n_users, n_items).

    Cascade model: a user reads each list, independently, from the top, and continues after each position with
    probability `persistence`. All items above a used item were seen. Used items are not passed over. An item counts
    once per visit, in the list where it was most likely seen, at its first position there. The order of the rows does
    not matter. (N. Craswell et al., "An experimental comparison of click position-bias models", WSDM 2008; A. Moffat
    and J. Zobel, "Rank-biased precision", TOIS 2008.)

    The arrays, integers of shape (n,), have an entry per impression. `lists` are -1 for items not shown in a list, and
    `positions` below 2 for items certainly seen. `shape` is (n_users, n_items); item numbers from n_items on are
    unknown items, which have no column: if one is used, the items above it were seen. `visits` are numbers from 0 on,
    -1 if unknown: then each list is a visit.
    """
    if is_used.all():  # also if nothing was shown
        return SparseRows.empty(*shape)
    visits = np.full(len(users), -1) if visits is None else visits
    users, items, n_below = _find_not_used(users, lists, items, positions, is_used, visits)
    starts = np.flatnonzero(_is_first(users, items))
    unseen = np.multiply.reduceat(1 - np.power(float(persistence), n_below), starts)
    is_passed = (unseen < 1) & (items[starts] < shape[1])
    starts = starts[is_passed]
    seen = (1 - unseen[is_passed]).astype(np.float32)
    return SparseRows.from_pairs(users[starts], items[starts], seen, *shape)


def _find_not_used(
    users: np.ndarray,
    lists: np.ndarray,
    items: np.ndarray,
    positions: np.ndarray,
    is_used: np.ndarray,
    visits: np.ndarray,
) -> np.ndarray:
    """Return user, item, and ranks below the last used item, of each item of a visit that was not used, sorted."""
    lists = np.where(lists < 0, -1 - np.arange(len(lists)), lists)  # an item without a list is a list of its own
    visits = np.where(visits < 0, lists.min() - 1 - lists, visits)
    rows = np.stack([users, lists, items, np.maximum(positions, 1) - 1, is_used, visits])
    rows = rows[:, np.lexsort(rows[3::-1])]
    users, lists, items, position, is_used, visits = rows[:, _is_first(*rows[:3])]
    is_first = _is_first(users, lists)
    last_seen = np.maximum.reduceat(position * is_used, np.flatnonzero(is_first))
    n_below = np.maximum(position - last_seen[np.cumsum(is_first) - 1], 0)
    not_used = np.stack([users, items, visits, n_below])[:, is_used == 0]
    not_used = not_used[:, np.lexsort(not_used[::-1])]
    of_visits = not_used[:, _is_first(*not_used[:3])][[0, 1, 3]]
    return of_visits[:, np.lexsort(of_visits[::-1])]


def _is_first(*columns: np.ndarray) -> np.ndarray:
    """Return which sorted rows differ from the previous row, bool, shape (n,)."""
    begins = np.ones(len(columns[0]), dtype=bool)
    begins[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    return begins


def collect_passed_over(
    dataset: Dataset,
    users: np.ndarray,
    actions: Mapping[Pair, SparseRows],
    config: SignalConfig,
    until: np.ndarray | None = None,
) -> SparseRows | None:
    """Return the probability that users of a dataset passed over items, shape (n, n_items); None without impressions.

    `users` are the `user_ix`, shape (n,), and `actions` their interactions. `until` is the exclusive end of each user's
    impressions, in microseconds since 1970 UTC, int64, shape (n,), before which a visit must be over; None: all count.
    See `infer_passed_over`.
    """
    if dataset.impressions is None:
        return None
    shape = len(users), len(dataset.items)
    uses = select_uses(actions, config, *shape)
    used_cells = uses.row_of_entry() * shape[1] + uses.columns
    parts = []
    begins = pl.col("timestamp").diff() >= timedelta(minutes=config.visit_minutes)
    number = pl.when(pl.col("timestamp").is_not_null()).then(begins.fill_null(False).cum_sum())
    new_ix = renumber(users, len(dataset.users))
    for shown in dataset.impressions.frames():
        frame = renumber_users(shown, new_ix)
        if until is not None:
            end = pl.Series(until[frame["user_ix"].to_numpy()])
            frame = frame.with_columns(end=end).filter(pl.col("timestamp").to_physical() < pl.col("end"))
        frame = frame.with_columns(visit=number.over("user_ix", order_by="timestamp"))
        if until is not None:
            last = pl.col("timestamp").max().over("user_ix", "visit").to_physical()
            frame = frame.filter(last <= pl.col("end") - 6e7 * config.visit_minutes)
        columns = frame.select("user_ix", pl.col("list_id").rank("dense"), "item_ix", "position", "visit")
        rows, lists, items, positions, visits = (column.to_numpy() for column in columns.cast(pl.Int64).fill_null(-1))
        is_used = np.isin(rows * shape[1] + items, used_cells)
        parts.append(infer_passed_over(rows, lists, items, positions, is_used, config.persistence, shape, visits))
    return union_rows(parts)
