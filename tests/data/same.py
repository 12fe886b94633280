"""Whether two datasets are the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import polars as pl

from firstday.data.dataset import Dataset
from firstday.data.user_rows import UserRows


def assert_equal(one: Dataset, other: Dataset) -> None:
    """Every field is the same, except for the name and what was said while loading, however rows are divided."""
    for field in fields(one):
        if field.name not in ("name", "notes", "left_out"):
            _same(getattr(one, field.name), getattr(other, field.name), field.name)


def _same(one: Any, other: Any, where: str) -> None:
    assert type(one) is type(other), where
    if isinstance(one, UserRows):
        assert one.whole().equals(other.whole()), where
    elif is_dataclass(one):
        for field in fields(one):
            _same(getattr(one, field.name), getattr(other, field.name), f"{where}.{field.name}")
    elif isinstance(one, Mapping):
        assert one.keys() == other.keys(), where
        for name in one:
            _same(one[name], other[name], f"{where}.{name}")
    elif isinstance(one, np.ndarray):
        np.testing.assert_array_equal(one, other, where, strict=True)
    else:
        assert one.equals(other) if isinstance(one, pl.Series | pl.DataFrame) else one == other, where
