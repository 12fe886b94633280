"""RawTable: an unconverted table, read in batches, with the location of each row."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from firstday.errors import DataError, Fault
from firstday.tables.faults import FILE, ROW
from firstday.tables.zstd import ZstdError

BATCH_ROWS = 1_000_000
"""Approximate number of interaction rows held in memory while reading."""
UNREADABLE = (
    pl.exceptions.PolarsError,
    pl.exceptions.PanicException,
    UnicodeError,
    OSError,
    EOFError,
    zlib.error,
    ZstdError,
)
"""Exceptions that reading a damaged file can raise."""


@dataclass(frozen=True, eq=False)
class RawTable:
    """An unconverted table, read in batches; the rows of all files, by name, have `FILE`, `ROW` and equal columns."""

    files: Mapping[str, pl.LazyFrame]
    format: str = "a frame"

    @classmethod
    def of(cls, frame: pl.DataFrame | pl.LazyFrame, name: str) -> RawTable:
        """Wrap an in-memory frame."""
        return cls({name: add_location(frame.lazy().with_row_index(ROW), 0)})

    @property
    def is_text(self) -> bool:
        """Whether the table comes from separated text, where every value is text."""
        return self.format == "CSV"

    @cached_property
    def _no_rows(self) -> pl.DataFrame:
        """All columns, without rows."""
        return next(iter(self.files.values())).clear().collect()

    @property
    def columns(self) -> list[str]:
        """Column names, with `FILE` and `ROW`."""
        return self._no_rows.columns

    @cached_property
    def whole(self) -> pl.DataFrame:
        """All rows, in memory; raises DataError if a file is damaged."""
        return pl.concat(self.batches())

    @cached_property
    def n_rows(self) -> int:
        """Number of rows in all files."""
        return sum(rows.select(pl.len()).collect().item() for rows in self.files.values())

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """Yield batches of rows in file order; combine small files, and yield one empty batch for an empty table.

        Reads `FILE`, `ROW` and `columns` (None: all columns). Raises DataError if a file is damaged.
        """
        names = self.columns if columns is None else [*columns, FILE, ROW]
        buffer = [self._no_rows.select(names)]
        for name, rows in self.files.items():
            try:
                for batch in rows.select(names).collect_batches(chunk_size=BATCH_ROWS, maintain_order=True):
                    buffer.append(batch)
                    if sum(map(len, buffer)) >= BATCH_ROWS:
                        yield pl.concat(buffer)
                        buffer = []
            except UNREADABLE as error:
                raise DataError([describe_damage(name, self.format, first_line(error))]) from None
        if buffer:
            yield pl.concat(buffer)


def add_location(rows: pl.LazyFrame, number: int) -> pl.LazyFrame:
    """Add the file index to rows that already have a row index."""
    file = pl.lit(number, pl.Int32)
    return rows.with_columns(file.alias(FILE), pl.col(ROW).cast(pl.Int64))


def describe_damage(name: str, kind: str, cause: str) -> Fault:
    """Return the fault for a file or frame that a library cannot read."""
    return Fault("unreadable", f"cannot be read as {kind} ({cause}); correct it, or write it again.", file=name)


def first_line(error: BaseException) -> str:
    """Return the first line of an error message, without a final dot; a Polars panic means that a file is damaged."""
    if isinstance(error, pl.exceptions.PanicException):
        return "it is damaged"
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".")
