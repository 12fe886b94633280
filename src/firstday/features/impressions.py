"""Impressions: items shown to a user, and the probability that the user saw an item and passed it over."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any

import numpy as np
import polars as pl

from firstday.config import SignalConfig
from firstday.data.dataset import Dataset
from firstday.data.events import Pair
from firstday.embed.embeddings import select_uses
from firstday.errors import DataError
from firstday.sparse import SparseRows, union_rows


@dataclass(frozen=True, slots=True)
class Impression:
    """One item in one list shown to a user.

    Parameters
    ----------
    item_id
        The caller's id.
    position
        Position in the list, from 1; None if the user certainly saw the item.
    list_id
        Id of the list; None if the item was shown alone.
    propensity
        Probability that the policy shows the item at this position given the positions above, in (0, 1]; None if
        unknown.
    policy
        Policy that made the list, such as ``explore``; None if unknown.
    """

    item_id: Any
    position: int | None = None
    list_id: str | None = None
    propensity: float | None = None
    policy: str | None = None

    @classmethod
    def read(cls, value: Any, where: str) -> Impression:
        """Parse an impression from an item id, ``[item_id, position]`` or an object with the names above.

        Raises
        ------
        DataError
            The value has none of these forms, or an invalid field; the message begins with `where`.
        """
        if isinstance(value, Mapping):
            check_names(value, [field.name for field in fields(cls)], "item_id", where)
            read = cls(**value)
        elif isinstance(value, list | tuple) and len(value) == 2:
            read = cls(*value)
        else:
            read = value if isinstance(value, cls) else cls(value)
        position, propensity = read.position, read.propensity
        check_single(f"{where}: item_id", read.item_id)
        if position is not None and (type(position) is not int or position < 1):
            raise DataError(f"{where}: position is {position!r}; give a whole number from 1, or leave it out.")
        if propensity is not None and not (isinstance(propensity, Real) and 0 < propensity <= 1):
            raise DataError(f"{where}: propensity is {propensity!r}; give a number above 0, at most 1.")
        return read


def check_single(where: str, value: Any) -> None:
    """Reject None and collections where an id or a profile value is expected."""
    if value is None or isinstance(value, Mapping | list | tuple):
        raise DataError(f"{where}: is {value!r}; give one value.")


def check_names(entry: Mapping[str, Any], names: Collection[str], required: str, where: str) -> None:
    """Reject an object with unknown names or without the required one."""
    unknown = [name for name in entry if name not in names]
    if unknown or entry.get(required) is None:
        what = f"has an unknown field {unknown[0]!r}" if unknown else f"has no {required}"
        raise DataError(f"{where}: {what}; give an object with {', '.join(names)}.")


def weigh_rows(
    users: np.ndarray,
    lists: np.ndarray,
    items: np.ndarray,
    positions: np.ndarray,
    is_used: np.ndarray,
    persistence: float,
    shape: tuple[int, int],
) -> SparseRows:
    """Return the probability that each user saw each item and passed it over, in (0, 1], shape (n_users, n_items).

    Cascade model: a user reads a list from the top and continues after each position with probability `persistence`.
    Everything above a used item was seen. A used item is not passed over. An item counts once per list, at its first
    position. The result is bit-identical for any order of the rows.

    Parameters
    ----------
    users, items
        User and item of each impression, int64, shape (n,).
    lists
        List of each impression, int64, shape (n,); -1 for an item shown alone.
    positions
        Position in the list, from 1, int64, shape (n,); 0 or 1 if the user certainly saw the item.
    is_used
        Whether the user uses the item, 0 or 1, shape (n,).
    persistence
        Between 0 and 1; 1: everything shown was seen.
    shape
        (n_users, n_items). Items from n_items on are unknown, and only tell what else was seen.

    References
    ----------
    Cascade with constant continuation probability: N. Craswell et al., "An experimental comparison of click
    position-bias models", WSDM 2008; A. Moffat and J. Zobel, "Rank-biased precision", TOIS 2008.
    """
    if is_used.all():  # or nothing was shown
        return SparseRows.empty(*shape)
    rows = np.stack([users, lists, items, np.maximum(positions, 1) - 1, is_used])
    rows = rows[:, np.lexsort(rows[3::-1])]
    rows = rows[:, _begins(*rows[:3]) | (rows[1] < 0)]  # an item counts once per list
    users, lists, items, place, used = rows
    is_first = _begins(users, lists)
    reached = np.maximum.reduceat(np.where((used > 0) & (lists >= 0), place, 0), np.flatnonzero(is_first))
    beyond = np.maximum(place - reached[np.cumsum(is_first) - 1], 0)
    passed = np.stack([users, items, beyond])[:, used == 0]
    users, items, beyond = passed[:, np.lexsort(passed[::-1])]
    starts = np.flatnonzero(_begins(users, items))
    left = np.multiply.reduceat(1 - np.power(float(persistence), beyond), starts)
    users, items = users[starts], items[starts]
    kept = (left < 1) & (items < shape[1])
    return SparseRows.from_pairs(users[kept], items[kept], (1 - left[kept]).astype(np.float32), *shape)


def _begins(*columns: np.ndarray) -> np.ndarray:
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
    """Return the probability that a dataset's users saw items and passed them over; see `weigh_rows`.

    Parameters
    ----------
    dataset
        Dataset of the users.
    users
        `user_ix` of the users, shape (n,).
    actions
        Interactions, rows in the order of `users`.
    config
        Which signals are uses, and the persistence.
    until
        Microseconds since 1970 UTC, int64, shape (n,): only impressions before this time count, and those without a
        timestamp do not. None: all impressions.

    Returns
    -------
    SparseRows
        Shape (n, n_items); None without impressions.
    """
    if dataset.impressions is None:
        return None
    row_of_user = np.full(len(dataset.users), -1, dtype=np.int64)
    row_of_user[users] = np.arange(len(users))
    n_items = len(dataset.items)
    uses = select_uses(actions, config, len(users), n_items)
    used_cells = uses.row_of_entry() * n_items + uses.columns
    parts = []
    for frame in dataset.impressions.frames():
        chosen = frame.with_columns(row=row_of_user[frame["user_ix"].to_numpy()]).filter(pl.col("row") >= 0)
        if until is not None:
            end = pl.Series(until[chosen["row"].to_numpy()])
            chosen = chosen.filter(pl.col("timestamp").to_physical() < end)
        lists = pl.col("list_id").rank("dense").cast(pl.Int64).fill_null(-1)
        columns = chosen.select("row", lists, "item_ix", "position").cast(pl.Int64)
        rows, of_lists, items, positions = (column.to_numpy() for column in columns)
        is_used = np.isin(rows * n_items + items, used_cells)
        shape = len(users), n_items
        parts.append(weigh_rows(rows, of_lists, items, positions, is_used, config.persistence, shape))
    return union_rows(parts)
