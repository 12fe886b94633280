"""Sources of tables on a Spark cluster: a folder in any of its file systems, or Spark DataFrames."""

from __future__ import annotations

import atexit
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as fn
from pyspark.sql.types import NumericType

from firstday.data.parts import USER_TABLES
from firstday.engine.spark.session import name_cause
from firstday.engine.spark.storage import Storage, StoredFile
from firstday.engine.spark.work import TableNames, to_polars
from firstday.tables.faults import FILE, ROW, Findings, SourceFile
from firstday.tables.find import TableFiles, find_tables
from firstday.tables.frames import unknown_table
from firstday.tables.raw_table import RawTable
from firstday.tables.read import describe_other_columns, describe_other_types, open_table
from firstday.tables.schema import TABLES

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

URI = "firstday: uri"
STAGING = "spark.firstday.staging"
"""Spark setting with a folder that all executors can read, for tables that are not Parquet."""


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
        Its files by number; empty for a frame.
    """

    frame: DataFrame
    names: TableNames
    sources: tuple[SourceFile, ...] = ()

    @property
    def columns(self) -> list[str]:
        """The column names as written."""
        return [column for column in self.frame.columns if column not in (FILE, ROW)]


@dataclass(frozen=True, eq=False)
class RawTables:
    """Tables as found.

    Parameters
    ----------
    name
        Name of the dataset.
    of_users
        Tables with rows per user, on the cluster; None for unreadable ones.
    shared
        The other tables, in the driver's memory; None for unreadable ones.
    """

    name: str
    of_users: Mapping[str, ClusterTable | None]
    shared: Mapping[str, RawTable | None]


def take_frames(tables: Mapping[str, Any], findings: Findings) -> RawTables:
    """Take Spark DataFrames by table name."""
    of_users: dict[str, ClusterTable | None] = {}
    shared: dict[str, RawTable | None] = {}
    for name, frame in tables.items():
        if not isinstance(frame, DataFrame):
            kind = type(frame).__name__
            findings.fault(
                f"{name}: is a {kind} beside Spark DataFrames; give Spark DataFrames alone, or none of them."
            )
        elif name not in TABLES:
            findings.fault(unknown_table(name))
        elif name in USER_TABLES:
            plain, dotted = _without_dots(frame)
            placeless = plain.withColumns({FILE: fn.lit(0), ROW: fn.lit(0).cast("long")})
            of_users[name] = ClusterTable(placeless, TableNames(dotted=dotted))
        else:
            shared[name] = RawTable.of(to_polars(frame.toArrow()), name)
    return RawTables("tables", of_users, shared)


def read_folder(session: SparkSession, uri: str, scratch: Path, findings: Findings) -> RawTables:
    """Find every table in a folder of the cluster.

    Parquet files are read in place. Text files are read on the driver, one at a time, and staged on the cluster as
    Parquet.

    Parameters
    ----------
    session
        Session with access to the file system.
    uri
        The folder.
    scratch
        Local folder for copies; must exist until the tables are read.
    findings
        Collects the faults and notes.
    """
    storage = Storage(session, uri)
    stored = {file.path: file for file in storage.list_files()}
    folders = {f"{parent}/" for path in stored for parent in map(str, Path(path).parents) if parent != "."}
    of_users: dict[str, ClusterTable | None] = {}
    shared: dict[str, RawTable | None] = {}
    for name, files in find_tables([*folders, *stored], findings).items():
        if files is not None and name in USER_TABLES and files.format == "Parquet":
            of_users[name] = _scan_parquet(session, files, stored, findings)
            continue
        table = None
        if files is not None:
            places = {file.name: _bring(storage, stored[file.name], scratch) for file in files.files}
            table = open_table(files, places, findings)
        if name in USER_TABLES:
            of_users[name] = None if table is None else _stage(session, storage, name, table, scratch)
        else:
            shared[name] = None if table is None else table.into_memory(findings)
    return RawTables(storage.name, of_users, shared)


def _bring(storage: Storage, file: StoredFile, scratch: Path) -> Path:
    """Return the local path of a file, copying it if necessary."""
    if storage.local is not None:
        return storage.local / file.path
    return storage.fetch(file.path, scratch / "fetched" / file.path)


def _scan_parquet(
    session: SparkSession, files: TableFiles, stored: Mapping[str, StoredFile], findings: Findings
) -> ClusterTable | None:
    """Read Parquet files in place with Spark; None, with a fault, if their columns are incompatible.

    Files with the same schema are read together. Spark widens mixed numeric types, as the local engine does.
    """
    schemas: dict[str, list[int]] = {}
    uris = [stored[file.name].uri for file in files.files]
    for number, (file, uri) in enumerate(zip(files.files, uris, strict=True)):
        try:
            schemas.setdefault(session.read.parquet(uri).schema.json(), []).append(number)
        except Exception as error:
            findings.fault(f"{file.name}: cannot be read as Parquet ({name_cause(error)}); write the file again.")
    if sum(map(len, schemas.values())) < len(uris):
        return None
    parts = [_scan_files(session, [uris[number] for number in numbers], numbers, files) for numbers in schemas.values()]
    columns = [name for name in parts[0].columns if name not in (FILE, ROW)]
    for part, numbers in zip(parts, schemas.values(), strict=True):
        present = [name for name in part.columns if name not in (FILE, ROW)]
        if set(present) != set(columns):
            findings.fault(describe_other_columns(files, files.files[numbers[0]].name, present, columns))
            return None
    for column in columns:
        kinds = {part.schema[column].dataType for part in parts}
        if len(kinds) > 1 and not all(isinstance(kind, NumericType) for kind in kinds):
            names = sorted(kind.simpleString() for kind in kinds)
            findings.fault(describe_other_types(files, f"{' and '.join(names)} in column {column}"))
            return None
    frame, dotted = _without_dots(reduce(lambda one, other: one.unionByName(other), parts))
    sources = tuple(SourceFile(file.name) for file in files.files)
    return ClusterTable(frame, TableNames(are_files=True, dotted=dotted), sources)


def _without_dots(frame: DataFrame) -> tuple[DataFrame, tuple[tuple[str, str], ...]]:
    """Rename columns with a dot in their names, which Spark cannot handle; return both names of each."""
    dotted = tuple((f"firstday: column {n}", name) for n, name in enumerate(frame.columns) if "." in name)
    hidden = {name: new for new, name in dotted}
    return (frame.toDF(*(hidden.get(name, name) for name in frame.columns)) if dotted else frame), dotted


def _scan_files(session: SparkSession, uris: list[str], numbers: list[int], files: TableFiles) -> DataFrame:
    """Read Parquet files of one schema, with file and row numbers and the columns encoded in folder names."""
    rows = session.read.parquet(*uris)
    present = set(rows.columns)
    names = [name for name in files.files[numbers[0]].partitions if name not in present]
    given = {name: [file.partitions.get(name) for file in files.files] for name in names}
    are_text = {name: any(isinstance(value, str) for value in values) for name, values in given.items()}
    kinds = ", ".join(f"`{name}` {'string' if are_text[name] else 'long'}" for name in names)
    values = [
        (
            uri,
            number,
            *(
                str(given[name][number]) if are_text[name] and given[name][number] is not None else given[name][number]
                for name in names
            ),
        )
        for uri, number in zip(uris, numbers, strict=True)
    ]
    known = session.createDataFrame(values, f"`{URI}` string, `{FILE}` int" + (f", {kinds}" if kinds else ""))
    place = (fn.col("_metadata.file_path").alias(URI), fn.col("_metadata.row_index").alias(ROW))
    return rows.select("*", *place).join(fn.broadcast(known), URI, "left").drop(URI)


def _stage(session: SparkSession, storage: Storage, name: str, table: RawTable, scratch: Path) -> ClusterTable:
    """Write the rows of text files as Parquet, where all executors can read them."""
    folder = scratch / "staged" / name
    folder.mkdir(parents=True)
    for number, rows in enumerate(table.files):
        rows.sink_parquet(folder / f"{number:06}.parquet")
    staging = session.conf.get(STAGING, "") or (
        "" if storage.local is not None else f"{storage.whole_uri}/../_firstday"
    )
    place = folder.as_uri()
    if staging:
        target = Storage(session, f"{staging.rstrip('/')}/{scratch.name}/{name}")
        target.put(folder)
        place = target.whole_uri
    frame = session.read.parquet(place)
    if staging:
        atexit.register(_remove_quietly, target)
    return ClusterTable(frame, TableNames(are_files=True, is_text=table.is_text), table.sources)


def _remove_quietly(folder: Storage) -> None:
    """Delete the staged files if Spark is still running."""
    with suppress(Exception):
        folder.remove()
