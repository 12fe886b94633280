"""Tables as frames of every library give the same Dataset as files; what is no frame is told in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from firstday.data.load import load
from firstday.errors import DataError
from tests.data.conftest import Tables, Write
from tests.data.same import assert_equal


def pandas_of(frame: pl.DataFrame) -> Any:
    return frame.to_pandas()


def duckdb_of(frame: pl.DataFrame) -> Any:
    duckdb = pytest.importorskip("duckdb")
    connection = duckdb.connect()
    connection.sql("set timezone = 'UTC'")
    connection.register("rows", frame.to_arrow())
    return connection.sql("select * from rows")


LIBRARIES: dict[str, Callable[[pl.DataFrame], Any]] = {
    "polars": lambda frame: frame,
    "lazy polars": lambda frame: frame.lazy(),
    "pyarrow": lambda frame: frame.to_arrow(),
    "pandas": pandas_of,
    "duckdb": duckdb_of,
}


@pytest.mark.parametrize("library", LIBRARIES)
def test_frames_of_every_library_are_the_same_tables(library: str, five_users: Tables, write: Write) -> None:
    pytest.importorskip("pyarrow")
    assert_equal(load({name: LIBRARIES[library](frame) for name, frame in five_users.items()}), load(write(five_users)))


def test_a_fault_in_a_frame_has_its_row(five_users: Tables) -> None:
    five_users["interactions"] = five_users["interactions"].with_columns(
        user_id=pl.Series(["u1", "u1", "u9", "u2", "u2", "u3", "u9"])
    )
    with pytest.raises(DataError, match=r"2 of 7 rows refer to unknown users \(first: 'u9', row 3\)"):
        load(five_users)


@pytest.mark.parametrize(
    ("tables", "sentence"),
    [
        ({"interactions": [1, 2]}, "interactions: cannot be read as a table (Unsupported dataframe type, got: <class"),
        ({"interactions": np.zeros((2, 2))}, "interactions: cannot be read as a table ("),
        ({"user": pl.DataFrame()}, "user: is not a table of firstday (did you mean 'users'?); the tables are interact"),
        ({}, "interactions: the table is missing; add interactions.parquet, interactions.csv or a data frame."),
    ],
)
def test_what_is_no_frame_is_told(tables: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError) as caught:
        load(tables)
    assert str(caught.value).startswith(sentence)


def test_a_column_of_several_types_is_told() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"user_id": ["a", 1], "item_id": ["x", "y"]})
    with pytest.raises(DataError, match=r"interactions: cannot be read as a table \(.*with one type per column\."):
        load({"interactions": frame})


def test_a_lazy_frame_that_fails_is_named() -> None:
    frame = pl.LazyFrame({"user_id": ["a"], "item_id": ["x"]}).with_columns(pl.col("user_id").cast(pl.Int64))
    with pytest.raises(DataError, match=r"interactions: cannot be read as a frame \(.*\); correct it"):
        load({"interactions": frame})
