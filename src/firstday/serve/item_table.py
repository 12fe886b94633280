"""The table `items` of new items, from their stored values."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from itertools import chain
from typing import Any

import polars as pl

from firstday.serve.store.records import ItemUse, NewItem

COLUMNS: Mapping[str, pl.DataType] = {
    "item_id": pl.String(),
    "title": pl.String(),
    "description": pl.String(),
    "vector": pl.List(pl.Float32),
    "added_at": pl.Datetime("us", "UTC"),
    "n_shown": pl.Float64(),
    "n_used": pl.Float64(),
}


def to_table(
    items: Mapping[str, NewItem], use: ItemUse, types: Mapping[str, pl.DataType] | None = None
) -> pl.DataFrame:
    """Return items with columns of some types, in which other values are null, or with all columns that they have."""
    rows = [
        {
            **one.values,
            "item_id": item_id,
            "added_at": datetime.fromisoformat(one.values["added_at"]),
            "n_shown": use.shown.get(item_id, 0),
            "n_used": use.used.get(item_id, 0),
        }
        for item_id, one in items.items()
    ]
    names = dict.fromkeys(chain.from_iterable(rows))
    table = []
    for name, dtype in {**(names if types is None else types), **COLUMNS}.items():
        values = [row.get(name) for row in rows]
        if dtype == pl.List(pl.String) or (dtype is None and any(isinstance(value, list) for value in values)):
            values = [value if value is None else as_list(value) for value in values]
        table.append(pl.Series(name, values, dtype=dtype, strict=False))
    return pl.DataFrame(table)


def as_list(value: Any) -> list[str]:
    """Return the texts of a value, which may be a list."""
    return list(map(str, value if isinstance(value, list) else [value]))
