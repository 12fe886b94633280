"""Fields of a dataset: how each is read from a column, restricted to some users or items, and joined over parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import polars as pl

from firstday.data.user_rows import renumber, renumber_users, take_rows

Operation = Literal["users", "items", "before"]
"""How a field may be restricted: to some users or items, given as a `Selection`, or to the time before another."""
Read = Callable[[pl.Series], Any]
Metadata = dict[str, Any]
"""Metadata of a field: a function of the value for each operation, ``join`` for `join_fields`, and its column."""


@dataclass(frozen=True, eq=False)
class Selection:
    """Some of `n` users or items: their indexes, ascending."""

    rows: np.ndarray
    n: int

    @cached_property
    def new_ix(self) -> np.ndarray:
        """New index of each user or item, -1 for those to drop, int32, shape (n,)."""
        return renumber(self.rows, self.n)


def per_user(column: str = "", read: Read | None = None) -> Metadata:
    """Describe an array with an entry for each user, which may be read from a column of `users`."""
    return {"users": take, "join": _join_arrays, "column": column, "read": read}


def per_item(column: str = "", read: Read | None = None) -> Metadata:
    """Describe a sequence with an entry for each item, which may be read from a column of `items`."""
    return {"items": take, "column": column, "read": read}


def user_table() -> Metadata:
    """Describe a data frame with the column `user_ix`, in ascending order."""
    return {"users": lambda table, selection: _renumber(table, selection.new_ix), "join": _join_tables}


def read_columns(kind: type, operation: Operation, table: pl.DataFrame) -> dict[str, Any]:
    """Read the fields with an entry for each user or item from those columns that a table in index order has."""
    declared = {f.name: f.metadata for f in fields(kind) if operation in f.metadata}
    return {
        name: how["read"](table[how["column"]]) for name, how in declared.items() if how.get("column") in table.columns
    }


def restrict(record: Any, operation: Operation, by: Any) -> Any:
    """Apply an operation to all fields of a record that declare it; fields that are None stay None."""
    changes = {}
    for declared in fields(record):
        value = getattr(record, declared.name)
        if value is not None and operation in declared.metadata:
            changes[declared.name] = declared.metadata[operation](value, by)
    return replace(record, **changes)


def join_fields(records: Sequence[Any], new_ix: Sequence[np.ndarray]) -> dict[str, Any]:
    """Join the fields of records with disjoint users, given the new index of each record's users, int32, shape (n,).

    A field that is None in all records stays None.
    """
    joined = {}
    for declared in fields(records[0]):
        values = [getattr(record, declared.name) for record in records]
        if "join" in declared.metadata and any(value is not None for value in values):
            joined[declared.name] = declared.metadata["join"](values, new_ix)
    return joined


def take(value: Any, selection: Selection) -> Any:
    """Select the entries of some users or items; for the kinds of values see `take_rows`."""
    return take_rows(value, selection.rows)


def _renumber(table: pl.DataFrame, new_ix: np.ndarray) -> pl.DataFrame:
    return next(renumber_users([table], new_ix))


def _join_arrays(values: Sequence[np.ndarray | None], new_ix: Sequence[np.ndarray]) -> np.ndarray:
    """Concatenate arrays in the order of the new indexes, with -1 for the users of an absent one."""
    dtype = next(value.dtype for value in values if value is not None)
    arrays = [np.full(len(ix), -1, dtype) if value is None else value for value, ix in zip(values, new_ix, strict=True)]
    return np.concatenate(arrays)[np.argsort(np.concatenate(new_ix))]


def _join_tables(values: Sequence[pl.DataFrame | None], new_ix: Sequence[np.ndarray]) -> pl.DataFrame:
    """Concatenate the tables of all users, sorted by user."""
    tables = [_renumber(value, ix) for value, ix in zip(values, new_ix, strict=True) if value is not None]
    return pl.concat(tables).sort("user_ix", maintain_order=True)


def as_texts(values: pl.Series) -> tuple[str, ...]:
    """Convert texts, "" if missing."""
    return tuple(values.fill_null(""))


def as_microseconds(times: pl.Series) -> np.ndarray:
    """Convert times to microseconds since 1970 UTC, int64, -1 if missing."""
    return times.to_physical().fill_null(-1).to_numpy().copy()


def as_ages(values: pl.Series) -> np.ndarray | None:
    """Convert ages to int16, -1 if missing; None if all are."""
    return values.fill_null(-1).cast(pl.Int16).to_numpy().copy() if values.count() else None


def as_vectors(values: pl.Series) -> np.ndarray | None:
    """Convert vectors of the same length d to float32, shape (n, d), NaN if missing; None if all are."""
    given = values.drop_nulls()
    return place_vectors(given, np.flatnonzero(values.is_not_null()), len(values)) if len(given) else None


def place_vectors(given: pl.Series, rows: np.ndarray, n: int, dimensions: int = -1) -> np.ndarray:
    """Return the given vectors in their rows, float32, shape (n, d), without those of row -1; other rows are NaN."""
    numbers = given.explode().to_numpy().astype(np.float32).reshape(len(given), dimensions)
    vectors = np.full((n, numbers.shape[1]), np.nan, dtype=np.float32)
    vectors[rows[rows >= 0]] = numbers[rows >= 0]
    return vectors
