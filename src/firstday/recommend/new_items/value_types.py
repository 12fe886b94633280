"""Whether JSON values of an item have the types of the model's columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl
from pydantic import StrictBool, StrictFloat, StrictInt, StrictStr, TypeAdapter, ValidationError

from firstday.display import shorten
from firstday.recommend.new_items.attributes import ATTRIBUTES

_Text = StrictStr | StrictInt
KINDS: Mapping[Any, tuple[str, TypeAdapter[Any]]] = {
    pl.Boolean: ("true or false", TypeAdapter(StrictBool | None)),
    pl.Float64: ("a number", TypeAdapter(StrictFloat | None)),
    pl.String: ("text", TypeAdapter(StrictStr | None)),
    pl.List: ("a list of texts", TypeAdapter(list[_Text] | _Text | None)),
}
"""What columns of each type take, in words and as a type."""


def check_types(columns: Mapping[str, pl.Series], values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the field and a sentence for each value whose type is not that of the model's column.

    Any column takes null, and one of lists a single text or whole number. `ATTRIBUTES`, and columns that the model
    lacks, are not checked.
    """
    faults = []
    for name in sorted(columns.keys() & values.keys() - ATTRIBUTES.keys()):
        kind, adapter = KINDS[columns[name].dtype.base_type()]
        try:
            adapter.validate_python(values[name])
        except ValidationError:
            faults.append((name, f"is {shorten(values[name])}, but the model's column takes {kind}; convert it"))
    return faults
