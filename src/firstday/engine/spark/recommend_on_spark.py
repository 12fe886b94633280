"""Batch recommendations on Spark: the model is broadcast, and executors recommend to each part of the users."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial, reduce
from operator import add
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as fn

from firstday.data.newcomers import FORGIVEN, NEWCOMER_TABLES, check_newcomer_tables
from firstday.engine.spark.cluster_dataset import collect_answers
from firstday.engine.spark.read_tables import check_shapes, map_tables
from firstday.engine.spark.session import named_errors
from firstday.engine.spark.sources import take_tables
from firstday.engine.spark.storage import Storage
from firstday.engine.spark.work import count_parts, recommend_part, spread_lists
from firstday.errors import ConfigError, DataError
from firstday.recommend.batch import BatchSummary
from firstday.recommend.list_files import find_list_form
from firstday.recommend.recommender import Recommender, check_length
from firstday.recommend.registry import find_supported
from firstday.recommend.rules.list_rules import NO_RULES, Rules
from firstday.tables.faults import Findings

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
    """Recommend to all users of some tables on the cluster.

    Parameters
    ----------
    recommender
        The model.
    tables
        A folder that the cluster can read, or Spark DataFrames by table name.
    k, strategy, keep_used, rules
        See `Recommender.recommend`.
    drop_bad_rows
        Maximum share of bad rows per table, from 0 to 1. Bad rows are dropped up to this share, and a fault above it.
    plugins
        Modules with methods, which executors import.

    Returns
    -------
    lists : pyspark.sql.DataFrame
        `user_id`, `rank` (from 1), `item_id`, `title`, `score`, `route`, `scale`.
    summary : BatchSummary
        Counts of the lists.
    left_out : tuple of str
        Bad rows that were dropped, one JSON line each.

    Raises
    ------
    DataError
        The tables have faults; one sentence per fault.
    """
    name = strategy or recommender.model.config.recommend.strategy
    find_supported(name, recommender.model)
    check_length(recommender.model, k)
    findings = Findings(drop=drop_bad_rows > 0, forgiven=FORGIVEN)
    with named_errors("tables"):
        raw = take_tables(tables, findings)
        newcomer_tables = {table: rows for table, rows in raw.of_users.items() if table in NEWCOMER_TABLES}
        present, n_rows = check_shapes(newcomer_tables, findings, may_be_empty=("interactions", "friends"))
    check_newcomer_tables(raw.name, present, findings)
    if findings.faults or not present:
        raise DataError(findings.faults)
    function = partial(
        recommend_part, plugins=plugins, k=k, strategy=name, keep_used=keep_used, rules=rules, drop=findings.drop
    )
    parts = map_tables(present, count_parts(n_rows), function, recommender)
    partial_findings, counts, are_integers = zip(*collect_answers(parts, raw.name), strict=True)
    findings.merge(partial_findings)
    findings.sources |= {table: rows.sources for table, rows in present.items()}
    findings.settle(drop_bad_rows)
    if findings.faults:
        parts.unpersist()
        raise DataError(findings.faults)
    summary = reduce(add, counts).with_notes(findings.notes)
    types = {"user_id": all(are_integers), "item_id": recommender.model.catalogue.items.are_integers}
    lists = parts.select("content").mapInArrow(spread_lists, LISTS_DDL)
    lists = lists.withColumns({name: fn.col(name).cast("long") for name, are_long in types.items() if are_long})
    return lists, summary, findings.left_out


def write_lists(lists: DataFrame, out: str, left_out: tuple[str, ...] = ()) -> None:
    """Write lists as a folder of files; Spark adds `_SUCCESS` when all are complete.

    Parameters
    ----------
    lists
        Result of `recommend_on_spark`.
    out
        The folder; its extension determines the file format.
    left_out
        Bad rows that were dropped, which become lines of a file next to the folder.

    Raises
    ------
    ConfigError
        The folder contains files other than lists of an earlier run.
    """
    form, target = find_list_form(out), Storage(lists.sparkSession, out)
    names = target.list_files() if target.exists() else ()
    if any(not re.fullmatch(r"part-[^/]*|_SUCCESS|\..*", name) for name in names):
        raise ConfigError(f"{out}: contains files other than lists; choose a new name.")
    writer = lists.write.mode("overwrite").format(form.format)
    if form.format == "csv":  # standard CSV: doubled quotes, spaces in ids preserved
        writer = writer.options(header=True, sep=form.separator, escape='"')
        writer = writer.options(ignoreLeadingWhiteSpace=False, ignoreTrailingWhiteSpace=False)
    with named_errors(out):
        (writer.option("compression", "gzip") if form.packed else writer).save(out)
    target.write_left_out(left_out)
