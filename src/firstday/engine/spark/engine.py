"""The engine `spark`, an entry point of the group ``firstday.engines``: what `firstday.engine.engines` calls."""

from __future__ import annotations

from firstday.errors import needs_extra

with needs_extra("the engine Spark", "spark"):
    from firstday.engine.spark.models import check_place, find_local, open_on_cluster, save_on_cluster
    from firstday.engine.spark.read_tables import open_tables
    from firstday.engine.spark.recommend_on_spark import recommend_on_spark as recommend_batch
    from firstday.engine.spark.recommend_on_spark import write_lists
    from firstday.engine.spark.session import open_session

__all__ = [
    "check_place", "find_local", "open_on_cluster", "open_session", "open_tables", "recommend_batch", "save_on_cluster",
    "write_lists",
]  # fmt: skip
