"""Sources of tables on a Spark cluster: a folder in any of its file systems, or Spark DataFrames."""

from __future__ import annotations

import atexit
import shutil
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path
from tempfile import mkdtemp

import polars as pl
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as fn
from pyspark.sql.types import NumericType

from firstday.data.parts import USER_TABLES
from firstday.engine.protocol import Tables
from firstday.engine.spark.session import name_cause, open_session
from firstday.engine.spark.storage import Storage
from firstday.errors import Fault
from firstday.tables.faults import FILE, NOWHERE, ROW, Findings, locate_row
from firstday.tables.find import TableFiles, find_tables
from firstday.tables.frames import unknown_table
from firstday.tables.raw_table import RawTable, describe_damage
from firstday.tables.read import describe_other_columns, open_table
from firstday.tables.schema import TABLES

URI = "firstday: uri"
STAGING_SETTING = "spark.firstday.staging"
"""Spark setting with a folder that all executors can read, for tables that are not Parquet."""


@dataclass(frozen=True, eq=False)
class ClusterTable:
    """Rows of a table on the cluster, with `FILE` and `ROW`; if `is_text`, as in CSV, all values are text."""

    frame: DataFrame
    is_text: bool = False


RawTables = tuple[str, dict[str, ClusterTable | None], dict[str, RawTable | None]]
"""Name of a dataset, its tables with rows per user, and its other tables; None for a table that cannot be read."""


def take_tables(tables: Tables, findings: Findings) -> RawTables:
    """Wrap Spark DataFrames by table name, or find all tables in a folder of the cluster."""
    if not isinstance(tables, Mapping):
        return _read_folder(Storage(open_session(), str(tables)), findings)
    of_users: dict[str, ClusterTable | None] = {}
    shared: dict[str, RawTable | None] = {}
    for name, frame in tables.items():
        if not isinstance(frame, DataFrame):
            kind = type(frame).__name__
            text = f"is a {kind}, but other tables are Spark DataFrames; use one kind for all tables."
            findings.fault("unreadable", text, name)
        elif name not in TABLES:
            findings.report(unknown_table(name))
        else:
            renamed = frame.toDF(*findings.rename(name, frame.columns).values())
            if name in USER_TABLES:
                location = {FILE: fn.lit(NOWHERE), ROW: fn.lit(0).cast("long")}
                of_users[name] = ClusterTable(renamed.withColumns(location))
            else:
                shared[name] = RawTable.of(pl.DataFrame(renamed.toArrow()), name)
    return "tables", of_users, shared


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
    return storage.name, of_users, shared


def _scan_parquet(
    storage: Storage, files: TableFiles, stored: Mapping[str, Row], findings: Findings
) -> ClusterTable | None:
    """Read Parquet files with Spark; None, with a fault, if their columns are incompatible.

    Files with the same schema are read together. Spark widens mixed numeric types, like the local engine. The location
    and partition columns of each file are joined to its rows.
    """
    groups = _group_by_schema(storage, files, stored, findings)
    if sum(map(len, groups.values())) < len(files.files):
        return None
    facts = [
        {URI: stored[file.name].file_path, FILE: number, **file.partitions} for number, file in enumerate(files.files)
    ]
    table = pl.DataFrame(facts, schema_overrides={FILE: pl.Int32}, infer_schema_length=None, strict=False)
    file_facts = fn.broadcast(storage.session.createDataFrame(table.to_arrow()))
    parts = []
    for (_, *partitions), names in groups.items():
        rows = _read_located(storage, [stored[name].path for name in names])
        own = [URI, FILE, *(f"`{key}`" for key in partitions if key not in rows.columns)]
        parts.append(rows.join(file_facts.select(own), URI, "left").drop(URI))
    if fault := _find_incompatible(files, parts, list(groups.values())):
        findings.report(fault)
        return None
    findings.sources[files.table] = tuple(partial(locate_row, file.name) for file in files.files)
    rows = reduce(DataFrame.unionByName, parts)
    return ClusterTable(rows.toDF(*findings.rename(files.table, rows.columns).values()))


def _group_by_schema(
    storage: Storage, files: TableFiles, stored: Mapping[str, Row], findings: Findings
) -> dict[tuple[str, ...], list[str]]:
    """Return the names of files by schema and partition columns; add a fault for each damaged file."""
    groups = defaultdict[tuple[str, ...], list[str]](list)
    for file in files.files:
        try:
            schema = storage.session.read.parquet(stored[file.name].path).schema.json()
            groups[schema, *file.partitions].append(file.name)
        except Exception as error:
            findings.report(describe_damage(file.name, "Parquet", name_cause(error)))
    return groups


def _read_located(storage: Storage, paths: list[str]) -> DataFrame:
    """Read Parquet files with the URI and row number of each row."""
    location = (fn.col("_metadata.file_path").alias(URI), fn.col("_metadata.row_index").alias(ROW))
    return storage.session.read.parquet(*paths).select("*", *location)


def _find_incompatible(files: TableFiles, parts: list[DataFrame], names: list[list[str]]) -> Fault | None:
    """Return a fault if some files, of which each part has the `names`, have other columns or types than the first."""
    first = parts[0].drop(FILE, ROW).columns
    for part, part_names in zip(parts, names, strict=True):
        columns = part.drop(FILE, ROW).columns
        if set(columns) != set(first):
            return describe_other_columns(files, part_names[0], columns, first)
    for column in parts[0].columns:
        types = [part.schema[column].dataType for part in parts]
        if len({isinstance(kind, NumericType) or kind for kind in types}) > 1:
            return describe_damage(files.path, "Parquet", f"the files have different types of {column}")
    return None


def _stage(storage: Storage, name: str, table: RawTable, scratch: Path) -> ClusterTable:
    """Write the rows of text files as Parquet to a folder that all executors can read."""
    folder = scratch / "staged" / name
    folder.mkdir(parents=True)
    pl.concat(table.files.values()).sink_parquet(folder / "rows.parquet")
    default = scratch.as_uri() if storage.local else f"{storage.uri}/../_firstday"
    staging = storage.session.conf.get(STAGING_SETTING, default)
    target = Storage(storage.session, f"{staging}/{scratch.name}/{name}")
    target.put(folder)
    atexit.register(_remove, target)
    return ClusterTable(storage.session.read.parquet(target.uri), table.is_text)


def _remove(folder: Storage) -> None:
    """Delete a staging folder if Spark is still running."""
    with suppress(Exception):
        folder.remove()
