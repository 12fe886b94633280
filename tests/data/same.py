"""Whether two datasets, or other values made of arrays, are the same."""

from __future__ import annotations

from collections import Counter
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
            assert_same(getattr(one, field.name), getattr(other, field.name), field.name)


def assert_same(one: Any, other: Any, where: str = "") -> None:
    """Every array and every field is the same."""
    assert type(one) is type(other), where
    if isinstance(one, UserRows):
        assert one.whole().equals(other.whole()), where
    elif is_dataclass(one):
        for field in fields(one):
            assert_same(getattr(one, field.name), getattr(other, field.name), f"{where}.{field.name}")
    elif isinstance(one, Mapping) and not isinstance(one, Counter):
        assert one.keys() == other.keys(), where
        for name in one:
            assert_same(one[name], other[name], f"{where}.{name}")
    elif isinstance(one, np.ndarray):
        np.testing.assert_array_equal(one, other, where, strict=True)
    elif isinstance(one, tuple):
        assert len(one) == len(other), where
        for number, pair in enumerate(zip(one, other, strict=True)):
            assert_same(*pair, f"{where}[{number}]")
    else:
        assert one.equals(other) if isinstance(one, pl.Series | pl.DataFrame) else one == other, where
