"""Whether JSON values of an item have the types of the model's columns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import polars as pl

from firstday.recommend.new_items.attributes import ATTRIBUTES
from firstday.recommend.rules.filters import TYPES, list_values


def check_types(columns: Mapping[str, pl.Series], values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the field, and what is wrong with it, of each value whose type is not that of the model's column.

    A list column takes a text, a whole number, or a list of them, and any column null. `ATTRIBUTES`, and columns that
    the model lacks, are not checked.
    """
    faults = []
    for name in columns.keys() & values.keys() - ATTRIBUTES.keys():
        value = values[name]
        column = columns[name]
        if value is not None and not fits(value, column.dtype):
            _, known = list_values(column)
            kind = TYPES[known.dtype.base_type()]
            kind = f"lists of {kind}" if column.dtype == pl.List else kind
            examples = f" such as {json.dumps(known[0], ensure_ascii=False)[:50]}" if len(known) else ""
            given = json.dumps(value, ensure_ascii=False, default=str)[:50]
            expected = f"the model's column has values of type {kind}{examples}"
            faults.append((name, f"is {given}, but {expected}; send that type, or null."))
    return sorted(faults)


def fits(value: Any, dtype: pl.DataType) -> bool:
    """Return whether a value, which is not None, may be in a column of a type."""
    if isinstance(value, bool):
        return dtype == pl.Boolean
    if dtype == pl.List:
        parts = value if isinstance(value, list) else [value]
        return all(isinstance(one, str | int) and not isinstance(one, bool) for one in parts)
    return isinstance(value, str) if dtype == pl.String else dtype == pl.Float64 and isinstance(value, int | float)
