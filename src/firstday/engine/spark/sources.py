"""Sources of tables on a Spark cluster: a folder in any of its file systems, or Spark DataFrames."""

from __future__ import annotations

import atexit
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import polars as pl
from pyspark.sql import DataFrame
from pyspark.sql import functions as fn
from pyspark.sql.types import NumericType

from firstday.data.parts import USER_TABLES
from firstday.engine.spark.session import name_cause, open_session
from firstday.engine.spark.storage import Storage
from firstday.tables.faults import FILE, ROW, Findings, SourceFile
from firstday.tables.find import TableFiles, find_tables
from firstday.tables.frames import unknown_table
from firstday.tables.raw_table import RawTable
from firstday.tables.read import describe_other_columns, describe_other_types, open_table
from firstday.tables.schema import TABLES

URI = "firstday: uri"
STAGING_SETTING = "spark.firstday.staging"
"""Spark setting with a folder that all executors can read, for tables that are not Parquet."""


@dataclass(frozen=True, eq=False)
class ClusterTable:
    """A table whose rows are on the cluster.

    Parameters
    ----------
    frame
        Columns of the table, `FILE` and `ROW`.
    is_text
        Whether the table comes from separated text, where all values are text.
    sources
        Files, by index; empty for a frame.
    """

    frame: DataFrame
    is_text: bool = False
    sources: tuple[SourceFile, ...] = ()


@dataclass(frozen=True, eq=False)
class RawTables:
    """Unconverted tables of a dataset.

    Parameters
    ----------
    name
        Name of the dataset.
    of_users
        Tables with rows per user, on the cluster; None if a table cannot be read.
    shared
        The other tables, in the driver's memory; None if a table cannot be read.
    """

    name: str
    of_users: Mapping[str, ClusterTable | None]
    shared: Mapping[str, RawTable | None]


def take_tables(tables: str | Path | Mapping[str, Any], findings: Findings) -> RawTables:
    """Wrap Spark DataFrames by table name, or find all tables in a folder of the cluster."""
    if not isinstance(tables, Mapping):
        return _read_folder(Storage(open_session(), str(tables)), findings)
    of_users: dict[str, ClusterTable | None] = {}
    shared: dict[str, RawTable | None] = {}
    for name, frame in tables.items():
        if not isinstance(frame, DataFrame):
            kind = type(frame).__name__
            findings.fault(f"{name}: is a {kind}, but other tables are Spark DataFrames; use one kind for all tables.")
        elif name not in TABLES:
            findings.fault(unknown_table(name))
        elif name in USER_TABLES:
            of_users[name] = ClusterTable(frame.withColumns({FILE: fn.lit(0), ROW: fn.lit(0).cast("long")}))
        else:
            shared[name] = RawTable.of(pl.DataFrame(frame.toArrow()), name)
    return RawTables("tables", of_users, shared)


def _read_folder(storage: Storage, findings: Findings) -> RawTables:
    """Find all tables in a folder.

    Executors read Parquet files directly. The driver reads text files, one at a time, and stages them as Parquet.
    """
    stored = storage.list_files()
    scratch = Path(mkdtemp(prefix="firstday-"))
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)
    of_users: dict[str, ClusterTable | None] = {}
    shared: dict[str, RawTable | None] = {}
    for name, files in find_tables(stored, findings).items():
        if files is not None and name in USER_TABLES and files.format == "Parquet":
            of_users[name] = _scan_parquet(storage, files, stored, findings)
            continue
        table = None
        if files is not None:
            paths = {file.name: storage.fetch(file.name, scratch / "fetched" / file.name) for file in files.files}
            table = open_table(files, paths, findings)
        if name in USER_TABLES:
            of_users[name] = None if table is None else _stage(storage, name, table, scratch)
        else:
            shared[name] = table
    return RawTables(storage.name, of_users, shared)


def _scan_parquet(
    storage: Storage, files: TableFiles, stored: Mapping[str, Any], findings: Findings
) -> ClusterTable | None:
    """Read Parquet files with Spark; None, with a fault, if their columns are incompatible.

    Files with the same schema are read together. Spark widens mixed numeric types, like the local engine.
    """
    schemas: dict[tuple[str, ...], list[int]] = {}
    for number, file in enumerate(files.files):
        try:
            schema = storage.session.read.parquet(stored[file.name].toString()).schema
            schemas.setdefault((schema.json(), *file.partitions), []).append(number)
        except Exception as error:
            findings.fault(
                f"{file.name}: cannot be read as Parquet ({name_cause(error)}); correct it, or write it again."
            )
    if sum(map(len, schemas.values())) < len(files.files):
        return None
    parts = [_scan_files(storage, files, numbers, stored) for numbers in schemas.values()]
    columns = parts[0].drop(FILE, ROW).columns
    for part, (first, *_) in zip(parts, schemas.values(), strict=True):
        part_columns = part.drop(FILE, ROW).columns
        if set(part_columns) != set(columns):
            findings.fault(describe_other_columns(files, files.files[first].name, part_columns, columns))
            return None
    for column in columns:
        kinds = {part.schema[column].dataType for part in parts}
        if len(kinds) > 1 and not all(isinstance(kind, NumericType) for kind in kinds):
            names = sorted(kind.simpleString() for kind in kinds)
            findings.fault(describe_other_types(files, f"{' and '.join(names)} in column {column}"))
            return None
    sources = tuple(SourceFile(file.name) for file in files.files)
    return ClusterTable(reduce(DataFrame.unionByName, parts), sources=sources)


def _scan_files(storage: Storage, files: TableFiles, numbers: list[int], stored: Mapping[str, Any]) -> DataFrame:
    """Read Parquet files of one schema, with file and row indexes and partition columns."""
    paths = [stored[files.files[number].name] for number in numbers]
    rows = storage.session.read.parquet(*(path.toString() for path in paths))
    facts: dict[str, Any] = {
        name: pl.Series([file.partitions.get(name) for file in files.files], strict=False)[numbers]
        for name in files.files[numbers[0]].partitions
        if name not in rows.columns
    }
    facts |= {URI: [path.toUri().toString() for path in paths], FILE: pl.Series(numbers, dtype=pl.Int32)}
    file_facts = storage.session.createDataFrame(pl.DataFrame(facts).to_arrow())
    location = (fn.col("_metadata.file_path").alias(URI), fn.col("_metadata.row_index").alias(ROW))
    return rows.select("*", *location).join(fn.broadcast(file_facts), URI, "left").drop(URI)


def _stage(storage: Storage, name: str, table: RawTable, scratch: Path) -> ClusterTable:
    """Write the rows of text files as Parquet to a folder that all executors can read."""
    folder = scratch / "staged" / name
    folder.mkdir(parents=True)
    for number, rows in enumerate(table.files):
        rows.sink_parquet(folder / f"{number:06}.parquet")
    default = scratch.as_uri() if storage.local else f"{storage.uri}/../_firstday"
    target = Storage(storage.session, f"{storage.session.conf.get(STAGING_SETTING, default)}/{scratch.name}/{name}")
    target.put(folder)
    atexit.register(_remove, target)
    return ClusterTable(storage.session.read.parquet(target.uri), table.is_text, table.sources)


def _remove(folder: Storage) -> None:
    """Delete a staging folder if Spark is still running."""
    with suppress(Exception):
        folder.remove()
