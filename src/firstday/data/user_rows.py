"""UserRows: rows partitioned by user, in partitions that fit into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl

from firstday.data.ids import NOT_STORED
from firstday.display import readable

MAX_MEMORY_ROWS = 4_000_000
"""Approximate number of rows per partition. One at a time is loaded and sorted, in about 300 MB of memory."""
NEVER = np.iinfo(np.int64).max
Parts = Sequence[tuple[Any, np.ndarray]]
"""Values for disjoint users, such as `UserRows`, and the new index of each part's users, int32."""


@readable
@dataclass(frozen=True, eq=False)
class UserRows:
    """At least one partition of rows with a column `user_ix`, in ascending order of users; lazy frames scan files."""

    parts: tuple[pl.DataFrame | pl.LazyFrame, ...]
    # Folder of these files; deleted with the last reference to it.
    spool: TemporaryDirectory[str] | None = field(default=None, metadata=NOT_STORED)

    def __len__(self) -> int:
        return int(self.lazy().select(pl.len()).collect().item())

    def __reduce__(self) -> tuple[type[UserRows], tuple[tuple[pl.DataFrame]]]:
        return UserRows, ((self.whole(),),)

    def frames(self) -> Iterator[pl.DataFrame]:
        """Iterate over the partitions, loading one at a time."""
        return (part.lazy().collect() for part in self.parts)

    def lazy(self) -> pl.LazyFrame:
        """Return a lazy frame of all rows."""
        return pl.concat(part.lazy() for part in self.parts)

    def whole(self) -> pl.DataFrame:
        """Load all rows."""
        return self.lazy().collect()

    def map(self, function: Callable[[pl.DataFrame], pl.DataFrame]) -> UserRows:
        """Return the result of a function of each partition, in memory."""
        return UserRows(tuple(map(function, self.frames())))

    def keep_users(self, new_ix: np.ndarray) -> UserRows:
        """Return the rows of some users as one in-memory partition.

        `new_ix` is the new `user_ix` of each user, ascending, -1 for users to drop: int32, shape (n_users,).
        """
        return UserRows((pl.concat(renumber_users(rows, new_ix) for rows in self.frames()),))


def take_rows(value: Any, rows: np.ndarray) -> Any:
    """Select rows of an array, matrix or tuple, or of each one in a mapping, in the given order; None stays None."""
    if isinstance(value, Mapping):
        return {name: take_rows(part, rows) for name, part in value.items()}
    if isinstance(value, tuple):
        return tuple(value[row] for row in rows.tolist())
    if isinstance(value, np.ndarray):
        return value.take(rows, axis=0)
    if isinstance(value, pl.Series):
        return value.gather(rows)
    return None if value is None else value.take(rows)


def renumber(selected: np.ndarray, n: int) -> np.ndarray:
    """Return the new index of each of `n` elements if some are selected, else -1: int32, shape (n,)."""
    new_ix = np.full(n, -1, dtype=np.int32)
    new_ix[selected] = np.arange(len(selected), dtype=np.int32)
    return new_ix


def renumber_users(rows: pl.DataFrame, new_ix: np.ndarray, column: str = "user_ix") -> pl.DataFrame:
    """Replace the indexes in a column by new ones, and drop rows whose new index is -1."""
    indexes = pl.Series(column, new_ix[rows[column].to_numpy()], dtype=pl.Int32)
    return rows.with_columns(indexes).filter(indexes >= 0)


class RowWriter:
    """Accumulates rows in any order and partitions them by user; several partitions are spooled to disk.

    `types` are the types of the columns; the expected `n_rows` determine the number of partitions.
    """

    def __init__(self, types: Mapping[str, pl.DataType], n_users: int, n_rows: int) -> None:
        self._types = types
        n_parts = max(1, min(n_users, ceil(n_rows / MAX_MEMORY_ROWS)))
        self._users_per_part = max(1, ceil(n_users / n_parts))
        self._batches: list[list[pl.LazyFrame]] = [[pl.LazyFrame(schema=types)] for _ in range(n_parts)]
        self._spool = TemporaryDirectory(prefix="firstday-") if n_parts > 1 else None

    def add(self, rows: pl.DataFrame) -> None:
        """Add a batch."""
        rows = rows.select(*self._types).cast(self._types)  # type: ignore[arg-type]
        for (number,), part_rows in rows.group_by(pl.col("user_ix") // self._users_per_part):
            batches = self._batches[int(number)]
            batches.append(self._keep(part_rows, f"{number}-{len(batches)}"))

    def _keep(self, rows: pl.DataFrame, name: str) -> pl.LazyFrame:
        """Spool rows to disk if there are several partitions."""
        if self._spool is None:
            return rows.lazy()
        path = Path(self._spool.name) / f"{name}.parquet"
        rows.write_parquet(path, compression="lz4")
        return pl.scan_parquet(path, glob=False)

    def finish(self, clean: Callable[[pl.DataFrame], pl.DataFrame]) -> UserRows:
        """Return the rows, applying `clean` to each partition."""
        parts = []
        for number, batches in enumerate(self._batches):
            rows = clean(pl.concat(batches).collect())
            parts.append(self._keep(rows, str(number)))
            if self._spool is not None:
                for path in Path(self._spool.name).glob(f"{number}-*"):
                    path.unlink()
        return UserRows(tuple(parts), self._spool)


def join_rows(
    parts: Parts, n_users: int, types: Mapping[str, pl.DataType], clean: Callable[[pl.DataFrame], pl.DataFrame]
) -> UserRows:
    """Join `UserRows` of disjoint users; for `clean` see `RowWriter`."""
    writer = RowWriter(types, n_users, sum(len(rows) for rows, _ in parts))
    for rows, new_ix in parts:
        for frame in rows.frames():
            writer.add(renumber_users(frame, new_ix))
    return writer.finish(clean)
