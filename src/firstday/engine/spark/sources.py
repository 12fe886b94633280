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
    read = storage.session.read.parquet
    groups = defaultdict[tuple[str, ...], list[str]](list)
    for file in files.files:
        try:
            schema = read(stored[file.name].path).schema.json()
            groups[schema, *file.partitions].append(file.name)
        except Exception as error:
            findings.report(describe_damage(file.name, "Parquet", name_cause(error)))
    if sum(map(len, groups.values())) < len(files.files):
        return None
    facts = [
        {URI: stored[file.name].file_path, FILE: number, **file.partitions} for number, file in enumerate(files.files)
    ]
    table = pl.DataFrame(facts, schema_overrides={FILE: pl.Int32}, infer_schema_length=None, strict=False)
    file_facts = fn.broadcast(storage.session.createDataFrame(table.to_arrow()))
    location = (fn.col("_metadata.file_path").alias(URI), fn.col("_metadata.row_index").alias(ROW))
    parts: list[DataFrame] = []
    for (_, *partitions), names in groups.items():
        paths = [stored[name].path for name in names]
        rows = read(*paths).select("*", *location)
        own = [URI, FILE, *(f"`{key}`" for key in partitions if key not in rows.columns)]
        parts.append(rows.join(file_facts.select(own), URI, "left").drop(URI))
        columns = parts[-1].drop(FILE, ROW).columns
        first = parts[0].drop(FILE, ROW).columns
        if set(columns) != set(first):
            findings.report(describe_other_columns(files, names[0], columns, first))
            return None
    for column in parts[0].columns:
        types = [part.schema[column].dataType for part in parts]
        if len({isinstance(kind, NumericType) or kind for kind in types}) > 1:
            findings.report(describe_damage(files.path, "Parquet", f"the files have different types of {column}"))
            return None
    findings.sources[files.table] = tuple(partial(locate_row, file.name) for file in files.files)
    rows = reduce(DataFrame.unionByName, parts)
    return ClusterTable(rows.toDF(*findings.rename(files.table, rows.columns).values()))


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
