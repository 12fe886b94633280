"""Reading tables on a Spark cluster: find them, check them, and divide them into parts of users."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial, reduce
from pathlib import Path
from typing import Any, cast

import polars as pl
import pyarrow as pa
from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as fn
from pyspark.sql.types import FractionalType, StringType

from firstday.config import Config, SignalConfig
from firstday.data.dataset import Dataset
from firstday.data.interactions import Vocabulary, check_interactions, unite_ids
from firstday.data.parts import MENTIONS, join_findings, load_whole
from firstday.engine.protocol import Tables
from firstday.engine.spark.cluster_dataset import ClusterDataset, collect_answers
from firstday.engine.spark.session import named_errors
from firstday.engine.spark.sources import ClusterTable, RawTables, take_tables
from firstday.engine.spark.work import (
    PARTS_DDL,
    Batches,
    answer_tables,
    count_parts,
    count_values,
    find_items,
    make_raw,
    read_part,
)
from firstday.errors import DataError
from firstday.tables.categories import MAX_GROUP_VALUES, check_group
from firstday.tables.conform import conform_table
from firstday.tables.faults import ROW, Findings
from firstday.tables.raw_table import RawTable
from firstday.tables.table_checks import check_presence


def check_tables(
    tables: Tables,
    *,
    path: str | Path | None = None,  # noqa: ARG001  a local copy
    config: Config,
    drop_bad_rows: float,
) -> tuple[ClusterDataset | None, Findings]:
    """Read and check tables on Spark; the dataset is None if there are faults. See `firstday.load`."""
    findings = Findings(drop=drop_bad_rows > 0, config=config)
    with named_errors("tables"):
        dataset = _read(take_tables(tables, findings), config.signals, findings)
    findings.settle(drop_bad_rows)
    if dataset is not None and findings.faults:
        dataset.forget()
        dataset = None
    return dataset and replace(dataset, notes=findings.notes, left_out=findings.left_out), findings


def _read(raw: RawTables, signals: SignalConfig, findings: Findings) -> ClusterDataset | None:
    """Check all tables and divide them into parts; None if no table has rows per user, or a file is damaged."""
    name, of_users, shared = raw
    names = frozenset({*of_users, *shared})
    check_presence(names, findings)
    tables, n_rows = check_shapes(of_users, findings)
    item_ids = pl.Series([], dtype=pl.String)
    groups = {}
    if "interactions" in tables:
        item_ids = _find_items(tables["interactions"], findings)
    if "users" in tables:
        groups = _find_groups(tables["users"], findings)
    home: str | None = "users" if "users" in names else "interactions"
    if home not in tables:
        home = None
    whole = load_whole(shared, item_ids, groups, names, signals, findings, datetime.now(UTC), home)
    if not tables:
        return None
    if "friends" in tables and "friend_id" in tables["friends"].frame.columns:
        tables[MENTIONS] = tables["friends"]
    n_parts = count_parts(n_rows)
    parts = map_tables(tables, n_parts, read_part, whole)
    try:
        join_findings(collect_answers(parts, name), signals, findings)
    except DataError as error:
        findings.report(*error.faults)
        return None
    return ClusterDataset(name, cast("Dataset", whole.catalogue), parts, n_parts)  # None only if there are faults


def check_shapes(
    tables: Mapping[str, ClusterTable | None], findings: Findings, may_be_empty: Collection[str] = ()
) -> tuple[dict[str, ClusterTable], int]:
    """Find faults of tables with rows per user as a whole: missing columns, wrong column types, no rows.

    Returns the tables that can be divided by `user_id`, and their number of rows. Tables that `may_be_empty` are
    omitted if they are.
    """
    usable = {}
    n_usable = 0
    for name, table in tables.items():
        if table is None:
            continue
        n_rows = table.frame.count()
        if not n_rows and name in may_be_empty:
            continue
        shape = findings.fresh()
        first = pl.DataFrame(table.frame.limit(1).toArrow())
        if name == "interactions":
            check_interactions(first, Vocabulary(), shape, is_text=table.is_text)
        else:
            conform_table(name, first, shape, is_text=table.is_text)
        findings.found |= {key: finding for key, finding in shape.found.items() if not finding.n}
        if "user_id" in table.frame.columns:
            usable[name] = table
            n_usable += n_rows
    return usable, n_usable


def map_tables(
    tables: Mapping[str, ClusterTable], n_parts: int, function: Callable[..., tuple[bytes, Any]], *arguments: Any
) -> DataFrame:
    """Divide tables into parts of users, and call a function on the tables of each part, on the executors.

    The function takes RawTables by name, and the arguments, which are broadcast; it returns content to keep, and an
    answer. The result, persisted on the executors' disks, has a row per part (`firstday.engine.spark.work.PARTS_DDL`).
    """
    guests = _find_guests(tables["users"].frame) if "users" in tables else None
    shares = [_assign_parts(name, table.frame, n_parts, guests) for name, table in tables.items()]
    rows = reduce(partial(DataFrame.unionByName, allowMissingColumns=True), shares)
    text = frozenset(name for name, table in tables.items() if table.is_text)
    broadcast = rows.sparkSession.sparkContext.broadcast(arguments)

    def work(group: pa.Table) -> pa.Table:
        return answer_tables(function, text, broadcast.value, group)

    parts = rows.repartition(n_parts, "part").groupBy("part").applyInArrow(work, PARTS_DDL)
    return parts.persist(StorageLevel.DISK_ONLY)


def _assign_parts(name: str, frame: DataFrame, n_parts: int, guests: DataFrame | None) -> DataFrame:
    """Return the part of each row, determined by the user id, and the row as a struct column named after the table.

    Rows of guests are in the parts of their persons.
    """
    key = "friend_id" if name == MENTIONS else "user_id"
    column = fn.col(key)
    if isinstance(frame.schema[key].dataType, FractionalType):  # as text, large floats would have exponents
        column = column.try_cast("decimal(38,4)")
    rows = frame.select(_fold(column).alias("guest"), fn.struct("*").alias(name))
    person = fn.col("guest")
    if guests is not None:
        rows = rows.join(guests, "guest", "left")
        person = fn.coalesce("person", "guest")
    key_or_row = fn.coalesce(person, fn.col(name)[ROW].cast("string"))  # rows without a user go to any part
    part = fn.pmod(fn.xxhash64(key_or_row), fn.lit(n_parts)).cast("int")
    return rows.select(part.alias("part"), name)


def _fold(column: Column) -> Column:
    """Normalise ids for comparison, as `firstday.tables.table_checks._fold_ids` does."""
    return fn.regexp_extract(fn.lower(fn.trim(column.cast("string"))), r"(?s)^0*(.*?)(\.0+)?$", 1)


def _find_guests(users: DataFrame) -> DataFrame | None:
    """Return the folded ids of guests and of their persons; None without guests."""
    if "guest_ids" not in users.columns:
        return None
    ids = fn.col("guest_ids")
    is_text = isinstance(users.schema["guest_ids"].dataType, StringType)
    guest = fn.explode(fn.split(ids, r"\|") if is_text else ids)
    guests = users.select(guest.alias("guest"), _fold(fn.col("user_id")).alias("person"))
    return guests.withColumn("guest", _fold(fn.col("guest"))).dropDuplicates(["guest"])


def _map_rows(table: ClusterTable, function: Callable[[RawTable], pl.DataFrame], ddl: str) -> DataFrame:
    """Call a function on batches of rows, on the executors."""
    is_text = table.is_text

    def work(batches: Batches) -> Batches:
        for batch in batches:
            raw = make_raw(pl.DataFrame(batch).unnest("row"), is_text=is_text)
            yield from function(raw).to_arrow().to_batches()

    return table.frame.select(fn.struct("*").alias("row")).mapInArrow(work, ddl)  # column names may contain dots


def _find_items(interactions: ClusterTable, findings: Findings) -> pl.Series:
    """Return the sorted distinct items of interactions; see `firstday.data.interactions.find_ids`."""
    rows = _map_rows(interactions, partial(find_items, findings.fresh()), "id string, is_text boolean").distinct()
    frame = pl.DataFrame(rows.toArrow())
    ids = frame["id"]
    return unite_ids([ids if frame["is_text"].any() else ids.cast(pl.Int64)])


def _find_groups(users: ClusterTable, findings: Findings) -> dict[str, tuple[str, ...]]:
    """Return the sorted values of each group column of `users`; note the columns that are not groups."""
    rows = _map_rows(users, partial(count_values, findings.fresh()), "column string, value string, n long")
    counts = rows.groupBy("column", "value").agg(fn.sum("n").alias("n"))
    counts = counts.persist(StorageLevel.DISK_ONLY)
    sizes = counts.groupBy("column").agg(fn.count("value"), fn.sum("n")).collect()
    groups: dict[str, tuple[str, ...]] = {}
    for column, n_values, n_users in sorted(sizes):
        values = counts.where(fn.col("column") == column).drop("column").dropna()
        first = pl.DataFrame(values.limit(MAX_GROUP_VALUES + 1).toArrow())
        if check_group(column, first, n_values, n_users, findings):
            groups[column] = tuple(first["value"].sort().to_list())
    counts.unpersist()
    return groups
