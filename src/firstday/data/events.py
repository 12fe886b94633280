"""Events: interactions in dense indexes, in parts that are small enough for memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from firstday.display import readable
from firstday.sparse import SparseRows
from firstday.tables.schema import ITEM as ITEM
from firstday.tables.schema import UTC_MICROSECONDS as UTC_MICROSECONDS

Pair = tuple[str, str]
"""A (signal, entity) pair, such as ``("favorite", "artist")``: one block of day-one features."""

EVENT_TYPES: dict[str, pl.DataType] = {
    "user_ix": pl.Int32(),
    "pair": pl.UInt16(),
    "target_ix": pl.Int32(),
    "timestamp": UTC_MICROSECONDS,
    "weight": pl.Float32(),
}
SORT_ORDER = ("user_ix", "timestamp", "pair", "target_ix", "weight")
"""How the rows of a part are sorted."""


def sort_pairs(pairs: Iterable[Pair]) -> tuple[Pair, ...]:
    """Return pairs in the order of all tables and features: items first, then by entity and signal."""
    return tuple(sorted(pairs, key=lambda pair: (pair[1] != ITEM, pair[1], pair[0])))


def code_pairs(rows: pl.DataFrame, pairs: Sequence[Pair]) -> pl.DataFrame:
    """Return rows with the columns of `EVENT_TYPES`, of which `pair` is the code of `signal` and `entity`."""
    coded = rows.join(_codes(pairs), on=["signal", "entity"], how="left", maintain_order="left")
    return coded.select(pl.col(name).cast(kind) for name, kind in EVENT_TYPES.items())


def _codes(pairs: Sequence[Pair]) -> pl.DataFrame:
    """Return a table of pairs and their codes."""
    schema = {"signal": pl.String, "entity": pl.String}
    return pl.DataFrame(list(pairs), schema, orient="row").with_columns(pair=pl.int_range(pl.len(), dtype=pl.UInt16))


def renumber_users(frames: Iterable[pl.DataFrame], place: np.ndarray) -> Iterator[pl.DataFrame]:
    """Return the rows of frames with the new `user_ix` of each user, without those of -1."""
    for frame in frames:
        user_ix = pl.Series("user_ix", place[frame["user_ix"].to_numpy()], dtype=pl.Int32)
        yield frame.with_columns(user_ix).filter(user_ix >= 0)


def first_moment(times: pl.Series) -> str:
    """Return the earliest of some times as text, "" where there is none."""
    return next(iter(times.drop_nulls().sort().head(1).dt.strftime("%Y-%m-%dT%H:%M:%SZ")), "")


@dataclass(frozen=True, eq=False)
class Window:
    """A time window for each user: from `start` to before `end`.

    Parameters
    ----------
    start, end
        int64, shape (n_users,), microseconds since 1970 UTC; the window is empty where `end` is not after `start`.
        Interactions without a time are in no window.
    """

    start: np.ndarray
    end: np.ndarray

    def select(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the rows of a part that lie in the window."""
        user, timestamp = frame["user_ix"].to_numpy(), frame["timestamp"].to_physical()
        has_time, moment = timestamp.is_not_null().to_numpy(), timestamp.fill_null(0).to_numpy()
        return frame.filter(pl.Series(has_time & (moment >= self.start[user]) & (moment < self.end[user])))


