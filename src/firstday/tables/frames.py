"""Tables from data frames of any library supported by Narwhals: pandas, Polars, PyArrow, DuckDB and others."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import narwhals as nw
import polars as pl

from firstday.errors import DataError
from firstday.tables.faults import Findings
from firstday.tables.raw_table import RawTable, first_line
from firstday.tables.schema import TABLES

KINDS = "a frame of pandas, Polars, PyArrow, DuckDB or Spark"


def read_frames(tables: Mapping[str, Any], findings: Findings) -> dict[str, RawTable | None]:
    """Wrap data frames as raw tables, None for one that cannot be read; a Polars LazyFrame is read in batches."""
    raw: dict[str, RawTable | None] = {}
    for name, frame in tables.items():
        if name not in TABLES:
            findings.fault(unknown_table(name))
            continue
        raw[name] = None
        try:
            known = nw.from_native(frame)
        except TypeError:
            findings.fault(f"{name}: is of the type {type(frame).__name__}, which holds no table; give {KINDS}.")
            continue
        except Exception as error:  # such as duplicate column names
            findings.fault(f"{name}: the frame cannot be read ({first_line(error)}); correct it.")
            continue
        try:
            rows = _to_polars(known)
            _ = rows.collect_schema()
        except Exception as error:
            for sentence in _name_columns(name, known, error):
                findings.fault(sentence)
            continue
        raw[name] = RawTable.of(rows, name)
    if not tables:
        raise DataError("tables: there are none; give at least interactions, as {'interactions': frame}.")
    return raw


def unknown_table(name: object) -> str:
    """Return the fault of a frame under an unknown table name."""
    near = get_close_matches(str(name), TABLES, 1)
    hint = f"; did you mean {near[0]}?" if near else f"; the tables are {', '.join(TABLES)}."
    return f"{name}: is no table of firstday{hint}"


def _to_polars(known: nw.DataFrame[Any] | nw.LazyFrame[Any]) -> pl.LazyFrame:
    """Convert a frame of any library to Polars; only a Polars LazyFrame stays lazy."""
    if isinstance(known, nw.DataFrame):
        return known.to_polars().lazy()
    native = known.to_native()
    if isinstance(native, pl.LazyFrame):
        return native
    collected: pl.DataFrame = known.collect("polars").to_native()
    return collected.lazy()


def _name_columns(name: str, known: nw.DataFrame[Any] | nw.LazyFrame[Any], error: Exception) -> list[str]:
    """Return one fault for each column that cannot be converted to Polars, or one for the whole frame."""
    if isinstance(error, ImportError):
        return [f"{name}: the frame cannot be read ({first_line(error)}); run: pip install pyarrow."]
    if isinstance(known, nw.LazyFrame):
        return [f"{name}: the frame cannot be read ({first_line(error)}); correct the query."]
    sentences = []
    for column in known.columns:
        try:
            known.get_column(column).to_polars()
        except Exception as fault:
            sentences.append(
                f"{name}.{column}: holds values of several types ({first_line(fault)}); give the column one type."
            )
    return sentences or [f"{name}: the frame cannot be read ({first_line(error)}); give every column one type."]
