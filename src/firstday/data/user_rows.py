"""UserRows: rows about users, sorted by user in parts that are small enough for memory."""

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
"""Interactions of a part, about. One part is in memory at once, about 300 MB while it is sorted."""
DAY_US = 86_400_000_000
"""Microseconds of a day."""
NEVER = np.iinfo(np.int64).max


@readable
@dataclass(frozen=True, eq=False)
class UserRows:
    """Rows about users.

    Parameters
    ----------
    parts
        Tables in memory, or Parquet files, at least one, in the order of users: column `user_ix` and others.
    spool
        The folder of the parts; it is removed with the last reference to it.
    """

    parts: tuple[pl.DataFrame | Path, ...]
    spool: TemporaryDirectory[str] | None = None

    def __len__(self) -> int:
        return int(self.lazy().select(pl.len()).collect().item())

    def frames(self) -> Iterator[pl.DataFrame]:
        """Return the parts one after the other."""
        for part in self.parts:
            yield part if isinstance(part, pl.DataFrame) else pl.read_parquet(part, glob=False)

    def lazy(self) -> pl.LazyFrame:
        """Return all rows, not yet read."""
        return pl.concat(
            part.lazy() if isinstance(part, pl.DataFrame) else pl.scan_parquet(part, glob=False) for part in self.parts
        )

    def whole(self) -> pl.DataFrame:
        """Return all rows in memory."""
        return pl.concat(self.frames())

    def keep_users(self, place: np.ndarray) -> UserRows:
        """Return the rows of some users in one part in memory.

        Parameters
        ----------
        place
            The new `user_ix` of each user, ascending, int32, shape (n_users,); -1 for those who are left out.
        """
        return UserRows((pl.concat(renumber_users(self.frames(), place)),))


def renumber(kept: np.ndarray, n: int) -> np.ndarray:
    """Return the new index of each of `n` things of which some are kept, int32, -1 for the others."""
    place = np.full(n, -1, dtype=np.int32)
    place[kept] = np.arange(len(kept), dtype=np.int32)
    return place


def renumber_users(frames: Iterable[pl.DataFrame], place: np.ndarray) -> Iterator[pl.DataFrame]:
    """Return the rows of frames with the new `user_ix` of each user, without those of -1."""
    for frame in frames:
        user_ix = pl.Series("user_ix", place[frame["user_ix"].to_numpy()], dtype=pl.Int32)
        yield frame.with_columns(user_ix).filter(user_ix >= 0)


class RowWriter:
    """Takes rows in any order, and makes UserRows of them; on disk where there are many.

    Parameters
    ----------
    types
        The columns.
    n_users
        How many users there are.
    n_rows
        How many interactions to expect: decides whether they stay in memory, and how many parts there are.
    """

    def __init__(self, types: Mapping[str, pl.DataType], n_users: int, n_rows: int) -> None:
        self._types = types
        self._users_per_part = max(1, -(-n_users // max(1, -(-n_rows // PART_ROWS))))
        self._n_parts = max(1, -(-n_users // self._users_per_part))
        self._frames: list[pl.DataFrame] = []
        self._spool = TemporaryDirectory(prefix="firstday-") if self._n_parts > 1 else None
        self._n_batches = 0

    def add(self, rows: pl.DataFrame) -> None:
        """Take a batch."""
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
        """Return the rows, a function of the rows of each part."""
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
    """Note which of so many interactions lie in the future."""
    findings.note_rows(
        "interactions.timestamp",
        len(times),
        n_rows,
        "lie in the future",
        "they were left out; check the clock that wrote them",
        first=first_moment(times),
    )


def first_moment(times: pl.Series) -> str:
    """Return the earliest of some times as text, "" where there is none."""
    return next(iter(times.drop_nulls().sort().head(1).dt.strftime("%Y-%m-%dT%H:%M:%SZ")), "")
