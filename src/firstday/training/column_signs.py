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
    items = pl.Series(dataset.items.lookup(catalogue.items.values))
    is_known = items >= 0
    known = items.filter(is_known)
    signs = {}
    for name, column in catalogue.columns.items() if len(known) >= MIN_ITEMS else ():
        before = column.filter(is_known)
        now = dataset.columns.get(name)
        after = now.gather(known) if now is not None and now.dtype == column.dtype else before.clear(len(known))
        signs[f"{COLUMN}{name}"] = _share_alike(before, after)
    return signs


def _share_alike(before: pl.Series, after: pl.Series) -> float:
    """Return the share of items whose value is as it was."""
    if before.dtype == pl.List:
        before, after = (lists.list.sort().list.join("|") for lists in (before, after))
    is_alike = before.eq_missing(after)
    if before.dtype == pl.Float64:
        ordered = np.sort(before.to_numpy())
        ranks = [np.searchsorted(ordered, numbers.to_numpy()) for numbers in (before, after)]
        is_alike |= pl.Series(np.abs(np.subtract(*ranks)) <= NEAR * len(ordered))
    elif before.dtype == pl.String and before.str.contains(DAY).all():
        is_alike |= (after > before.max()).fill_null(False)
    return float(is_alike.to_numpy().mean())
