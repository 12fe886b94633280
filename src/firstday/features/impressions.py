"""Impressions: what was shown to a user, and how likely the user saw it and passed it over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any

import numpy as np
import polars as pl

from firstday.config import SignalConfig
from firstday.data.dataset import Dataset
from firstday.data.events import ITEM, Pair
from firstday.errors import DataError
from firstday.sparse import SparseRows

NOTHING = np.zeros(0, dtype=np.int64)


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
        if type(value) is cls:
            read = value
            place, chance = read.position, read.propensity
            if (  # as a store gives them, which is nearly always: checked in the fewest steps
                type(read.item_id) in (str, int)
                and (place is None or (type(place) is int and place >= 1))
                and (chance is None or (type(chance) is float and 0 < chance <= 1))
            ):
                return read
        elif isinstance(value, Mapping):
            names = [field.name for field in fields(cls)]
            unknown = [name for name in value if name not in names]
            if unknown or value.get("item_id") is None:
                what = f"has an unknown {unknown[0]!r}" if unknown else "has no item_id"
                raise DataError(f"{where}: {what}; give an object of {', '.join(names)}.")
            read = cls(**value)
        elif isinstance(value, list | tuple):
            if len(value) != 2:
                raise DataError(
                    f'{where}: is {value!r}; give an item\'s id or [item_id, position], such as ["i81", 1].'
                )
            read = cls(*value)
        else:
            read = cls(value)
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


def weigh_impressions(
    rows: Sequence[tuple[int, Impression, bool]], persistence: float
) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Return how likely users saw each item and passed it over; see `weigh_rows`.

    Parameters
    ----------
    rows
        For each impression: the number of the user, the impression, and whether the user uses the item.
    persistence
        See `weigh_rows`.

    Returns
    -------
    users : numpy.ndarray
        int64, shape (n,), ascending.
    items : list of str
        Ids as text.
    weights : numpy.ndarray
        float64, shape (n,).
    """
    lists: dict[str, int] = {}
    items: dict[str, int] = {}
    numbers = [
        (
            user,
            -1 if entry.list_id is None else lists.setdefault(str(entry.list_id), len(lists)),
            items.setdefault(str(entry.item_id), len(items)),
            entry.position or 1,
            is_used,
        )
        for user, entry, is_used in rows
    ]
    user_rows, list_codes, codes, positions, is_used = np.array(numbers, dtype=np.int64).reshape(-1, 5).T
    users, item_codes, weights = weigh_rows(user_rows, list_codes, codes, positions, is_used, persistence)
    names = list(items)
    return users, [names[code] for code in item_codes.tolist()], weights


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
    if not len(users):
        return users, items, np.zeros(0)
    place = np.maximum(positions, 1) - 1
    order = np.lexsort((place, items, lists, users))
    users, lists, items, place, is_used = users[order], lists[order], items[order], place[order], is_used[order] != 0
    is_again = ~_begins(users, lists, items) & (lists >= 0)
    if is_again.any():
        users, lists, items, place, is_used = (of[~is_again] for of in (users, lists, items, place, is_used))
    is_first = _begins(users, lists)
    reached = np.maximum.reduceat(np.where(is_used & (lists >= 0), place, 0), np.flatnonzero(is_first))
    beyond = np.maximum(place - reached[np.cumsum(is_first) - 1], 0)
    users, items, beyond = users[~is_used], items[~is_used], beyond[~is_used]
    if not len(users):
        return users, items, np.zeros(0)
    order = np.lexsort((beyond, items, users))
    users, items, unseen = users[order], items[order], 1 - np.power(float(persistence), beyond[order])
    starts = np.flatnonzero(_begins(users, items))
    left = np.multiply.reduceat(unseen, starts)
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
    uses = [rows for (signal, entity), rows in actions.items() if entity == ITEM and signal in config.use]
    used_cells = np.concatenate([rows.row_of_entry() * n_items + rows.columns for rows in uses] or [NOTHING])
    parts = []
    for frame in dataset.impressions.frames():
        rows = row_of_user[frame["user_ix"].to_numpy()]
        counts = rows >= 0
        if until is not None:
            moment = frame["timestamp"].to_physical()
            counts &= moment.is_not_null().to_numpy() & (moment.fill_null(0).to_numpy() < until[rows])
        lists = frame["list_id"].rank("dense").cast(pl.Int64).fill_null(-1).to_numpy()
        items, positions = frame["item_ix"].to_numpy().astype(np.int64), frame["position"].to_numpy().astype(np.int64)
        rows, lists, items, positions = rows[counts], lists[counts], items[counts], positions[counts]
        is_used = np.isin(rows * n_items + items, used_cells)
        parts.append(weigh_rows(rows, lists, items, positions, is_used, config.persistence))
    rows, items, weights = (np.concatenate(column) for column in zip(*parts, strict=True))
    return SparseRows.from_pairs(rows, items, weights.astype(np.float32), len(users), n_items)
