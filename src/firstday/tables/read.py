"""Readers for the tables of a folder: loaded into memory, except for interactions, which are read in batches."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl

from firstday.tables.faults import ROW, Findings, SourceFile
from firstday.tables.find import TableFile, TableFiles, find_tables, may_hold_tables
from firstday.tables.json_lines import scan_json_lines
from firstday.tables.raw_table import PACKING_ERRORS, UNREADABLE, RawTable, add_place, first_line, join_types
from firstday.tables.separated import scan_text
from firstday.tables.text import EMPTY, UnreadableError, open_text

STREAMED = "interactions"
"""The only table that may exceed memory; its rows stay in the files."""


def read_folder(folder: Path, findings: Findings) -> dict[str, RawTable | None]:
    """Find all tables in a folder, and load all but interactions; None for a table that cannot be read.

    Each table is a file such as ``NAME.parquet`` or ``NAME.csv``, or a folder ``NAME`` of such files; see
    `find_tables`.
    """
    paths = dict(_list_files(folder, findings))
    tables: dict[str, RawTable | None] = {}
    for name, files in find_tables(paths, findings).items():
        table = None if files is None else open_table(files, paths, findings)
        tables[name] = table if table is None or name == STREAMED else table.into_memory(findings)
    return tables


def _list_files(folder: Path, findings: Findings, prefix: str = "") -> Iterator[tuple[str, Path]]:
    """Yield the relative name and path of each entry, descending into folders that may be tables."""
    try:
        entries = sorted(folder.iterdir())
    except PermissionError:
        findings.fault(f"{prefix}: may not be read; allow reading it.")
        return
    for path in entries:
        name = prefix + os.fsencode(path.name).decode(errors="replace")
        if not path.is_dir():
            yield name, path
            continue
        yield f"{name}/", path
        is_loop = path.resolve() in (folder.resolve(), *folder.resolve().parents)
        if (prefix or may_hold_tables(name)) and not is_loop:
            yield from _list_files(path, findings, f"{name}/")


def open_table(table: TableFiles, paths: dict[str, Path], findings: Findings) -> RawTable | None:
    """Open all files of a table and align their columns; None if there are faults. `paths` maps file names to paths."""
    files = [opened for file in table.files if (opened := _open_file(paths[file.name], file, table.table, findings))]
    if len(files) < len(table.files):
        return None
    scans = [
        rows.with_columns(
            pl.lit(value).alias(name)
            for name, value in file.partitions.items()
            if name not in rows.collect_schema()  # a column of the file takes precedence
        )
        for file, (rows, _) in zip(table.files, files, strict=True)
    ]
    schemas = [{name: kind for name, kind in scan.collect_schema().items() if name != ROW} for scan in scans]
    for file, schema in zip(table.files, schemas, strict=True):
        if schema.keys() != schemas[0].keys() and table.format != "JSON lines":  # JSON objects may lack any column
            findings.fault(describe_other_columns(table, file.name, schema, schemas[0]))
            return None
    shared: dict[str, pl.DataType] = {}
    try:
        for name, kind in (column for schema in schemas for column in schema.items()):
            shared[name] = join_types(name, shared.get(name, pl.Null()), kind)
    except pl.exceptions.PolarsError as error:
        findings.fault(describe_other_types(table, first_line(error)))
        return None
    aligned = []
    for number, (scan, schema) in enumerate(zip(scans, schemas, strict=True)):
        values = [
            (pl.col(name) if name in schema else pl.lit(None)).cast(kind).alias(name) for name, kind in shared.items()
        ]
        aligned.append(add_place(scan.select(*values, ROW), number))
    return RawTable(tuple(aligned), tuple(source for _, source in files), table.format)


def describe_other_columns(table: TableFiles, name: str, columns: Iterable[str], first: Iterable[str]) -> str:
    """Return the fault of a file whose columns differ from those of its table's first file."""
    return (
        f"{name}: has other columns ({', '.join(columns)}) than {table.files[0].name} "
        f"({', '.join(first)}); give every file of {table.table} the same columns."
    )


def describe_other_types(table: TableFiles, reason: str) -> str:
    """Return the fault of files with incompatible column types."""
    return f"{table.path}: the files have columns of different types ({reason}); align them."


def _open_file(path: Path, file: TableFile, table: str, findings: Findings) -> tuple[pl.LazyFrame, SourceFile] | None:
    """Open one file for reading in batches; None with a fault."""
    try:
        if path.exists() and not path.is_file():
            raise UnreadableError("is a pipe or a device; put a file in its place.")
        if file.format != "Parquet":
            text = open_text(path, file, table)
            scan, line_of = (scan_text if file.format == "CSV" else scan_json_lines)(text, findings)
            return scan, SourceFile(file.name, line_of, text.folder)
        if not path.stat().st_size:
            raise UnreadableError(EMPTY)
        scan = pl.scan_parquet(path, glob=False, hive_partitioning=False, row_index_name=ROW)
        scan.collect_schema()
        return scan, SourceFile(file.name)
    except UnreadableError as error:
        findings.fault(*(f"{file.name}: {fault}" for fault in error.args))
    except UNREADABLE as error:
        findings.fault(f"{file.name}: {_describe_damage(file, error)}")
    return None


def _describe_damage(file: TableFile, error: BaseException) -> str:
    """Describe why a file cannot be opened, decompressed or read."""
    if isinstance(error, PermissionError):
        return "may not be read; allow reading it."
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"is copied to be read, and {tempfile.gettempdir()} has no space; make space, or set TMPDIR."
    if isinstance(error, PACKING_ERRORS) and file.packing and getattr(error, "errno", None) is None:
        return f"is not {file.packing}, cut off or damaged; copy or write it again."
    how = "" if isinstance(error, OSError) else f" as {file.format}"
    return f"cannot be read{how} ({first_line(error)}); write the file again."
