"""Readers for the tables of a folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import polars as pl

from firstday.errors import Fault
from firstday.tables.faults import ROW, Findings, Source, locate_row
from firstday.tables.find import TableFile, TableFiles, find_tables, may_hold_tables
from firstday.tables.json_lines import scan_json_lines
from firstday.tables.raw_table import UNREADABLE, RawTable, add_location, describe_damage, first_line
from firstday.tables.separated import scan_text
from firstday.tables.text import UnreadableError, open_text


def read_folder(folder: Path, findings: Findings) -> dict[str, RawTable | None]:
    """Open all tables in a folder (see `find_tables`); None for a table that cannot be read."""
    paths = dict(_list_files(folder, findings))
    tables = find_tables(paths, findings)
    return {name: open_table(files, paths, findings) if files else None for name, files in tables.items()}


def _list_files(folder: Path, findings: Findings, prefix: str = "") -> Iterator[tuple[str, Path]]:
    """Yield the relative name and path of each entry; descend into folders that may contain tables."""
    try:
        entries = sorted(folder.iterdir())
    except PermissionError:
        findings.fault("unreadable", "cannot be read (permission denied); allow reading it.", file=str(folder))
        return
    for path in entries:
        name = prefix + os.fsencode(path.name).decode(errors="replace")
        if not path.is_dir():
            yield name, path
            continue
        yield f"{name}/", path
        is_loop = path.resolve() in (folder.resolve(), *folder.resolve().parents)
        if (prefix or may_hold_tables(f"{name}/")) and not is_loop:
            yield from _list_files(path, findings, f"{name}/")


def open_table(table: TableFiles, paths: dict[str, Path], findings: Findings) -> RawTable | None:
    """Open all files of a table and align their columns; None if there are faults. `paths` maps file names to paths."""
    scans = {}
    for file in table.files:
        scan = _open_file(paths[file.name], file, table.table, findings)
        if scan is not None:
            scans[file.name] = scan
    if len(scans) < len(table.files):
        return None
    columns = {name: scan.collect_schema().names()[1:] for name, scan in scans.items()}  # without `ROW`
    first = columns[table.files[0].name]
    for name, names in columns.items():
        if set(names) != set(first) and table.format != "JSON lines":  # JSON objects may omit columns
            findings.report(describe_other_columns(table, name, names, first))
            return None
    try:
        schema = pl.concat(scans.values(), how="diagonal_relaxed").collect_schema()
    except pl.exceptions.PolarsError as error:
        findings.report(describe_damage(table.path, table.format, first_line(error)))
        return None
    no_rows = pl.LazyFrame(schema=schema)
    aligned = {}
    for number, (name, scan) in enumerate(scans.items()):
        rows = pl.concat([no_rows, scan], how="diagonal_relaxed")
        aligned[name] = add_location(rows, number)
    return RawTable(aligned, table.format)


def describe_other_columns(table: TableFiles, name: str, columns: Iterable[str], first: Iterable[str]) -> Fault:
    """Return the fault for a file whose columns differ from those of the table's first file."""
    text = (
        f"has other columns ({', '.join(columns)}) than {table.files[0].name} ({', '.join(first)}); give every file of "
        f"{table.table} the same columns."
    )
    return Fault("other_columns", text, file=name)


def _open_file(path: Path, file: TableFile, table: str, findings: Findings) -> pl.LazyFrame | None:
    """Open a file for reading in batches; None, with a fault, if it cannot be read."""
    try:
        if not path.is_file():
            raise UnreadableError("not_a_file", "is not a regular file; replace it with one.")
        if file.format == "Parquet":
            scan = pl.scan_parquet(path, glob=False, hive_partitioning=False, row_index_name=ROW)
            source: Source = partial(locate_row, file.name)
        else:
            read = scan_text if file.format == "CSV" else scan_json_lines
            scan, source = read(open_text(path, file, table), findings)
        findings.sources[table] = (*findings.sources.get(table, ()), source)
        present = scan.collect_schema()  # columns of the file take precedence over partition columns
        new = {name: pl.lit(value) for name, value in file.partitions.items() if name not in present}
        return scan.with_columns(**new).rename(findings.rename(table, [*present, *new]))
    except UnreadableError as error:
        if error.args:
            code, text = error.args
            findings.fault(code, text, file=file.name)
    except UNREADABLE as error:
        findings.report(describe_damage(file.name, file.format, first_line(error)))
    return None
