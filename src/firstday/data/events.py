"""Events: indexed interactions, in partitions that fit into memory."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from firstday.data.user_rows import NEVER, Parts, UserRows, join_rows
from firstday.display import readable
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
HAS_TIME_OF_DAY = (pl.col("timestamp").to_physical() % DAY_US != 0).fill_null(False)
"""Mask of rows whose repetitions are duplicates; at midnight, usually only the date is known."""


def sort_pairs(pairs: Iterable[Pair]) -> tuple[Pair, ...]:
    """Sort pairs in the order used everywhere: items first, then by entity and signal."""
    return tuple(sorted(pairs, key=lambda pair: (pair[1] != ITEM, pair[1], pair[0])))


def code_pairs(rows: pl.DataFrame, pairs: Sequence[Pair]) -> pl.DataFrame:
    """Replace `signal` and `entity` with the code `pair`, and leave out others; return the columns of `EVENT_TYPES`."""
    coded = rows.join(_codes(pairs), on=["signal", "entity"], maintain_order="left")
    return coded.select(*EVENT_TYPES).cast(EVENT_TYPES)  # type: ignore[arg-type]


def _codes(pairs: Sequence[Pair]) -> pl.DataFrame:
    """Return the lookup table from pairs to codes."""
    schema = {"signal": pl.String, "entity": pl.String}
    return pl.DataFrame(list(pairs), schema, orient="row").with_columns(pair=pl.int_range(pl.len(), dtype=pl.UInt16))


def clean_events(rows: pl.DataFrame, findings: Findings) -> pl.DataFrame:
    """Sort the interactions of a partition and drop duplicates, with a note."""
    distinct = rows.sort(SORT_ORDER).filter(pl.struct(SORT_ORDER).is_first_distinct() | ~HAS_TIME_OF_DAY)
    findings.note_rows(
        "interactions",
        rows.height - distinct.height,
        rows.height,
        "are duplicates (same user, signal, target, time to the microsecond, and weight); each is counted once",
    )
    return distinct


@dataclass(frozen=True, eq=False)
class Window:
    """A half-open time window per user: `start` <= time < `end`; without interactions that have no time.

    Both are int64, shape (n_users,), in microseconds since 1970 UTC.
    """

    start: np.ndarray
    end: np.ndarray

    def select(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the rows of a partition that are in the window."""
        user = frame["user_ix"].to_numpy()
        moment = frame["timestamp"].to_physical().fill_null(NEVER).to_numpy()
        is_in = (moment >= self.start[user]) & (moment < self.end[user])
        return frame.filter(is_in)


@readable
@dataclass(frozen=True, eq=False)
class Events:
    """All interactions, one row each.

    Rows have the columns of `EVENT_TYPES`: `pair` is a code, `target_ix` the index among the items or the entity's
    members. Each partition is sorted by `SORT_ORDER`.
    """

    pairs: tuple[Pair, ...]  # by code
    counts: np.ndarray  # number of interactions per pair, int64, shape (n_pairs,)
    rows: UserRows
    first: int | None = None  # earliest interaction, in microseconds since 1970 UTC; None without times
    last: int | None = None  # latest interaction

    @classmethod
    def of_rows(cls, pairs: tuple[Pair, ...], rows: UserRows) -> Events:
        """Build Events from rows with the columns of `EVENT_TYPES`."""
        moment = pl.col("timestamp").to_physical()
        per_pair = rows.lazy().group_by("pair").agg(pl.len(), first=moment.min(), last=moment.max()).collect()
        counts = np.zeros(len(pairs), dtype=np.int64)
        counts[per_pair["pair"].to_numpy()] = per_pair["len"].to_numpy()
        return cls(pairs, counts, rows, per_pair["first"].min(), per_pair["last"].max())  # type: ignore[arg-type]

    @classmethod
    def of(cls, frame: pl.DataFrame) -> Events:
        """Build Events from in-memory rows: `user_ix`, `signal`, `entity`, `target_ix`, `timestamp`, `weight`."""
        pairs = sort_pairs(frame.select("signal", "entity").unique().rows())
        rows = code_pairs(frame, pairs).sort(SORT_ORDER)
        return cls.of_rows(pairs, UserRows((rows,)))

    @classmethod
    def empty(cls) -> Events:
        """Build Events without rows."""
        return cls.of_rows((), UserRows((pl.DataFrame(schema=EVENT_TYPES),)))

    def __len__(self) -> int:
        return int(self.counts.sum())

    def keep_users(self, new_ix: np.ndarray) -> Events:
        """Return the interactions of some users, in memory; see `UserRows.keep_users`."""
        return Events.of_rows(self.pairs, self.rows.keep_users(new_ix))

    def keep_items(self, new_ix: np.ndarray) -> Events:
        """Replace items by their new indexes, and drop interactions with those whose new index is -1."""
        return self.keep_targets({ITEM: new_ix})

    def keep_targets(self, new_ix: Mapping[str, np.ndarray]) -> Events:
        """Do the same with targets of several entities."""

        def replace_targets(rows: pl.DataFrame) -> pl.DataFrame:
            pair = rows["pair"].to_numpy()
            target_ix = rows["target_ix"].to_numpy().copy()
            for entity, indexes in new_ix.items():
                is_of_entity = np.isin(pair, self.codes_of(entity))
                target_ix[is_of_entity] = indexes[target_ix[is_of_entity]]
            return rows.with_columns(pl.Series("target_ix", target_ix)).filter(target_ix >= 0)

        return Events.of_rows(self.pairs, self.rows.map(replace_targets))

    def before(self, now: pl.Expr) -> Events:
        """Return the interactions before a time, in memory."""
        return Events.of_rows(self.pairs, self.rows.map(lambda rows: rows.filter(pl.col("timestamp") < now)))

    @classmethod
    def join(cls, parts: Parts, n_users: int) -> Events:
        """Join the interactions of disjoint users."""
        rows = [(events.rows, new_ix) for events, new_ix in parts]
        joined = join_rows(rows, n_users, EVENT_TYPES, lambda frame: frame.sort(SORT_ORDER))
        return cls.of_rows(parts[0][0].pairs, joined)

    def frames(self) -> Iterator[pl.DataFrame]:
        """Iterate over the partitions."""
        return self.rows.frames()

    def first_moments(self, key: str, n: int, missing: int, codes: Sequence[int] | None = None) -> np.ndarray:
        """Return the time of each user's or target's first interaction, int64, shape (n,); `missing` without a time.

        `key` is the index column, and `codes` the pairs to include (None: all).
        """
        rows = self.rows.lazy().drop_nulls("timestamp")
        rows = rows if codes is None else rows.filter(pl.col("pair").is_in(codes))
        first = rows.group_by(key).agg(pl.col("timestamp").min().to_physical()).collect()
        moments = np.full(n, missing)
        moments[first[key].to_numpy()] = first["timestamp"].to_numpy()
        return moments

    def codes_of(self, entity: str, signals: Collection[str] | None = None) -> list[int]:
        """Return the codes of an entity's pairs, restricted to `signals` unless None."""
        wanted = {signal for signal, _ in self.pairs} if signals is None else signals
        return [code for code, (signal, kind) in enumerate(self.pairs) if kind == entity and signal in wanted]

    def whole(self) -> pl.DataFrame:
        """Load all rows, with the names of `signal` and `entity`; the inverse of `of`."""
        rows = self.rows.whole().join(_codes(self.pairs), on="pair", how="left", maintain_order="left")
        return rows.select("user_ix", "signal", "entity", "target_ix", "timestamp", "weight")
