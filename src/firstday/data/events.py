"""Events: indexed interactions, in partitions that fit into memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from firstday.data.user_rows import NEVER, UserRows, note_future
from firstday.display import readable
from firstday.sparse import SparseRows
from firstday.tables.faults import Findings
from firstday.tables.schema import DAY_US
from firstday.tables.schema import ITEM as ITEM
from firstday.tables.schema import UTC_MICROSECONDS as UTC_MICROSECONDS

Pair = tuple[str, str]
"""A (signal, entity) pair, such as ``("favorite", "artist")``; each is one block of day-one features."""

EVENT_TYPES: dict[str, pl.DataType] = {
    "user_ix": pl.Int32(),
    "pair": pl.UInt16(),
    "target_ix": pl.Int32(),
    "timestamp": UTC_MICROSECONDS,
    "weight": pl.Float32(),
}
SORT_ORDER = ("user_ix", "timestamp", "pair", "target_ix", "weight")
"""Sort key of the rows in a partition."""
_IS_REPEAT = (
    pl.all_horizontal(pl.col(name).eq_missing(pl.col(name).shift()) for name in SORT_ORDER)
    & (pl.col("timestamp").to_physical() % DAY_US != 0)
).fill_null(value=False)
"""Mask of sorted rows that duplicate the previous row.

Rows at exactly midnight, and rows without a time, are never duplicates: their time is a date at most, and the same
interaction may occur twice on one day.
"""


def sort_pairs(pairs: Iterable[Pair]) -> tuple[Pair, ...]:
    """Sort pairs in the order of all tables and features: items first, then by entity and signal."""
    return tuple(sorted(pairs, key=lambda pair: (pair[1] != ITEM, pair[1], pair[0])))


def code_pairs(rows: pl.DataFrame, pairs: Sequence[Pair]) -> pl.DataFrame:
    """Replace `signal` and `entity` by the code `pair`; columns as in `EVENT_TYPES`."""
    coded = rows.join(_codes(pairs), on=["signal", "entity"], how="left", maintain_order="left")
    return coded.select(pl.col(name).cast(kind) for name, kind in EVENT_TYPES.items())


def _codes(pairs: Sequence[Pair]) -> pl.DataFrame:
    """Return the lookup table from pairs to codes."""
    schema = {"signal": pl.String, "entity": pl.String}
    return pl.DataFrame(list(pairs), schema, orient="row").with_columns(pair=pl.int_range(pl.len(), dtype=pl.UInt16))


def clean_events(rows: pl.DataFrame, now: datetime, findings: Findings) -> pl.DataFrame:
    """Sort the interactions of a partition and drop duplicates and future ones, with notes."""
    is_future = (rows["timestamp"] > now).fill_null(value=False)
    kept = rows.filter(~is_future).sort(SORT_ORDER)
    distinct = kept.filter(~_IS_REPEAT)
    findings.note_rows(
        "interactions",
        kept.height - distinct.height,
        rows.height,
        "repeat another to the microsecond (same user, signal, target, time and weight); each is counted once",
    )
    note_future(findings, rows["timestamp"].filter(is_future), rows.height)
    return distinct


@dataclass(frozen=True, eq=False)
class Window:
    """A half-open time window per user: `start` <= time < `end`.

    Parameters
    ----------
    start, end
        Microseconds since 1970 UTC: int64, shape (n_users,). The window is empty unless `end` is after `start`.
        Interactions without a time are in no window.
    """

    start: np.ndarray
    end: np.ndarray

    def select(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the rows of a partition that are in the window."""
        user, moment = frame["user_ix"].to_numpy(), frame["timestamp"].to_physical().fill_null(NEVER).to_numpy()
        return frame.filter(pl.Series((moment >= self.start[user]) & (moment < self.end[user])))


