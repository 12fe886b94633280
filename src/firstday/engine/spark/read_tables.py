"""Reading tables on a Spark cluster: find, check and divide them into parts of users that can be queried."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial, reduce
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as fn
from pyspark.sql.types import FractionalType

from firstday.config import Config, SignalConfig
from firstday.data.interactions import Known, check_interactions, find_ids
from firstday.data.parts import MENTIONS, Whole, join_findings, load_whole
from firstday.engine.spark.cluster_dataset import ClusterDataset
from firstday.engine.spark.session import collect_reports, named_errors, open_session, scratch_folder
from firstday.engine.spark.sources import ClusterTable, RawTables, read_folder, take_frames
from firstday.engine.spark.work import (
    PART,
    PARTS_DDL,
    SHARES_DDL,
    count_parts,
    divide,
    make_raw,
    read_part,
    to_polars,
)
from firstday.errors import DataError
from firstday.tables.categories import MAX_GROUP_VALUES, judge_group
from firstday.tables.conform import conform_table
from firstday.tables.faults import ROW, Findings
from firstday.tables.schema import TABLES
from firstday.tables.table_checks import check_presence, check_table

KEYS = {MENTIONS: "friend_id"}
"""Partition key of each table whose key is not `user_id`."""
MOST_PIECES = 512
"""Maximum number of pieces to divide some rows into; for more parts, Spark repartitions the rows by part first."""


def open_tables(
    tables: str | Path | Mapping[str, Any], config: Config, drop_bad_rows: float
) -> tuple[ClusterDataset | None, Findings]:
    """Read and check tables on Spark; the dataset is None if there are faults.

    Parameters
    ----------
    tables
        A folder accessible to the cluster, or Spark DataFrames by table name.
    config, drop_bad_rows
        See `firstday.engine.engines.load`.
    """
    findings = Findings(drop=drop_bad_rows > 0)
    with named_errors("tables"):
        if isinstance(tables, Mapping):
            dataset = read_tables(take_frames(tables, findings), config.signals, findings)
        else:
            raw = read_folder(open_session(), str(tables), scratch_folder(), findings)
            dataset = read_tables(raw, config.signals, findings)
    findings.settle(drop_bad_rows)
    if findings.faults or dataset is None:
        if dataset is not None:
            dataset.forget()
        return None, findings
    return replace(dataset, notes=findings.notes, left_out=findings.left_out), findings


def read_tables(raw: RawTables, signals: SignalConfig, findings: Findings) -> ClusterDataset | None:
    """Check all tables and divide them into parts; None if there are faults.

    Parameters
    ----------
    raw
        The tables.
    signals
        Known signals, and those that count as use.
    findings
        Collects the faults and notes.
    """
    names = {**raw.of_users, **raw.shared}
    check_presence(names, findings)
    tables, n_rows = check_shapes(raw.of_users, findings)
    interactions = tables.get("interactions")
    item_ids = pl.Series([], dtype=pl.String)
    if interactions is not None:
        item_ids = _find_items(interactions, signals, drop=findings.drop)
    groups = _find_groups(tables["users"], findings, drop=findings.drop) if "users" in tables else {}
    now = datetime.now(UTC)
    unreadable = frozenset(names) - {*tables, *raw.shared}
    whole = load_whole(raw.shared, item_ids, groups, frozenset(names), signals, findings, now, unreadable)
    n_parts = count_parts(sum(n_rows[name] for name in tables))
    parts = _read_parts(tables, whole, n_parts)
    if parts is None:
        return None
    try:
        reports = collect_reports(parts, raw.name)
    except DataError as error:
        findings.fault(str(error))
        return None
    join_findings(reports, signals, findings)
    findings.sources |= {name: table.sources for name, table in tables.items()}
    if not findings.are_usable:
        parts.unpersist()
        return None
    return ClusterDataset(raw.name, whole, parts, n_parts, findings.notes)


def check_shapes(
    tables: Mapping[str, ClusterTable | None], findings: Findings, may_be_empty: Collection[str] = ()
) -> tuple[dict[str, ClusterTable], dict[str, int]]:
    """Find faults that need no row data: missing columns, wrong column types and empty tables.

    Parameters
    ----------
    tables
        Tables with rows per user; None for unreadable ones.
    findings
        Collects the faults.
    may_be_empty
        Tables that may be empty.

    Returns
    -------
    usable : dict
        Tables whose rows can be divided by user.
    n_rows : dict
        Number of rows of each table.
    """
    usable: dict[str, ClusterTable] = {}
    n_rows: dict[str, int] = {}
    for name, table in tables.items():
        if table is None:
            continue
        n_rows[name] = table.frame.count()
        if not n_rows[name] and name in may_be_empty:
            continue
        shape, head = Findings(), _head(table)
        if name == "interactions":
            check_interactions(head, Known(), shape, is_text=table.names.is_text)
        else:
            conform_table(name, head, shape, is_text=table.names.is_text)
        for sentence in shape.faults:
            if not sentence.startswith(f"{name}: has no rows;") or not n_rows[name]:
                findings.fault(sentence)
        if "user_id" in table.columns:
            usable[name] = table
    return usable, n_rows


def _head(table: ClusterTable) -> pl.DataFrame:
    """Return the empty table with the same columns."""
    return make_raw(to_polars(table.frame.limit(0).toArrow()), table.names).whole


def divide_tables(tables: Mapping[str, ClusterTable], n_parts: int) -> DataFrame:
    """Group the rows of users by part; see `firstday.engine.spark.work.SHARES`."""
    shares = [_shares(name, KEYS.get(name, "user_id"), table, n_parts) for name, table in tables.items()]
    return reduce(DataFrame.unionAll, shares).repartition(n_parts, "part")


def _read_parts(tables: Mapping[str, ClusterTable], whole: Whole, n_parts: int) -> DataFrame | None:
    """Read each part of the users; the result is persisted on the executors' disks."""
    if not tables:
        return None
    friends = tables.get("friends")
    if friends is not None and "friend_id" in friends.columns:
        tables = {**tables, MENTIONS: friends}
    shares = divide_tables(tables, n_parts)
    names = {name: table.names for name, table in tables.items()}
    sent = shares.sparkSession.sparkContext.broadcast((whole, names))

    def work(table: pa.Table) -> pa.Table:
        return read_part(*sent.value, table)

    return shares.groupBy("part").applyInArrow(work, PARTS_DDL).persist(StorageLevel.DISK_ONLY)


