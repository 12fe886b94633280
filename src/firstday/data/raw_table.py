"""RawTable: a table as it was written, read a batch of rows at a time, each row with its place."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from firstday.data.findings import Findings, Place, SourceFile
from firstday.errors import DataError

BATCH_ROWS = 1_000_000
"""Rows of interactions in memory at once while reading, about."""
ROW = "firstday: row"
"""The column with each row's number in its file, from 0, while files are read."""
UNREADABLE = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, EOFError, UnicodeError, zlib.error)
"""What reading a damaged file can raise."""
FILE = "firstday: file"
"""The column with the number of each row's file, where rows of many files stand together."""


IN_MEMORY = SourceFile()
"""The source of rows that come from no file."""


@dataclass(frozen=True, eq=False)
class RawFile:
    """The rows of one file, or of a frame in memory.

    Parameters
    ----------
    rows
        The columns, all files of a table with the same ones, and `ROW`.
    source
        The file's name, and what its rows are counted in.
    sources
        The files, by number, where rows of many stand together and have the column `FILE`.
    copy
        The folder of a copy that is read in the file's place; it goes with this.
    """

    rows: pl.LazyFrame
    source: SourceFile = IN_MEMORY
    copy: TemporaryDirectory[str] | None = None
    sources: tuple[SourceFile, ...] = ()

    def selected(self, names: Sequence[str]) -> pl.LazyFrame:
        """Return some columns, and where each row stands."""
        return self.rows.select(*names, ROW, *([FILE] if self.sources else []))


@dataclass(frozen=True, eq=False)
class RawBatch:
    """Some rows of a table, as they were written, and where they stand.

    Parameters
    ----------
    frame
        The columns without `ROW`.
    place
        File and row of each.
    """

    frame: pl.DataFrame
    place: Place

    @classmethod
    def concat(cls, batches: Sequence[RawBatch]) -> RawBatch:
        """Put batches under each other."""
        return cls(pl.concat([batch.frame for batch in batches]), Place.concat([batch.place for batch in batches]))


@dataclass(frozen=True, eq=False)
class RawTable:
    """A table as it stands in its files, read a batch of rows at a time.

    Parameters
    ----------
    files
        Its files, in order.
    is_text
        Whether it comes from text with separators, so that every column is String.
    format
        What its files are, for messages; CSV stands for every text with separators.
    """

    files: tuple[RawFile, ...]
    is_text: bool = False
    format: str = "Parquet"

    @classmethod
    def of(cls, frame: pl.DataFrame | pl.LazyFrame, *, is_text: bool = False) -> RawTable:
        """Make a table of rows that come from no file that is told."""
        return cls((RawFile(frame.lazy().with_row_index(ROW)),), is_text)

    @cached_property
    def columns(self) -> list[str]:
        """The names of the columns, in file order."""
        return [name for name in self.files[0].rows.collect_schema().names() if name not in (ROW, FILE)]

    @cached_property
    def whole(self) -> RawBatch:
        """All rows, in memory."""
        return RawBatch.concat(list(self.batches()))

    @cached_property
    def n_rows(self) -> int:
        """How many rows the files have."""
        return sum(file.rows.select(pl.len()).collect().item() for file in self.files)

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[RawBatch]:
        """Read a batch of rows at a time, in file order; small files come in one batch.

        A table without rows gives one empty batch.

        Parameters
        ----------
        columns
            Columns to read; all if None.

        Raises
        ------
        DataError
            A file is damaged.
        """
        names = self.columns if columns is None else columns
        waiting: list[RawBatch] = []
        is_empty = True
        for batch in self._pieces(names):
            if len(batch.place):
                waiting.append(batch)
                is_empty = False
            if sum(len(part.place) for part in waiting) >= BATCH_ROWS:
                yield RawBatch.concat(waiting)
                waiting = []
        if waiting:
            yield RawBatch.concat(waiting)
        elif is_empty:
            yield _take_place(self.files[0].selected(names).head(0).collect(), self.files[0])

    def _pieces(self, names: Sequence[str]) -> Iterator[RawBatch]:
        """Read the files one after the other, in pieces as they come."""
        for file in self.files:
            try:
                for batch in file.selected(names).collect_batches(chunk_size=BATCH_ROWS, maintain_order=True):
                    yield _take_place(batch, file)
            except UNREADABLE as error:
                raise DataError(
                    f"{file.source.name}: cannot be read as {self.format} ({first_line(error)}); write the file again."
                ) from None

    def into_memory(self, findings: Findings) -> RawTable | None:
        """Return the table with its rows read; None, with a fault, where a file is damaged."""
        try:
            _ = self.whole
        except DataError as error:
            findings.fault(str(error))
            return None
        return self


def _take_place(frame: pl.DataFrame, file: RawFile) -> RawBatch:
    """Take the numbers of rows and files out of a batch."""
    rows = frame[ROW].to_numpy().astype(np.int64)
    if not file.sources:
        return RawBatch(frame.drop(ROW), Place.of(file.source, rows))
    return RawBatch(frame.drop(ROW, FILE), Place(file.sources, frame[FILE].to_numpy(), rows))


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, without a closing dot; what Polars stumbles over is damage."""
    if isinstance(error, pl.exceptions.PanicException):
        return "it is damaged"
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".")
