"""Impressions: what was shown to a user, and how likely the user saw it and passed it over."""

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
from firstday.sparse import SparseRows


@dataclass(frozen=True, slots=True)
class Impression:
    """One item in one list that was shown to a user.

    Parameters
    ----------
    item_id
        The caller's id.
    position
        Its place in the list, from 1; None where it is certain that the user saw it.
    list_id
        Of the list; None where the item was shown alone.
    propensity
        How likely the policy was to show it there, given the places above it, above 0 and at most 1; None where nobody
        knows.
    policy
        What made the list, such as ``explore``; None where nobody knows.
    """

    item_id: Any
    position: int | None = None
    list_id: str | None = None
    propensity: float | None = None
    policy: str | None = None

    @classmethod
    def read(cls, value: Any, where: str) -> Impression:
        """Read an impression from an item's id, ``[item_id, position]`` or an object with the names above.

        Raises
        ------
        DataError
            It is none of these, or a part of it cannot be; `where` begins the sentence.
        """
        if isinstance(value, cls):
            read = value
        elif isinstance(value, Mapping):
            check_names(value, [field.name for field in fields(cls)], "item_id", where)
            read = cls(**value)
        elif isinstance(value, list | tuple) and len(value) != 2:
            raise DataError(f'{where}: is {value!r}; give an item\'s id or [item_id, position], such as ["i81", 1].')
        else:
            read = cls(*value) if isinstance(value, list | tuple) else cls(value)
        if read.item_id is None or isinstance(read.item_id, Mapping | list | tuple):
            raise DataError(f"{where}: item_id is {read.item_id!r}; give an item's id.")
        position, propensity = read.position, read.propensity
        if position is not None and (isinstance(position, bool) or not isinstance(position, int) or position < 1):
            raise DataError(f"{where}: position is {position!r}; give a whole number from 1, or leave it out.")
        if propensity is not None and (
            isinstance(propensity, bool) or not isinstance(propensity, Real) or not 0 < propensity <= 1
        ):
            raise DataError(
                f"{where}: propensity is {propensity!r}; give a number above 0, at most 1, or leave it out."
            )
        return read


def check_names(entry: Mapping[str, Any], names: Collection[str], required: str, where: str) -> None:
    """Refuse an object that has other parts than these, or not the required one."""
    unknown = [name for name in entry if name not in names]
    if unknown or entry.get(required) is None:
        what = f"has an unknown {unknown[0]!r}" if unknown else f"has no {required}"
        raise DataError(f"{where}: {what}; give an object of {', '.join(names)}.")


def weigh_rows(
    users: np.ndarray,
    lists: np.ndarray,
    items: np.ndarray,
    positions: np.ndarray,
    is_used: np.ndarray,
    persistence: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return how likely each user saw each item and passed it over, above 0 and at most 1.

    A user looks at a list from the top, and after each place goes on to the next with the probability `persistence`.
    What stands above something used was seen. What was used is not passed over. A list shows an item once, at its
    first place. The order of the rows changes nothing, to the last bit.

    Parameters
    ----------
    users, items
        int64, shape (n,): of each impression.
    lists
        int64, shape (n,): -1 for an item that was shown alone.
    positions
        int64, shape (n,): the place in the list, from 1; 0 or 1 where it is certain that the user saw it.
    is_used
        Shape (n,), 0 or 1: whether the user uses the item.
    persistence
        Between 0 and 1; 1: all that was shown was seen.

    Returns
    -------
    users, items : numpy.ndarray
        int64, shape (n_pairs,), by user and then item.
    weights : numpy.ndarray
        float64, shape (n_pairs,).

    References
    ----------
    The cascade with a constant chance to go on: N. Craswell et al., "An experimental comparison of click
    position-bias models", WSDM 2008; A. Moffat and J. Zobel, "Rank-biased precision", TOIS 2008.
    """
    if is_used.all():  # or nothing was shown
        return users[:0], items[:0], np.zeros(0)
    rows = np.stack([users, lists, items, np.maximum(positions, 1) - 1, is_used])
    rows = rows[:, np.lexsort(rows[3::-1])]
    rows = rows[:, _begins(*rows[:3]) | (rows[1] < 0)]  # a list shows an item once
    users, lists, items, place, used = rows
    is_first = _begins(users, lists)
    reached = np.maximum.reduceat(np.where((used > 0) & (lists >= 0), place, 0), np.flatnonzero(is_first))
    beyond = np.maximum(place - reached[np.cumsum(is_first) - 1], 0)
    passed = np.stack([users, items, beyond])[:, used == 0]
    users, items, beyond = passed[:, np.lexsort(passed[::-1])]
    starts = np.flatnonzero(_begins(users, items))
    left = np.multiply.reduceat(1 - np.power(float(persistence), beyond), starts)
    kept = left < 1
    return users[starts][kept], items[starts][kept], 1 - left[kept]


def _begins(*columns: np.ndarray) -> np.ndarray:
    """Tell which sorted rows differ from the row before, bool, shape (n,)."""
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
    """Return how likely users of a dataset saw items and passed them over; see `weigh_rows`.

    Parameters
    ----------
    dataset
        The users' dataset.
    users
        Their `user_ix`, shape (n,).
    actions
        What they did, rows in the order of `users`.
    config
        What counts as use, and the persistence.
    until
        Microseconds since 1970 UTC, int64, shape (n,): only what was shown to a user before counts; impressions
        without a time do not. None: all that was shown.

    Returns
    -------
    SparseRows
        Shape (n, n_items); None where nothing was shown to anyone.
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
        parts.append(weigh_rows(rows, of_lists, items, positions, is_used, config.persistence))
    rows, items, weights = (np.concatenate(column) for column in zip(*parts, strict=True))
    return SparseRows.from_pairs(rows, items, weights.astype(np.float32), len(users), n_items)
