"""Reading the Parquet and CSV files of a folder's tables, a batch of rows at a time."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, cast

import polars as pl

from firstday.data.schema import KEPT_FOR_LATER, TABLES, Findings
from firstday.errors import DataError

ENDINGS = (".parquet", ".csv", ".csv.gz")
STREAMED = "interactions"
"""The only table that may be larger than memory: it stays in its files."""

BATCH_ROWS = 1_000_000
"""Rows of interactions in memory at once while reading, about."""
CHUNK_BYTES = 2**24
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
        The name of each file in messages.
    is_text
        Whether it comes from CSV, so that every column is String.
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
        """Read a batch of rows at a time, in file order; a table without rows gives one empty batch.

        Parameters
        ----------
        columns
            Columns to read; all if None.

        Raises
        ------
        DataError
            A file is damaged.
        """
        n_rows = 0
        for file, name in zip(self.files, self.names, strict=True):
            selection = file if columns is None else file.select(columns)
            try:
                for batch in selection.collect_batches(chunk_size=BATCH_ROWS, maintain_order=True):
                    n_rows += batch.height
                    yield batch
            except UNREADABLE as error:
                kind = "CSV" if self.is_text else "Parquet"
                raise DataError(
                    f"{name}: cannot be read as {kind} ({first_line(error)}); write the file again."
                ) from None
        if not n_rows:
            yield self.files[0].select(columns or self.columns).head(0).collect()


def read_folder(folder: Path, findings: Findings) -> dict[str, RawTable | None]:
    """Find every table in a folder, and read all but interactions.

    Parameters
    ----------
    folder
        Holds, for each table, ``NAME.parquet``, ``NAME.csv``, ``NAME.csv.gz`` or a folder ``NAME`` of such files.
    findings
        Gets the faults and notes.

    Returns
    -------
    dict
        The tables that are there, by name; None for one that cannot be read.
    """
    tables: dict[str, RawTable | None] = {}
    for name in TABLES:
        places = [place for ending in ("", *ENDINGS) if (place := folder / f"{name}{ending}").exists()]
        if len(places) > 1:
            names = " and ".join(_relative_name(place, folder) for place in places)
            findings.fault(f"{name}: is there more than once ({names}); keep one of them.")
            tables[name] = None
        elif places:
            table = _find_files(name, places[0], folder, findings)
            tables[name] = table if table is None or name == STREAMED else _read(table, findings)
    table_names = (*TABLES, *KEPT_FOR_LATER)
    table_places = {folder / f"{name}{ending}" for name in table_names for ending in ("", *ENDINGS)} | {
        folder / "embeddings"
    }
    for place in sorted([*folder.glob("*"), *folder.glob("embeddings/*")]):
        if place not in table_places and (place.is_dir() or place.name.endswith(ENDINGS)) and place.name[0] not in "._":
            findings.note(f"{_relative_name(place, folder)}: ignored (not a table of firstday).")
    return tables


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, without a closing dot."""
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".")


def _relative_name(place: Path, folder: Path) -> str:
    """Name a file or folder as seen from the folder of tables."""
    return place.relative_to(folder).as_posix() + ("/" if place.is_dir() else "")


def _read(table: RawTable, findings: Findings) -> RawTable | None:
    """Read a table into memory."""
    try:
        return RawTable.of(table.frame, is_text=table.is_text)
    except DataError as error:
        findings.fault(str(error))
        return None