@readable
@dataclass(frozen=True, eq=False)
class Events:
    """All interactions, one row each.

    Parameters
    ----------
    pairs
        (signal, entity) pairs, by code.
    counts
        Number of interactions per pair: int64, shape (n_pairs,).
    rows
        Columns as in `EVENT_TYPES`: `pair` is the code, `target_ix` the index among the items or the entity's members.
        Each partition is sorted by `SORT_ORDER`.
    first, last
        Time of the earliest and latest interaction, in microseconds since 1970 UTC; None without times.
    """

    pairs: tuple[Pair, ...]
    counts: np.ndarray
    rows: UserRows
    first: int | None = None
    last: int | None = None

    @classmethod
    def of_rows(cls, pairs: tuple[Pair, ...], rows: UserRows) -> Events:
        """Build Events from rows with pair codes."""
        moment = pl.col("timestamp").to_physical()
        of_pair = rows.lazy().group_by("pair").agg(pl.len(), first=moment.min(), last=moment.max()).collect()
        counts = np.zeros(len(pairs), dtype=np.int64)
        counts[of_pair["pair"].to_numpy()] = of_pair["len"].to_numpy()
        return cls(pairs, counts, rows, of_pair["first"].min(), of_pair["last"].max())  # type: ignore[arg-type]

    @classmethod
    def of(cls, frame: pl.DataFrame) -> Events:
        """Build Events from in-memory rows: `user_ix`, `signal`, `entity`, `target_ix`, `timestamp`, `weight`."""
        pairs = sort_pairs(frame.select("signal", "entity").unique().rows())
        return cls.of_rows(pairs, UserRows((code_pairs(frame, pairs).sort(SORT_ORDER),)))

    @classmethod
    def empty(cls, pairs: tuple[Pair, ...] = ()) -> Events:
        """Build Events without rows."""
        return cls.of_rows(pairs, UserRows((pl.DataFrame(schema=EVENT_TYPES),)))

    def __len__(self) -> int:
        return int(self.counts.sum())

    def present_pairs(self) -> tuple[Pair, ...]:
        """Return the pairs that occur."""
        return sort_pairs([pair for pair, n in zip(self.pairs, self.counts, strict=True) if n])

    def frames(self) -> Iterator[pl.DataFrame]:
        """Iterate over the partitions."""
        return self.rows.frames()

    def spans(self, n_users: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the times of each user's first and last interaction, int64, shape (n_users,), -1 without times."""
        moment = pl.col("timestamp").to_physical()
        of_user = self.rows.lazy().drop_nulls("timestamp").group_by("user_ix")
        spans = of_user.agg(first=moment.min(), last=moment.max()).collect()
        ends = np.full((2, n_users), -1, dtype=np.int64)
        ends[:, spans["user_ix"].to_numpy()] = spans["first"].to_numpy(), spans["last"].to_numpy()
        return ends[0], ends[1]

    def whole(self) -> pl.DataFrame:
        """Load all rows, with `signal` and `entity` by name; the inverse of `of`."""
        rows = self.rows.whole().join(_codes(self.pairs), on="pair", how="left", maintain_order="left")
        return rows.select("user_ix", "signal", "entity", "target_ix", "timestamp", "weight")

    def collect(
        self, n_users: int, n_targets: Mapping[str, int], windows: Sequence[Window | None]
    ) -> list[dict[Pair, SparseRows]]:
        """Sum each user's interactions in each window, in one pass over the partitions; None means all times.

        Each dict has the summed weights of every pair that occurs anywhere, shape (n_users, n_targets); `n_targets`
        gives the number of members per entity, including items.
        """
        sums: list[list[pl.DataFrame]] = [[] for _ in windows]
        for frame in self.frames():
            for window, parts in zip(windows, sums, strict=True):
                parts.append(_add_up(frame if window is None else window.select(frame)))
        return [self._spread(pl.concat(parts), n_users, n_targets) for parts in sums]

    def _spread(self, cells: pl.DataFrame, n_users: int, n_targets: Mapping[str, int]) -> dict[Pair, SparseRows]:
        """Build one matrix per pair from cells sorted by user and target."""
        matrices = {}
        for code, (pair, n) in enumerate(zip(self.pairs, self.counts, strict=True)):
            if n:
                user, target, weight = cells.filter(pl.col("pair") == code)["user_ix", "target_ix", "weight"]
                starts = np.concatenate([[0], np.cumsum(np.bincount(user, minlength=n_users))])
                matrices[pair] = SparseRows(starts, target.to_numpy(), weight.to_numpy(), n_targets[pair[1]])
        return matrices


def _add_up(rows: pl.DataFrame) -> pl.DataFrame:
    """Sum weights by pair, user and target, in a fixed order so that float sums are reproducible."""
    key = ("pair", "user_ix", "target_ix")
    ordered = rows.select(*key, "weight").sort(key, maintain_order=True)
    is_new = pl.any_horizontal(pl.col(name).ne_missing(pl.col(name).shift()) for name in key)
    first = ordered.select(is_new.arg_true()).to_series()
    if first.is_empty():
        return ordered
    sums = np.add.reduceat(ordered["weight"].to_numpy().astype(np.float64), first.to_numpy())
    return ordered[first].with_columns(weight=sums.astype(np.float32))