@readable
@dataclass(frozen=True, eq=False)
class Events:
    """All interactions, one row each.

    Parameters
    ----------
    pairs
        The (signal, entity) pairs, by their code.
    counts
        int64, shape (n_pairs,): interactions of each.
    parts
        Tables in memory, or Parquet files, in the order of users; columns as in `EVENT_TYPES`, where `pair` is the code
        and `target_ix` the index among items or the entity's members; rows sorted by `SORT_ORDER`.
    first, last
        Microseconds since 1970 UTC of the earliest and the latest interaction; None without times.
    spool
        The folder of the parts; it is removed with the last reference to it.
    """

    pairs: tuple[Pair, ...]
    counts: np.ndarray
    parts: tuple[pl.DataFrame | Path, ...]
    first: int | None = None
    last: int | None = None
    spool: TemporaryDirectory[str] | None = None

    @classmethod
    def of(cls, frame: pl.DataFrame) -> Events:
        """Make Events of rows in memory: `user_ix`, `signal`, `entity`, `target_ix`, `timestamp`, `weight`."""
        pairs = sort_pairs(frame.select("signal", "entity").unique().rows())
        part = code_pairs(frame, pairs).sort(SORT_ORDER)
        counts = np.bincount(part["pair"].to_numpy(), minlength=len(pairs))
        times = part["timestamp"].to_physical()
        return cls(pairs, counts, (part,), times.min(), times.max())  # type: ignore[arg-type]

    @classmethod
    def empty(cls, pairs: tuple[Pair, ...]) -> Events:
        """Make Events of nobody, or of users who did nothing."""
        return cls(pairs, np.zeros(len(pairs), dtype=np.int64), (pl.DataFrame(schema=EVENT_TYPES),))

    def __len__(self) -> int:
        return int(self.counts.sum())

    def present_pairs(self) -> tuple[Pair, ...]:
        """Return the pairs that occur."""
        return sort_pairs([pair for pair, n in zip(self.pairs, self.counts, strict=True) if n])

    def frames(self) -> Iterator[pl.DataFrame]:
        """Return the parts one after the other."""
        for part in self.parts:
            yield part if isinstance(part, pl.DataFrame) else pl.read_parquet(part, glob=False)

    def spans(self, n_users: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the times of each user's first and last interaction, int64, shape (n_users,), -1 without times."""
        first = np.full(n_users, -1, dtype=np.int64)
        last = first.copy()
        for frame in self.frames():
            timed = frame.filter(pl.col("timestamp").is_not_null())
            if timed.is_empty():
                continue
            user, moment = timed["user_ix"].to_numpy(), timed["timestamp"].to_physical().to_numpy()
            starts = np.flatnonzero(np.diff(user, prepend=-1))  # a part is sorted by user, then time
            first[user[starts]] = moment[starts]
            last[user[starts]] = moment[np.append(starts[1:], len(user)) - 1]
        return first, last

    def whole(self) -> pl.DataFrame:
        """Return all rows in memory, with the names of `signal` and `entity`; the inverse of `of`."""
        frame = pl.concat([pl.DataFrame(schema=EVENT_TYPES), *self.frames()])
        rows = frame.join(_codes(self.pairs), on="pair", how="left", maintain_order="left")
        return rows.select("user_ix", "signal", "entity", "target_ix", "timestamp", "weight")

    def collect(
        self, n_users: int, n_targets: Mapping[str, int], windows: Sequence[Window | None]
    ) -> list[dict[Pair, SparseRows]]:
        """Add up each user's interactions in each window, in one pass over the parts.

        Parameters
        ----------
        n_users
            How many users there are.
        n_targets
            How many members each entity has, items among them.
        windows
            Windows in time; None counts everything.

        Returns
        -------
        list of dict
            For each window, and each pair that occurs anywhere, the added weights: shape (n_users, n_targets).
        """
        window_cells: list[dict[Pair, list[_Cells]]] = [{pair: [] for pair in self.present_pairs()} for _ in windows]
        for frame in self.frames():
            for window, cells in zip(windows, window_cells, strict=True):
                selection = frame if window is None else window.select(frame)
                for code, new_cells in _add_up(selection):
                    cells[self.pairs[code]].append(new_cells)
        return [
            {pair: _join(parts, n_users, n_targets[pair[1]]) for pair, parts in cells.items()} for cells in window_cells
        ]


@dataclass(frozen=True, eq=False)
class _Cells:
    """Entries of a matrix, by user and then target: all of shape (n_entries,)."""

    users: np.ndarray
    targets: np.ndarray
    weights: np.ndarray


def _add_up(frame: pl.DataFrame) -> Iterator[tuple[int, _Cells]]:
    """Add up the weights of equal users and targets of each pair, in a fixed order, so that sums are reproducible."""
    if frame.is_empty():
        return
    ordered = frame.select("pair", "user_ix", "target_ix", "weight").sort(
        "pair", "user_ix", "target_ix", maintain_order=True
    )
    pair, user, target, weight = (ordered[name].to_numpy() for name in ordered.columns)
    is_new = np.ones(len(pair), dtype=bool)
    is_new[1:] = (pair[1:] != pair[:-1]) | (user[1:] != user[:-1]) | (target[1:] != target[:-1])
    starts = np.flatnonzero(is_new)
    sums = np.add.reduceat(weight.astype(np.float64), starts).astype(np.float32)
    pair, user, target = pair[starts], user[starts], target[starts]
    codes, code_starts = np.unique(pair, return_index=True)
    for code, lo, hi in zip(codes, code_starts, [*code_starts[1:], len(pair)], strict=True):
        yield int(code), _Cells(user[lo:hi], target[lo:hi], sums[lo:hi])


def _join(parts: list[_Cells], n_users: int, n_targets: int) -> SparseRows:
    """Join the cells of parts; the parts are in the order of users."""
    if not parts:
        return SparseRows.empty(n_users, n_targets)
    users = np.concatenate([part.users for part in parts])
    starts = np.concatenate([[0], np.cumsum(np.bincount(users, minlength=n_users))]).astype(np.int64)
    columns = np.concatenate([part.targets for part in parts]).astype(np.int32, copy=False)
    return SparseRows(starts, columns, np.concatenate([part.weights for part in parts]), n_targets)
