"""Lists for all users in a folder of tables, in a file."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import polars as pl

from firstday.engine import local
from firstday.recommend.batch import BatchSummary
from firstday.recommend.recommender import Recommender
from firstday.recommend.rules.list_rules import NO_RULES


def recommend_tables(
    recommender: Recommender,
    folder: Path,
    out: Path,
    k: int | None = None,
    strategy: str | None = None,
    **settings: Any,
) -> BatchSummary:
    """Recommend to all users in the tables of a folder, and write a file, as `firstday recommend --batch` does."""
    settings = {"keep_used": False, "rules": NO_RULES, "drop_bad_rows": 0.0, **settings}
    lists, summary, left_out = local.recommend_batch(recommender, folder, k, strategy, **settings)
    local.write_lists(lists, str(out), left_out)
    return summary


def read_lists(path: Path) -> pl.DataFrame:
    """Read a file of lists, CSV as strings."""
    name = path.name.lower()
    if name.endswith((".parquet", ".pq")):
        return pl.read_parquet(path)
    content = gzip.decompress(path.read_bytes()) if name.endswith(".gz") else path.read_bytes()
    if "json" in name:
        return pl.read_ndjson(content)
    return pl.read_csv(content, separator="\t" if ".tsv" in name else ",", infer_schema=False)
