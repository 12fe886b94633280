"""Batch recommendations on Spark: the model is broadcast, and executors answer each part of the users."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as fn
from pyspark.sql.types import IntegralType

from firstday.data.newcomers import FORGIVEN, NEWCOMER_TABLES, check_newcomer_tables
from firstday.engine.spark.read_tables import check_shapes, divide_tables
from firstday.engine.spark.session import collect_reports, named_errors, open_session, scratch_folder
from firstday.engine.spark.sources import ClusterTable, read_folder, take_frames
from firstday.engine.spark.storage import Storage
from firstday.engine.spark.work import PARTS_DDL, Request, answer_part, count_parts, pack_model, spread_lists
from firstday.errors import ConfigError, DataError
from firstday.recommend.batch import BatchCounts, BatchSummary, summarise_batch
from firstday.recommend.list_files import find_list_form
from firstday.recommend.recommender import Recommender, check_length
from firstday.recommend.registry import find_strategy, refuse_without
from firstday.recommend.rules import NO_RULES, Rules
from firstday.tables.faults import Findings
from firstday.tables.schema import WHOLE_NUMBER

LISTS_DDL = "user_id string, rank int, item_id string, title string, score float, route string, scale string"


def recommend_on_spark(
    recommender: Recommender,
    tables: str | Path | Mapping[str, Any],
    k: int | None = None,
    strategy: str | None = None,
    *,
    keep_used: bool = False,
    rules: Rules = NO_RULES,
    drop_bad_rows: float = 0.0,
    plugins: tuple[str, ...] = (),
) -> tuple[DataFrame, BatchSummary, tuple[str, ...]]:
    """Recommend to all users of tables on the cluster.

    Parameters
    ----------
    recommender
        The model.
    tables
        A folder accessible to the cluster, or Spark DataFrames by table name.
    k, strategy, keep_used, rules
        See `Recommender.recommend`.
    drop_bad_rows
        Maximum share of bad rows per table, from 0 to 1, to leave out.
    plugins
        Modules with methods that executors must import.

    Returns
    -------
    lists : pyspark.sql.DataFrame
        `user_id`, `rank` (from 1), `item_id`, `title`, `score`, `route`, `scale`.
    summary : BatchSummary
        Counts of the answers.
    left_out : tuple of str
        Bad rows that were left out, one JSON line each.

    Raises
    ------
    DataError
        The tables cannot be read, with one sentence per fault.
    """
    name = strategy or recommender.model.config.recommend.strategy
    refuse_without(name, find_strategy(name).lacks(recommender.model))
    check_length(recommender.model, k)
    findings = Findings(drop=drop_bad_rows > 0, forgiven=FORGIVEN)
    with named_errors("tables"):
        if isinstance(tables, Mapping):
            raw = take_frames(tables, findings)
        else:
            raw = read_folder(open_session(), str(tables), scratch_folder(), findings)
        known = {table: rows for table, rows in raw.of_users.items() if table in NEWCOMER_TABLES}
        present, n_rows = check_shapes(known, findings, may_be_empty=("interactions", "friends"))
    check_newcomer_tables(raw.name, present, findings)
    if not findings.are_usable or not present:
        raise DataError(findings.faults)
    session = next(iter(present.values())).frame.sparkSession
    request = Request(
        model=secrets.token_hex(8),
        archive=pack_model(recommender),
        plugins=plugins,
        k=k,
        strategy=name,
        keep_used=keep_used,
        rules=rules,
        blank=Findings(drop=findings.drop, forgiven=FORGIVEN),
        names={table: rows.names for table, rows in present.items()},
    )
    shares = divide_tables(present, count_parts(sum(n_rows[table] for table in present)))
    sent = session.sparkContext.broadcast(request)

    def work(table: pa.Table) -> pa.Table:
        return answer_part(sent.value, table)

    parts = shares.groupBy("part").applyInArrow(work, PARTS_DDL).persist(StorageLevel.DISK_ONLY)
    reports = collect_reports(parts, raw.name)
    findings.merge(report for report, _ in reports)
    findings.sources |= {table: rows.sources for table, rows in present.items()}
    findings.settle(drop_bad_rows)
    if findings.faults:
        parts.unpersist()
        raise DataError(findings.faults)
    counts = reduce(add, (count for _, count in reports), BatchCounts())
    summary = summarise_batch(counts, recommender.model.catalogue, findings.notes)
    return _unpack(parts, present, recommender), summary, findings.left_out


def write_lists(lists: DataFrame, out: str, left_out: tuple[str, ...] = ()) -> None:
    """Write lists as a folder of files; Spark adds `_SUCCESS` when all are complete.

    Parameters
    ----------
    lists
        From `recommend_on_spark`.
    out
        The folder; its extension determines the file format.
    left_out
        Bad rows that were left out, as lines of a file next to the folder.
    """
    form, target = find_list_form(out), Storage(lists.sparkSession, out)
    check_lists_target(target)
    writer = lists.write.mode("overwrite").format(form.format)
    if form.format == "csv":  # standard CSV: doubled quotes, spaces in ids preserved
        writer = writer.options(header=True, sep=form.separator, escape='"')
        writer = writer.options(ignoreLeadingWhiteSpace=False, ignoreTrailingWhiteSpace=False)
    with named_errors(out):
        (writer.option("compression", "gzip") if form.packed else writer).save(out)
    target.write_beside("left-out.jsonl", left_out)


def check_lists_target(target: Storage) -> None:
    """Reject a target that holds something other than lists of an earlier run.

    Raises
    ------
    ConfigError
        It is a file, or a folder with other files.
    """
    if not target.exists():
        return
    names = [file.path for file in target.list_files()]
    if any(not re.fullmatch(r"(part-[^/]*\.(parquet|(csv|json)(\.gz)?)|_SUCCESS|\..*)", name) for name in names):
        raise ConfigError(f"{target.uri}: is a folder with other files than lists; give a new name.")


def _unpack(parts: DataFrame, tables: Mapping[str, ClusterTable], recommender: Recommender) -> DataFrame:
    """Return lists with one row per rank and ids in the caller's types."""
    rows = parts.select("content").mapInArrow(spread_lists, LISTS_DDL)
    item_type = "long" if recommender.model.catalogue.items.are_integers else "string"
    user_type = "long" if all(_has_whole_ids(table) for table in tables.values()) else "string"
    user_id, item_id = fn.col("user_id").cast(user_type), fn.col("item_id").cast(item_type)
    return rows.select(user_id.alias("user_id"), "rank", item_id.alias("item_id"), "title", "score", "route", "scale")


def _has_whole_ids(table: ClusterTable) -> bool:
    """Whether a table's user ids are integers."""
    if not table.names.is_text:
        return isinstance(table.frame.schema["user_id"].dataType, IntegralType)
    user_id = fn.col("user_id")
    return table.frame.where((user_id != "") & ~user_id.rlike(WHOLE_NUMBER)).limit(1).count() == 0
