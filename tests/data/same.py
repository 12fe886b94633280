"""Whether two datasets are the same."""

from __future__ import annotations

from dataclasses import fields, is_dataclass

import numpy as np

from firstday.data.dataset import Dataset
from firstday.data.events import Events


def assert_equal(one: Dataset, other: Dataset) -> None:
    """Every field is the same, except for the name and what is said of the reading."""
    for field in fields(one):
        if field.name not in {"notes", "left_out", "name"}:
            assert _are_same(getattr(one, field.name), getattr(other, field.name)), field.name


def _are_same(one: object, other: object) -> bool:
    if isinstance(one, Events) and isinstance(other, Events):
        return _are_same((one.pairs, one.whole()), (other.pairs, other.whole()))
    if is_dataclass(one):
        return type(one) is type(other) and all(
            _are_same(getattr(one, field.name), getattr(other, field.name)) for field in fields(one)
        )
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(_are_same(one[k], other[k]) for k in one)
    if isinstance(one, tuple):
        return isinstance(other, tuple) and len(one) == len(other) and all(map(_are_same, one, other))
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and np.array_equal(one, other)
    return bool(one.equals(other)) if hasattr(one, "equals") else one == other
