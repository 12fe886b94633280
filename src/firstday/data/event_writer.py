"""EventWriter: collects coded interactions in any order and sorts them by user, on disk where there are many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from firstday.data.events import EVENT_TYPES, SORT_ORDER, Events, Pair, first_moment
from firstday.tables.faults import Findings

PART_ROWS = 4_000_000
"""Interactions of a part, about. One part is in memory at once, about 300 MB while it is sorted."""
DAY_US = 86_400_000_000
"""Microseconds of a day."""

_IS_REPEAT = (
    pl.all_horizontal(pl.col(name).eq_missing(pl.col(name).shift()) for name in SORT_ORDER)
    & (pl.col("timestamp").to_physical() % DAY_US != 0)
).fill_null(value=False)
"""Which sorted rows repeat the row before.

Rows at exactly midnight, and rows without a time, are no repeats: they give the day at most, in which the same
interaction may happen twice.
"""


class RowsByUser:
    """Takes rows in any order, and returns them a part of the users at a time; on disk where there are many.

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
        n_parts = max(1, -(-n_rows // PART_ROWS))
        self._users_per_part = max(1, -(-n_users // n_parts))
        self._n_parts = max(1, -(-n_users // self._users_per_part))
        self.spool = TemporaryDirectory(prefix="firstday-") if self._n_parts > 1 else None
        self._batches: list[list[pl.DataFrame | Path]] = [[] for _ in range(self._n_parts)]

    def add(self, rows: pl.DataFrame) -> None:
        """Take a batch."""
        rows = rows.select(pl.col(name).cast(kind) for name, kind in self._types.items())
        if self.spool is None:
            self._batches[0].append(rows)
            return
        numbered = rows.with_columns(part=pl.col("user_ix") // self._users_per_part)
        for (number,), part in numbered.group_by("part", maintain_order=True):
            batches = self._batches[int(number)]
            place = Path(self.spool.name) / f"{number:05}-{len(batches):06}.arrow"
            part.drop("part").write_ipc(place, compression="lz4")
            batches.append(place)

    def parts(self) -> Iterator[tuple[int, pl.DataFrame]]:
        """Return the number and the rows of each part."""
        for number, batches in enumerate(self._batches):
            yield number, pl.concat([pl.DataFrame(schema=self._types), *(_fetch(batch) for batch in batches)])

    def keep(self, rows: pl.DataFrame, number: int) -> pl.DataFrame | Path:
        """Keep what was made of a part in memory, or on disk in place of its batches."""
        if self.spool is None:
            return rows
        place = Path(self.spool.name) / f"{number:05}.parquet"
        rows.write_parquet(place, compression="lz4")
        for batch in self._batches[number]:
            assert isinstance(batch, Path)
            batch.unlink()
        self._batches[number].clear()
        return place


class EventWriter:
    """Takes batches of interactions, and makes Events without repeats and without interactions in the future.

    Parameters
    ----------
    pairs
        The (signal, entity) pairs, by their code.
    n_users, n_rows
        See `RowsByUser`.
    now
        The time of reading; default: the clock.
    """

    def __init__(self, pairs: Sequence[Pair], n_users: int, n_rows: int, now: datetime | None = None) -> None:
        self._pairs = tuple(pairs)
        self._now = now or datetime.now(UTC)
        self._rows = RowsByUser(EVENT_TYPES, n_users, n_rows)
        self._n_rows = 0

    def add(self, rows: pl.DataFrame) -> None:
        """Take a batch, columns as in `EVENT_TYPES`."""
        self._n_rows += rows.height
        self._rows.add(rows)

    def finish(self, findings: Findings) -> Events:
        """Sort every part, and note in the findings what was left out."""
        parts: list[pl.DataFrame | Path] = []
        counts = np.zeros(len(self._pairs), dtype=np.int64)
        ends: list[pl.DataFrame] = []
        late: list[pl.Series] = []
        n_repeats = 0
        for number, rows in self._rows.parts():
            future = (rows["timestamp"] > self._now).fill_null(value=False)
            late.append(rows["timestamp"].filter(future))
            rows = rows.filter(~future).sort(SORT_ORDER)
            distinct = rows.filter(~_IS_REPEAT)
            n_repeats += rows.height - distinct.height
            counts += np.bincount(distinct["pair"].to_numpy(), minlength=len(counts))
            moments = pl.col("timestamp").to_physical()
            ends.append(distinct.select(first=moments.min(), last=moments.max()))
            parts.append(self._rows.keep(distinct, number))
        findings.note_rows(
            "interactions",
            n_repeats,
            self._n_rows,
            "repeat another to the microsecond (same user, signal, target, time and weight); each is counted once",
        )
        note_future(findings, pl.concat(late), self._n_rows)
        first, last = pl.concat(ends).select(pl.col("first").min(), pl.col("last").max()).row(0)
        return Events(self._pairs, counts, tuple(parts), first, last, self._rows.spool)


def note_future(findings: Findings, times: pl.Series, n_rows: int) -> None:
    """Note which of so many interactions of all parts lie in the future."""
    findings.note_rows(
        "interactions.timestamp",
        len(times),
        n_rows,
        "lie in the future",
        "they were left out; check the clock that wrote them",
        first=first_moment(times),
    )


def _fetch(batch: pl.DataFrame | Path) -> pl.DataFrame:
    """Return a batch's rows."""
    return batch if isinstance(batch, pl.DataFrame) else pl.read_ipc(batch)
