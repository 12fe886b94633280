"""Fields of a dataset: how each is read from a column, restricted to some users or items, and joined over parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
import polars as pl

from firstday.data.user_rows import Parts, renumber_users, take_rows
from firstday.tables.schema import EXPIRES_AT, TIME_TEXT, UPDATED

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Operation = Literal["users", "items", "before"]
"""How a field may be restricted: to some users or items, given their new indexes, or to the time before another."""
R = TypeVar("R", bound="DataclassInstance")
Read = Callable[[pl.Series], Any]
Metadata = dict[str, Any]
"""Metadata of a field: a function of the value for each operation, ``join`` for `join_fields`, and its column."""


def per_user(column: str = "", read: Read | None = None) -> Metadata:
    """Describe an array with an entry for each user, which may be read from a column of `users`."""
    return {"users": take, "join": join_arrays, "column": column, "read": read}


def per_item(column: str = "", read: Read | None = None) -> Metadata:
    """Describe a sequence with an entry for each item, which may be read from a column of `items`."""
    return {"items": take, "column": column, "read": read}


def read_columns(kind: type, operation: Operation, table: pl.DataFrame) -> dict[str, Any]:
    """Read the fields with an entry for each user or item from those columns that a table in index order has."""
    declared = {f.name: f.metadata for f in fields(kind) if operation in f.metadata}
    return {
        name: how["read"](table[how["column"]]) for name, how in declared.items() if how.get("column") in table.columns
    }


def restrict(record: R, operation: Operation, by: Any) -> R:
    """Apply an operation to all fields of a record that declare it; fields that are None stay None.

    `by` is a time, or has the new index of each user or item, -1 for those to drop.
    """
    changes = {}
    for declared in fields(record):
        value = getattr(record, declared.name)
        if value is not None and operation in declared.metadata:
            changes[declared.name] = declared.metadata[operation](value, by)
    return replace(record, **changes)


def join_fields(records: Sequence[Any], new_ix: Sequence[np.ndarray]) -> dict[str, Any]:
    """Join the fields of records with disjoint users, except those that are None in all."""
    n_users = sum(map(len, new_ix))
    joined = {}
    for declared in fields(records[0]):
        values = [getattr(record, declared.name) for record in records]
        parts = [(value, ix) for value, ix in zip(values, new_ix, strict=True) if value is not None]
        if parts and "join" in declared.metadata:
            joined[declared.name] = declared.metadata["join"](parts, n_users)
    return joined


def take(value: Any, new_ix: np.ndarray) -> Any:
    """Select the entries of some users or items; for the kinds of values see `take_rows`."""
    return take_rows(value, np.flatnonzero(new_ix >= 0))


def join_arrays(parts: Parts, n_users: int) -> np.ndarray:
    """Join arrays, with -1 for users without an entry."""
    first, _ = parts[0]
    joined = np.full((n_users, *first.shape[1:]), -1, first.dtype)
    for array, ix in parts:
        joined[ix] = array
    return joined


def _join_tables(parts: Parts, _: int) -> pl.DataFrame:
    tables = [renumber_users(table, ix) for table, ix in parts]
    return pl.concat(tables).sort("user_ix", maintain_order=True)


USER_TABLE: Metadata = {"users": renumber_users, "join": _join_tables}
"""A data frame with the column `user_ix`, in ascending order."""


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


def find_item_columns(items: pl.DataFrame) -> dict[str, pl.Series]:
    """Return the item columns that filters can read, with times as text."""
    table = items.with_columns(pl.col(f"^(added_at|{EXPIRES_AT})$").dt.strftime(TIME_TEXT))
    return {
        column.name: column for column in table.drop("item_id", "title", "description", "vector", UPDATED, strict=False)
    }


def fill_lists(columns: Mapping[str, pl.Series]) -> dict[str, pl.Series]:
    """Return columns with empty lists in place of missing ones."""
    return {name: column.fill_null([]) if column.dtype == pl.List else column for name, column in columns.items()}
