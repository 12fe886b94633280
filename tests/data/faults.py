"""How tests spoil tables, and ask for the sentences that follow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from firstday.data.load import load
from firstday.errors import DataError

Tables = dict[str, pl.DataFrame]
Write = Callable[..., Path]


def faults(tables: Tables, write: Write, ending: str = "parquet") -> list[str]:
    with pytest.raises(DataError) as caught:
        load(write(tables, ending))
    assert str(caught.value) == "\n".join(caught.value.faults)
    return list(caught.value.faults)


def put(column: str, **rows: object) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """Make a change that puts values into rows of a column: ``put("age", r1=130)``; r0 is the first row."""

    def change(frame: pl.DataFrame) -> pl.DataFrame:
        values = frame[column].to_list()
        for row, value in rows.items():
            values[int(row[1:])] = value
        return frame.with_columns(pl.Series(column, values, dtype=frame[column].dtype))

    return change


def be(column: str, values: list[object], dtype: pl.DataType | type[pl.DataType] | None = None) -> object:
    """Make a change that puts another column in place of one."""
    return lambda frame: frame.with_columns(pl.Series(column, values, dtype=dtype))
