"""UserRows: rows partitioned by user, in partitions that fit into memory."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from firstday.display import readable
from firstday.tables.faults import Findings

PART_ROWS = 4_000_000
"""Approximate number of rows per partition; sorting one, the only one in memory, takes about 300 MB."""
NEVER = np.iinfo(np.int64).max


@readable
@dataclass(frozen=True, eq=False)
class UserRows:
    """Rows partitioned by user.

    Parameters
    ----------
    parts
        At least one partition, in ascending order of users: in-memory tables or Parquet files with a column `user_ix`.
    spool
        Folder of the files; deleted with the last reference to it.
    """

    parts: tuple[pl.DataFrame | Path, ...]
    spool: TemporaryDirectory[str] | None = None

    def __len__(self) -> int:
        return int(self.lazy().select(pl.len()).collect().item())

    def frames(self) -> Iterator[pl.DataFrame]:
        """Iterate over the partitions, loading one at a time."""
        for part in self.parts:
            yield part if isinstance(part, pl.DataFrame) else pl.read_parquet(part, glob=False)

    def lazy(self) -> pl.LazyFrame:
        """Return a lazy frame of all rows."""
        return pl.concat(
            part.lazy() if isinstance(part, pl.DataFrame) else pl.scan_parquet(part, glob=False) for part in self.parts
        )

    def whole(self) -> pl.DataFrame:
        """Load all rows."""
        return pl.concat(self.frames())

    def keep_users(self, place: np.ndarray) -> UserRows:
        """Return the rows of some users as one in-memory partition.

        `place` is the new `user_ix` of each user, ascending, -1 for users to drop: int32, shape (n_users,).
        """
        return UserRows((pl.concat(renumber_users(self.frames(), place)),))


def renumber(kept: np.ndarray, n: int) -> np.ndarray:
    """Return the new index of each of `n` elements after selection, -1 for dropped ones: int32, shape (n,)."""
    place = np.full(n, -1, dtype=np.int32)
    place[kept] = np.arange(len(kept), dtype=np.int32)
    return place


def renumber_users(frames: Iterable[pl.DataFrame], place: np.ndarray) -> Iterator[pl.DataFrame]:
    """Renumber users in frames and drop those with -1."""
    for frame in frames:
        user_ix = pl.Series("user_ix", place[frame["user_ix"].to_numpy()], dtype=pl.Int32)
        yield frame.with_columns(user_ix).filter(user_ix >= 0)


class RowWriter:
    """Accumulates rows in any order and partitions them by user; large tables are spooled to disk.

    Parameters
    ----------
    types
        Columns and their types.
    n_users
        Number of users.
    n_rows
        Expected number of interactions; decides the number of partitions and whether they stay in memory.
    """

    def __init__(self, types: Mapping[str, pl.DataType], n_users: int, n_rows: int) -> None:
        self._types = types
        self._users_per_part = max(1, -(-n_users // max(1, -(-n_rows // PART_ROWS))))
        self._n_parts = max(1, -(-n_users // self._users_per_part))
        self._frames: list[pl.DataFrame] = []
        self._spool = TemporaryDirectory(prefix="firstday-") if self._n_parts > 1 else None
        self._n_batches = 0

    def add(self, rows: pl.DataFrame) -> None:
        """Add a batch."""
        rows = rows.select(pl.col(name).cast(kind) for name, kind in self._types.items())
        if self._spool is None:
            self._frames.append(rows)
            return
        for (number,), of_part in rows.group_by(pl.col("user_ix") // self._users_per_part):
            folder = Path(self._spool.name) / str(number)
            folder.mkdir(exist_ok=True)
            of_part.write_ipc(folder / f"{self._n_batches:06}.arrow", compression="lz4")
        self._n_batches += 1

    def finish(self, clean: Callable[[pl.DataFrame], pl.DataFrame]) -> UserRows:
        """Return the rows, applying `clean` to each partition."""
        nothing = pl.DataFrame(schema=self._types)
        if self._spool is None:
            return UserRows((clean(pl.concat([nothing, *self._frames])),))
        paths = []
        for number in range(self._n_parts):
            folder = Path(self._spool.name) / str(number)
            batches = sorted(folder.glob("*.arrow"))
            paths.append(folder.with_name(f"{number:05}.parquet"))
            clean(pl.concat([nothing, *map(pl.read_ipc, batches)])).write_parquet(paths[-1], compression="lz4")
            shutil.rmtree(folder, ignore_errors=True)
        return UserRows(tuple(paths), self._spool)


def note_future(findings: Findings, times: pl.Series, n_rows: int) -> None:
    """Note interactions in the future."""
    findings.note_rows(
        "interactions.timestamp",
        len(times),
        n_rows,
        "lie in the future",
        "they were left out; check the clock that wrote them",
        first=first_moment(times),
    )


def first_moment(times: pl.Series) -> str:
    """Format the earliest of the times; "" without any."""
    return next(iter(times.drop_nulls().sort().head(1).dt.strftime("%Y-%m-%dT%H:%M:%SZ")), "")
