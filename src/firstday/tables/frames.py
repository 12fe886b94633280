"""Tables from data frames of any library supported by Narwhals: pandas, Polars, PyArrow, DuckDB and others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import narwhals as nw
import polars as pl

from firstday.errors import hint_at
from firstday.tables.faults import Findings
from firstday.tables.raw_table import RawTable, first_line
from firstday.tables.schema import TABLES


def read_frames(tables: Mapping[str, Any], findings: Findings) -> dict[str, RawTable | None]:
    """Wrap data frames as raw tables, None for one that cannot be read; a Polars LazyFrame is read in batches."""
    raw: dict[str, RawTable | None] = {}
    for name, frame in tables.items():
        if name not in TABLES:
            findings.fault(unknown_table(name))
            continue
        raw[name] = None
        try:
            known = nw.from_native(frame).lazy()
            native = known.to_native()
            rows = native if isinstance(native, pl.LazyFrame) else known.collect("polars").to_native()
            table = RawTable.of(rows, name)
            _ = table.columns
            raw[name] = table
        except Exception as error:  # of any library
            give = "give a frame of pandas, Polars, PyArrow, DuckDB or Spark, with one type in each column"
            findings.fault(f"{name}: cannot be read as a table ({first_line(error)}); {give}.")
    return raw


def unknown_table(name: object) -> str:
    """Return the fault of a frame under an unknown table name."""
    return f"{name}: is not a table of firstday{hint_at(str(name), tuple(TABLES))}; the tables are {', '.join(TABLES)}."
