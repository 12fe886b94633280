"""Whether two datasets, or other values made of arrays, are the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from firstday.data.dataset import Dataset
from firstday.data.user_rows import UserRows


def assert_equal(one: Dataset, other: Dataset) -> None:
    """Every field is the same, except for the name and what was said while loading, however rows are divided."""
    said: dict[str, Any] = {"name": "", "notes": (), "left_out": ()}
    assert_same(replace(one, **said), replace(other, **said), "dataset")


def parts_of(value: Any) -> Mapping[Any, Any] | None:
    """Return the fields or entries of a value; None for an array or a single value."""
    if isinstance(value, UserRows):
        return {"rows": value.whole()}
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, tuple):
        return dict(enumerate(value))
    return value if type(value) is dict else None


def assert_same(one: Any, other: Any, where: str = "") -> None:
    """Every array and every field is the same."""
    assert type(one) is type(other), where
    parts = parts_of(one)
    others = parts_of(other)
    if isinstance(one, np.ndarray):
        np.testing.assert_array_equal(one, other, where, strict=True)
    elif isinstance(one, pl.Series | pl.DataFrame):
        assert one.equals(other), where
    elif parts is None or others is None:
        assert one == other, where
    else:
        assert parts.keys() == others.keys(), where
        for name, part in parts.items():
            assert_same(part, others[name], f"{where}.{name}")
