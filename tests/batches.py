"""Lists for all users in a folder of tables, in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
