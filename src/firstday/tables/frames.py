"""Tables from data frames of any library that Narwhals supports: pandas, Polars, PyArrow, DuckDB and others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import narwhals as nw
import polars as pl

from firstday.errors import Fault, hint_at
from firstday.tables.faults import Findings
from firstday.tables.raw_table import RawTable, first_line
from firstday.tables.schema import TABLES


def read_frames(tables: Mapping[str, Any], findings: Findings) -> dict[str, RawTable | None]:
    """Wrap data frames as raw tables (None if one cannot be read); Polars LazyFrames are read in batches."""
    raw: dict[str, RawTable | None] = {}
    for name, frame in tables.items():
        if name not in TABLES:
            findings.report(unknown_table(name))
            continue
        raw[name] = None
        try:
            rows = to_polars(frame)
            columns = rows.collect_schema().names()  # raises for a frame that cannot be read
            raw[name] = RawTable.of(rows.rename(findings.rename(name, columns)), name)
        except Exception as error:  # raised by any library
            advice = "use a pandas, Polars, PyArrow, DuckDB or Spark frame with one type per column"
            findings.fault("unreadable", f"cannot be read as a table ({first_line(error)}); {advice}.", name)
    return raw


def to_polars(frame: Any) -> pl.DataFrame | pl.LazyFrame:
    """Convert a data frame of any library to Polars; a LazyFrame stays one."""
    lazy = nw.from_native(frame).lazy()
    native = lazy.to_native()
    if isinstance(native, pl.LazyFrame):
        return native
    rows: pl.DataFrame = lazy.collect("polars").to_native()
    return rows


def unknown_table(name: object) -> Fault:
    """Return the fault for an unknown table name."""
    hint = hint_at(str(name), tuple(TABLES))
    return Fault("unknown_table", f"is not a table of firstday{hint}; the tables are {', '.join(TABLES)}.", str(name))