def _shares(name: str, key: str, table: ClusterTable, n_parts: int) -> DataFrame:
    """Divide the rows of a table among parts by a column of user ids."""
    column = fn.col(key)
    if isinstance(table.frame.schema[key].dataType, FractionalType):  # a direct cast gives 1.2E7
        column = fn.when(column == fn.floor(column), column.cast("long").cast("string")).otherwise(
            column.cast("string")
        )
    folded = fn.lower(fn.trim(column.cast("string")))  # 7.0 = 007 = 7
    folded = fn.regexp_replace(fn.regexp_replace(folded, r"\.0+$", ""), "^0+", "")
    spread = fn.coalesce(folded, fn.col(f"`{ROW}`").cast("string"))  # spreads rows without a user over all parts
    part = fn.pmod(fn.xxhash64(spread), fn.lit(n_parts)).cast("int")
    rows = table.frame.withColumn(PART, part)
    if n_parts > MOST_PIECES:
        rows = rows.repartition(n_parts, PART)
    return rows.mapInArrow(partial(divide, name), SHARES_DDL)


def _find_items(interactions: ClusterTable, signals: SignalConfig, *, drop: bool) -> pl.Series:
    """Return the sorted distinct items of interactions, as integers if all ids are integers.

    If bad rows are left out, only the remaining rows count.
    """
    names = interactions.names

    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            raw = make_raw(to_polars(pa.Table.from_batches([batch])), names)
            ids = find_ids(raw, Known(signals=signals) if drop else None)["items"]
            text = ids.cast(pl.String).to_arrow().cast(pa.string())
            flags = pa.array([ids.dtype == pl.Int64] * len(ids), pa.bool_())
            yield pa.RecordBatch.from_arrays([text, flags], names=["id", "is_whole"])

    rows = interactions.frame.mapInArrow(work, "id string, is_whole boolean").distinct().toArrow()
    frame = to_polars(rows)
    ids = frame["id"].unique()
    return (ids.cast(pl.Int64) if frame["is_whole"].all() and len(ids) else ids).sort()


def _find_groups(users: ClusterTable, findings: Findings, *, drop: bool) -> dict[str, tuple[str, ...]]:
    """Return the values of each column of users that forms groups; note the columns that do not."""
    names = users.names

    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            raw = make_raw(to_polars(pa.Table.from_batches([batch])), names)
            frame = check_table("users", raw, {}, Findings(drop=drop), are_all=False)
            for column in frame.columns:
                if column not in TABLES["users"].kinds:
                    counts = frame[column].alias("value").value_counts(name="n")
                    counts = counts.select(pl.lit(column).alias("column"), "value", pl.col("n").cast(pl.Int64))
                    yield from (
                        counts.to_arrow()
                        .cast(pa.schema([("column", pa.string()), ("value", pa.string()), ("n", pa.int64())]))
                        .to_batches()
                    )

    counts = users.frame.mapInArrow(work, "column string, value string, n long").groupBy("column", "value")
    summed = counts.agg(fn.sum("n").alias("n")).persist(StorageLevel.DISK_ONLY)
    sizes = summed.groupBy("column").agg(fn.count("value").alias("n_values"), fn.sum("n").alias("n_users")).collect()
    groups: dict[str, tuple[str, ...]] = {}
    for size in sorted(sizes, key=lambda size: str(size["column"])):
        column, n_values = size["column"], int(size["n_values"])
        chosen = summed.where((fn.col("column") == column) & fn.col("value").isNotNull())
        rows = to_polars(chosen.select("value", "n").limit(MAX_GROUP_VALUES + 1).toArrow())
        if judge_group(f"users.{column}", rows, n_values, int(size["n_users"]), findings):
            groups[column] = tuple(rows["value"].sort().to_list())
    summed.unpersist()
    return groups
