"""RawTable: a table as it stands in its files, read a batch of rows at a time."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from firstday.errors import DataError

BATCH_ROWS = 1_000_000
"""Rows of interactions in memory at once while reading, about."""
UNREADABLE = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, EOFError, UnicodeError, zlib.error)
"""What reading a damaged file can raise."""


@dataclass(frozen=True)
class RawTable:
    """A table as it stands in its files, read a batch of rows at a time.

    Parameters
    ----------
    files
        The rows of each file, in order, all with the same columns and types.
    names
        What each file is called in messages.
    is_text
        Whether it comes from CSV, so that every column is String and types have to be found in the text.
    """

    files: tuple[pl.LazyFrame, ...]
    names: tuple[str, ...] = ("",)
    is_text: bool = False

    @classmethod
    def of(cls, frame: pl.DataFrame, *, is_text: bool = False) -> RawTable:
        """Make a table of rows in memory."""
        return cls((frame.lazy(),), is_text=is_text)

    @cached_property
    def columns(self) -> list[str]:
        """The names of the columns, in file order."""
        return self.files[0].collect_schema().names()

    @cached_property
    def frame(self) -> pl.DataFrame:
        """All rows, in memory."""
        return pl.concat(self.batches())

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """Read a batch of rows at a time, in file order; one batch without rows where there are none at all.

        Parameters
        ----------
        columns
            Columns to read; all if None.

        Raises
        ------
        DataError
            A file turns out to be damaged.
        """
        n_rows = 0
        for file, name in zip(self.files, self.names, strict=True):
            chosen = file if columns is None else file.select(columns)
            try:
                for batch in chosen.collect_batches(chunk_size=BATCH_ROWS, maintain_order=True):
                    n_rows += batch.height
                    yield batch
            except UNREADABLE as error:
                kind = "CSV" if self.is_text else "Parquet"
                raise DataError(
                    f"{name}: cannot be read as {kind} ({first_line(error)}); write the file again."
                ) from None
        if not n_rows:
            yield self.files[0].select(columns or self.columns).head(0).collect()


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, without a closing dot."""
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".")
