"""Batch recommendations on Spark: the model is broadcast, and executors recommend to each part of the users."""

from __future__ import annotations

import re
from functools import partial, reduce
from operator import add

import polars as pl
from pyspark.sql import DataFrame
from pyspark.sql import functions as fn

from firstday.data.newcomers import FORGIVEN, NEWCOMER_TABLES, check_new_items, check_newcomer_tables
from firstday.engine.protocol import Tables
from firstday.engine.spark.cluster_dataset import collect_answers
from firstday.engine.spark.read_tables import check_shapes, map_tables
from firstday.engine.spark.session import named_errors
from firstday.engine.spark.sources import ClusterTable, take_tables
from firstday.engine.spark.storage import Storage
from firstday.engine.spark.work import count_parts, recommend_part, spread_lists
from firstday.errors import ConfigError, DataError
from firstday.recommend.batch import BatchSummary, add_items, list_users
from firstday.recommend.list_files import find_list_form
from firstday.recommend.recommender import Recommender, check_length
from firstday.recommend.rules.list_rules import NO_RULES, Rules
from firstday.recommend.support import find_supported
from firstday.tables.faults import Findings

LISTS_DDL = "user_id string, rank int, item_id string, title string, score float, route string, scale string"


def recommend_batch(
    recommender: Recommender,
    tables: Tables,
    k: int | None = None,
    strategy: str | None = None,
    *,
    keep_used: bool = False,
    rules: Rules = NO_RULES,
    drop_bad_rows: float = 0.0,
    plugins: tuple[str, ...] = (),
) -> tuple[DataFrame, BatchSummary, tuple[str, ...]]:
    """Recommend to all users of some tables on the cluster; see `firstday.recommend_batch`.

    Executors import `plugins`, modules with methods. Returns the lists, their counts, and the bad rows that were
    dropped, one JSON line each.
    """
    name = strategy or recommender.model.config.recommend.strategy
    find_supported(name, recommender.model)
    check_length(recommender.model, k)
    findings = Findings(drop_bad_rows > 0, FORGIVEN, recommender.model.config)
    dataset_name, present, n_rows, items = _take_newcomers(tables, findings)
    recommender, notes = add_items(recommender, items)
    list_newcomers = partial(list_users, k=k, strategy=name, keep_used=keep_used, rules=rules)
    function = partial(recommend_part, list_newcomers=list_newcomers, plugins=plugins, options=findings.fresh())
    parts = map_tables(present, count_parts(n_rows), function, recommender)
    found, counts, are_integers = zip(*collect_answers(parts, dataset_name), strict=True)
    for part_findings in found:
        findings.merge(part_findings)
    findings.settle(drop_bad_rows)
    if findings.faults:
        parts.unpersist()
        raise DataError(findings.faults)
    summary = reduce(add, counts).with_notes([*findings.notes, *notes])
    lists = parts.select("content").mapInArrow(spread_lists, LISTS_DDL)
    item_ids = recommender.catalogue.items
    for name, are_long in (("user_id", all(are_integers)), ("item_id", item_ids.are_integers)):
        if are_long:
            lists = lists.withColumn(name, fn.col(name).cast("long"))
    return lists, summary, findings.left_out


def _take_newcomers(
    tables: Tables, findings: Findings
) -> tuple[str, dict[str, ClusterTable], int, pl.DataFrame | None]:
    """Return the name of the tables, those of users with their number of rows, and new items; raise their faults."""
    with named_errors("tables"):
        name, of_users, shared = take_tables(tables, findings)
        newcomer_tables = {table: rows for table, rows in of_users.items() if table in NEWCOMER_TABLES}
        present, n_rows = check_shapes(newcomer_tables, findings, may_be_empty=("interactions", "friends"))
    check_newcomer_tables(name, present, findings)
    items = check_new_items(shared, findings)
    if findings.faults or not present:
        raise DataError(findings.faults)
    return name, present, n_rows, items


def write_lists(lists: DataFrame, out: str, left_out: tuple[str, ...] = ()) -> None:
    """Write lists to a folder of files in the format of its extension, and the dropped rows to a file next to it.

    Spark adds `_SUCCESS` when all files are complete. Lists of an earlier run are replaced.
    """
    form = find_list_form(out)
    target = Storage(lists.sparkSession, out)
    names = target.names() if target.exists() else ()
    if any(not re.fullmatch(r"part-.*|_SUCCESS|\..*", name) for name in names):
        raise ConfigError(f"{out}: contains files other than lists; choose a new name.")
    writer = lists.write.mode("overwrite").format(form.format)
    if form.format == "csv":  # standard CSV: doubled quotes, spaces in ids preserved
        writer = writer.options(
            header=True, sep=form.separator, escape='"', ignoreLeadingWhiteSpace=False, ignoreTrailingWhiteSpace=False
        )
    with named_errors(out):
        (writer.option("compression", "gzip") if form.packed else writer).save(out)
    target.write_left_out(left_out)
