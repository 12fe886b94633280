"""Signs that a column of items is damaged: the share of items whose value is as it was.

Some columns change every night, such as prices and times of updates. So a number is as it was if its rank among the
items is about the same, and so is a time that is later than all before.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from firstday.data.dataset import Dataset
from firstday.features.catalogue import Catalogue
from firstday.tables.categories import DAY

COLUMN = "column "
"""Prefix of these signs, before the name of the column."""
MIN_ITEMS = 20
"""Minimum number of items that the model and the tables have."""
NEAR = 0.1
"""Change of a number's rank, as a share of all items, up to which it is as it was."""


def measure_columns(catalogue: Catalogue, dataset: Dataset) -> dict[str, float]:
    """Return the sign of each column of a model, from 0 to 1; a column that the tables lack has no values."""
    items = dataset.items.lookup(catalogue.items.values)
    is_known = items >= 0
    n_known = int(is_known.sum())
    if n_known < MIN_ITEMS:
        return {}
    signs = {}
    for name, column in catalogue.columns.items():
        before = column.filter(pl.Series(is_known))
        after = pl.repeat(None, n_known, dtype=column.dtype, eager=True)
        if name in dataset.columns and dataset.columns[name].dtype == column.dtype:
            after = dataset.columns[name].gather(pl.Series(items[is_known]))
        signs[f"{COLUMN}{name}"] = float(_are_as_before(before, after).mean())
    return signs


def _are_as_before(before: pl.Series, after: pl.Series) -> np.ndarray:
    """Return whether the value of each item is as it was, bool, shape (n,)."""
    if before.dtype == pl.List:
        before, after = (lists.list.sort().list.join("|") for lists in (before, after))
    is_same = before.eq_missing(after)
    if before.dtype == pl.Float64:
        is_same |= pl.Series(np.abs(_rank(before, before) - _rank(after, before)) <= NEAR)
    elif before.dtype == pl.String and before.str.contains(DAY).all():
        is_same |= (after > before.max()).fill_null(False)
    return is_same.to_numpy()


def _rank(values: pl.Series, among: pl.Series) -> np.ndarray:
    """Return the ranks of numbers among others, from 0 to 1, NaN if missing, shape (n,)."""
    ordered = np.sort(among.drop_nulls().to_numpy())
    first, end = (np.searchsorted(ordered, values.to_numpy(), side) for side in ("left", "right"))
    return np.where(values.is_null(), np.nan, (first + end) / (2 * max(1, len(ordered))))