def _find_files(name: str, place: Path, folder: Path, findings: Findings) -> RawTable | None:
    """Find a table's file, or the files in its folder, and look at their columns."""
    files = [place]
    if place.is_dir():
        files = sorted(part for part in place.iterdir() if part.name.endswith(ENDINGS) and part.name[0] not in "._")
        if not files:
            findings.fault(f"{_relative_name(place, folder)}: holds no Parquet or CSV file; add one or remove it.")
            return None
    are_text = {not part.name.endswith(".parquet") for part in files}
    if len(are_text) > 1:
        findings.fault(f"{_relative_name(place, folder)}: holds Parquet beside CSV files; keep one format.")
        return None
    names = tuple(_relative_name(part, folder) for part in files)
    scans = [_scan(part, label, findings) for part, label in zip(files, names, strict=True)]
    readable = [scan for scan in scans if scan is not None]
    if len(readable) < len(scans):
        return None
    schemas = [scan.collect_schema() for scan in readable]
    columns = schemas[0].names()
    for label, schema in zip(names, schemas, strict=True):
        if set(schema) != set(columns):
            findings.fault(
                f"{label}: has other columns ({', '.join(schema)}) than {files[0].name} "
                f"({', '.join(columns)}); give every file of {name} the same columns."
            )
            return None
    try:
        empty = [pl.DataFrame(schema=schema).select(columns) for schema in schemas]
        shared = pl.concat(empty, how="vertical_relaxed").schema
        for schema in schemas:
            for label in columns:
                if schema[label] != shared[label] and (schema[label].is_nested() or shared[label].is_nested()):
                    raise pl.exceptions.SchemaError(f"{schema[label]} and {shared[label]} in column {label}")
    except pl.exceptions.PolarsError as error:
        reason = first_line(error)
        findings.fault(
            f"{_relative_name(place, folder)}: the files have columns of different types ({reason}); align them."
        )
        return None
    aligned = tuple(scan.select(pl.col(label).cast(shared[label]) for label in columns) for scan in readable)
    return RawTable(aligned, names, is_text=are_text.pop())


def _scan(path: Path, file_name: str, findings: Findings) -> pl.LazyFrame | None:
    """Open one file for reading in batches, and look through a CSV file for faults that Polars would hide."""
    try:
        if path.name.endswith(".parquet"):
            scan = pl.scan_parquet(path, glob=False, hive_partitioning=False)
            scan.collect_schema()
            return scan
        scan = pl.scan_csv(path, infer_schema=False, glob=False)
        columns = scan.collect_schema().names()
        with _open_text(path) as content:
            looks_plain = _looks_plain(content, len(columns))
    except pl.exceptions.NoDataError:
        findings.fault(f"{file_name}: is empty; write a header and rows, or remove it.")
        return None
    except UNREADABLE as error:
        kind = "Parquet" if path.name.endswith(".parquet") else "CSV"
        findings.fault(f"{file_name}: cannot be read as {kind} ({first_line(error)}); write the file again.")
        return None
    repeated = [column for column in columns if column.split("_duplicated_")[0] != column]
    if repeated:
        name = repeated[0].split("_duplicated_")[0]
        findings.fault(f"{file_name}: has the column {name} more than once; keep one of them.")
        return None
    short = None if looks_plain else _short_row(path, len(columns))
    if short:
        findings.fault(
            f"{file_name}: rows have fewer fields than the header's {len(columns)} (first: row {short:,}); "
            "write the file again, with quotes around text that has commas or line breaks."
        )
        return None
    return scan.filter(~pl.all_horizontal(pl.all().is_null()))  # blank lines


def _open_text(path: Path) -> IO[bytes]:
    """Open a CSV file for its bytes."""
    return cast("IO[bytes]", gzip.open(path)) if path.name.endswith(".gz") else path.open("rb")


def _looks_plain(content: IO[bytes], n_columns: int) -> bool:
    """Tell whether a file has no quotes and as many commas as its lines need; raise where it is not UTF-8.

    Polars accepts a header that is not UTF-8, and fills short rows with nulls.
    """
    decode = codecs.getincrementaldecoder("utf-8")().decode
    n_lines, n_commas, n_quotes, last = 0, 0, 0, b""
    while chunk := content.read(CHUNK_BYTES):
        decode(chunk)
        n_lines += chunk.count(b"\n")
        n_commas += chunk.count(b",")
        n_quotes += chunk.count(b'"')
        last = chunk[-1:]
    decode(b"", final=True)
    n_lines += last != b"\n"
    return not n_quotes and n_commas == n_lines * (n_columns - 1)


def _short_row(path: Path, n_columns: int) -> int | None:
    """Return the number of the first CSV row, from 1, that lacks fields, or None."""
    with _open_text(path) as content:
        rows = csv.reader(io.TextIOWrapper(content, encoding="utf-8-sig", newline=""))
        try:
            lengths = (len(row) for row in rows if row)
            next(lengths, None)
            return next((number for number, length in enumerate(lengths, 1) if length < n_columns), None)
        except csv.Error:  # a field too long for the csv module; Polars has read it
            return None
