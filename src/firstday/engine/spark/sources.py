"""Where tables come from on a Spark cluster: a folder in any of its file systems, or Spark DataFrames."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
from pyspark.sql import DataFrame
from pyspark.sql import functions as fn

from firstday.data.find_tables import TableFiles, find_tables
from firstday.data.findings import Findings, SourceFile
from firstday.data.parts import USER_TABLES
from firstday.data.raw_table import FILE, ROW, RawTable
from firstday.data.readers import open_table
from firstday.engine.spark.storage import Storage, StoredFile
from firstday.engine.spark.work import TableNames, to_polars

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

STAGING = "spark.firstday.staging"
"""The setting that names a folder which all executors can read, for tables that are not Parquet."""


@dataclass(frozen=True, eq=False)
class ClusterTable:
    """A table whose rows are on the cluster.

    Parameters
    ----------
    frame
        Its columns, `FILE` and `ROW`.
    names
        How it is written.
    sources
        Its text files, which know the lines of their rows; none where rows are counted.
    """

    frame: DataFrame
    names: TableNames
    sources: tuple[SourceFile, ...] = ()

    @property
    def columns(self) -> list[str]:
        """The columns as they are written."""
        constants = {column: None for values in self.names.constants for column in values}
        return [column for column in (*self.frame.columns, *constants) if column not in (FILE, ROW)]


@dataclass(frozen=True, eq=False)
class RawTables:
    """Tables as they were found.

    Parameters
    ----------
    name
        The dataset's name.
    of_users
        The tables whose rows belong to users, on the cluster; None for one that cannot be read.
    shared
        The other tables, in the driver's memory; None for one that cannot be read.
    """

    name: str
    of_users: Mapping[str, ClusterTable | None]
    shared: Mapping[str, RawTable | None]


def take_frames(tables: Mapping[str, Any], findings: Findings) -> RawTables:
    """Take Spark DataFrames by the names of their tables."""
    of_users: dict[str, ClusterTable | None] = {}
    shared: dict[str, RawTable | None] = {}
    for name, frame in tables.items():
        if not isinstance(frame, DataFrame):
            kind = type(frame).__name__
            findings.fault(
                f"{name}: is a {kind} beside Spark DataFrames; give Spark DataFrames alone, or none of them."
            )
        elif name in USER_TABLES:
            placeless = frame.withColumns({FILE: fn.lit(0), ROW: fn.lit(0).cast("long")})
            of_users[name] = ClusterTable(placeless, TableNames())
        else:
            shared[name] = RawTable.of(to_polars(frame.toArrow()))
    return RawTables("tables", of_users, shared)


def read_folder(session: SparkSession, uri: str, scratch: Path, findings: Findings) -> RawTables:
    """Find every table in a folder of the cluster.

    Parquet files stay where they are. Text is read here, a file at a time, and handed to the cluster as Parquet.

    Parameters
    ----------
    session
        Knows the file system.
    uri
        The folder.
    scratch
        A folder of this machine for copies, as long as the tables are read.
    findings
        Gets the faults and notes.
    """
    storage = Storage(session, uri)
    stored = {file.path: file for file in storage.list_files()}
    folders = {f"{parent}/" for path in stored for parent in map(str, Path(path).parents) if parent != "."}
    listing = [*((folder, 0) for folder in sorted(folders)), *((file.path, file.n_bytes) for file in stored.values())]
    of_users: dict[str, ClusterTable | None] = {}
    shared: dict[str, RawTable | None] = {}
    for name, files in find_tables(sorted(listing), findings).items():
        table = None
        if files is not None and name in USER_TABLES and files.form == "Parquet" and storage.local is None:
            of_users[name] = _scan_parquet(session, files, stored)
            continue
        if files is not None:
            places = {file.name: _bring(storage, stored[file.name], scratch) for file in files.files}
            table = open_table(files, places, findings)
        if name not in USER_TABLES:
            shared[name] = None if table is None else table.into_memory(findings)
        elif table is None or files is None:
            of_users[name] = None
        elif files.form == "Parquet":
            of_users[name] = _scan_parquet(session, files, stored)
        else:
            of_users[name] = _stage(session, storage, name, table, scratch)
    return RawTables(storage.name, of_users, shared)


def _bring(storage: Storage, file: StoredFile, scratch: Path) -> Path:
    """Return a file on this machine: where it is, or a copy."""
    if storage.local is not None:
        return storage.local / file.path
    return storage.fetch(file.path, scratch / "fetched" / file.path)


def _scan_parquet(session: SparkSession, files: TableFiles, stored: Mapping[str, StoredFile]) -> ClusterTable:
    """Let Spark read Parquet files where they are."""
    uris = [stored[file.name].uri for file in files.files]
    rows = session.read.option("mergeSchema", "true").parquet(*uris)
    numbers = session.createDataFrame([(uri, number) for number, uri in enumerate(uris)], f"uri string, `{FILE}` int")
    numbered = rows.select("*", fn.col("_metadata.file_path").alias("uri"), fn.col("_metadata.row_index").alias(ROW))
    frame = numbered.join(fn.broadcast(numbers), "uri", "left").drop("uri")
    partitions = tuple(dict(file.partitions) for file in files.files)
    return ClusterTable(frame, TableNames(tuple(file.name for file in files.files), False, partitions))


def _stage(session: SparkSession, storage: Storage, name: str, table: RawTable, scratch: Path) -> ClusterTable:
    """Write the rows of text files as Parquet, where all executors can read them."""
    folder = scratch / "staged" / name
    folder.mkdir(parents=True)
    for number, file in enumerate(table.files):
        rows = file.rows.with_columns(pl.lit(number, pl.Int32).alias(FILE), pl.col(ROW).cast(pl.Int64))
        rows.sink_parquet(folder / f"{number:06}.parquet")
    staging = session.conf.get(STAGING, "") or (
        "" if storage.local is not None else f"{storage.whole_uri}/../_firstday"
    )
    place = folder.as_uri()
    if staging:
        target = Storage(session, f"{staging.rstrip('/')}/{scratch.name}/{name}")
        target.put(folder)
        place = target.whole_uri
    names = TableNames(tuple(file.source.name for file in table.files), table.is_text)
    frame = session.read.parquet(place)
    if staging:
        weakref.finalize(frame, _remove_quietly, target)
    return ClusterTable(frame, names, tuple(file.source for file in table.files))


def _remove_quietly(folder: Storage) -> None:
    """Delete what was staged, if Spark is still there."""
    with suppress(Exception):
        folder.remove()


def name_lines(findings: Findings, tables: Mapping[str, ClusterTable]) -> None:
    """Put files that know lines in place of their names, which is all that executors know."""
    for fault in findings.row_faults.values():
        fault.source = _with_lines(fault.source, fault.table, tables)
    findings.left_out_rows = [
        replace(row, source=_with_lines(row.source, row.table, tables)) for row in findings.left_out_rows
    ]


def _with_lines(source: SourceFile | None, table: str, tables: Mapping[str, ClusterTable]) -> SourceFile | None:
    """Return the file that stands for another."""
    files = tables[table].sources if table in tables else ()
    return source if source is None or not files else files[source.number]
