"""Reading the Parquet and CSV files of a folder's tables, a batch of rows at a time."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO, cast

import polars as pl

from firstday.data.findings import Findings, SourceFile
from firstday.data.raw_table import ROW, UNREADABLE, RawFile, RawTable, first_line
from firstday.data.schema import KEPT_FOR_LATER, TABLES

ENDINGS = (".parquet", ".csv", ".csv.gz")
STREAMED = "interactions"
"""The only table that may be larger than memory: it stays in its files."""

CHUNK_BYTES = 2**24


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
            tables[name] = table if table is None or name == STREAMED else table.into_memory(findings)
    table_names = (*TABLES, *KEPT_FOR_LATER)
    table_places = {folder / f"{name}{ending}" for name in table_names for ending in ("", *ENDINGS)} | {
        folder / "embeddings"
    }
    for place in sorted([*folder.glob("*"), *folder.glob("embeddings/*")]):
        if place not in table_places and (place.is_dir() or place.name.endswith(ENDINGS)) and place.name[0] not in "._":
            findings.note(f"{_relative_name(place, folder)}: ignored (not a table of firstday).")
    return tables


def _relative_name(place: Path, folder: Path) -> str:
    """Name a file or folder as seen from the folder of tables."""
    return place.relative_to(folder).as_posix() + ("/" if place.is_dir() else "")


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
    schemas = [
        pl.Schema({name: kind for name, kind in scan.collect_schema().items() if name != ROW}) for scan in readable
    ]
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
    is_text = are_text.pop()
    aligned = tuple(
        RawFile(
            scan.select(*(pl.col(label).cast(shared[label]) for label in columns), ROW),
            SourceFile(label, _line_of(part) if is_text else None, number),
        )
        for number, (scan, part, label) in enumerate(zip(readable, files, names, strict=True))
    )
    return RawTable(aligned, is_text, "CSV" if is_text else "Parquet")


def _scan(path: Path, file_name: str, findings: Findings) -> pl.LazyFrame | None:
    """Open one file for reading in batches, and look through a CSV file for faults that Polars would hide."""
    try:
        if path.name.endswith(".parquet"):
            scan = pl.scan_parquet(path, glob=False, hive_partitioning=False, row_index_name=ROW)
            scan.collect_schema()
            return scan
        scan = pl.scan_csv(path, infer_schema=False, glob=False, row_index_name=ROW)
        columns = [name for name in scan.collect_schema().names() if name != ROW]
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
    return scan.filter(~pl.all_horizontal(pl.exclude(ROW).is_null()))  # blank lines


def _line_of(path: Path) -> Callable[[int], int]:
    """Return how to find the line of a row of a CSV file."""
    return partial(find_line, path)


def find_line(path: Path, row: int) -> int:
    """Return the line, from 1, on which a row of a CSV file begins; rows are counted from 0 after the header."""
    with _open_text(path) as content:
        rows = csv.reader(io.TextIOWrapper(content, encoding="utf-8-sig", newline=""))
        begins = 1
        for number, _ in enumerate(rows, -1):  # the header is row -1
            if number == row:
                break
            begins = rows.line_num + 1
        return begins


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
