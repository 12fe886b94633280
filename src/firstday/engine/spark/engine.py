"""The engine `spark`; see `firstday.engine.protocol.Engine`."""

from __future__ import annotations

from firstday.errors import needs_extra

with needs_extra("the engine Spark", "spark"):
    from firstday.engine.spark.models import check_place, open_model, save_model
    from firstday.engine.spark.read_tables import check_tables
    from firstday.engine.spark.recommend_on_spark import recommend_batch, write_lists
    from firstday.engine.spark.session import open_session as start

__all__ = [
    "check_place", "check_tables", "open_model", "recommend_batch", "save_model", "start", "write_lists",
]  # fmt: skip
