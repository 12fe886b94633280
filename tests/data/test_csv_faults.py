"""Each fault that text in CSV files can have, and its exact sentence."""

from __future__ import annotations

import polars as pl
import pytest

from firstday.data.load import load
from firstday.errors import DataError
from tests.data.faults import Tables, Write, faults, put

WRITE_UTC = "write UTC with its zone, such as 2024-05-01T12:00:00Z."

TEXT_CASES = [
    ("weight", "heavy", "1 of 7 rows are not numbers (first: 'heavy'); write numbers, with a dot for decimals."),
    ("weight", "1,5", "1 of 7 rows are not numbers (first: '1,5'); write numbers, with a dot for decimals."),
    ("weight", "nan", "1 of 7 rows are NaN or infinite (first: nan); write finite numbers or drop the rows."),
    ("timestamp", "yesterday", f"1 of 7 rows are not times (first: 'yesterday'); {WRITE_UTC}"),
    ("timestamp", "2024-13-01T00:00:00Z", f"1 of 7 rows are not times (first: '2024-13-01T00:00:00Z'); {WRITE_UTC}"),
    ("timestamp", "2024-05-01T12:00:00", f"1 of 7 rows have no time zone (first: '2024-05-01T12:00:00'); {WRITE_UTC}"),
    ("timestamp", "2024-05-01", f"1 of 7 rows have no time zone (first: '2024-05-01'); {WRITE_UTC}"),
    (
        "timestamp",
        "881250949",
        f"1 of 7 rows are bare numbers without a unit and a time zone (first: '881250949'); {WRITE_UTC}",
    ),
]


@pytest.mark.parametrize(("column", "text", "sentence"), TEXT_CASES)
def test_text_in_csv_that_is_no_number_or_time(
    column: str, text: str, sentence: str, five_users: Tables, write: Write
) -> None:
    folder = write(five_users, "csv")
    place = folder / "interactions.csv"
    pl.read_csv(place, infer_schema=False).pipe(put(column, r1=text)).write_csv(place)
    with pytest.raises(DataError) as caught:
        load(folder)
    assert caught.value.faults == (f"interactions.{column}: {sentence}",)


def test_age_in_csv_that_is_no_number(five_users: Tables, write: Write) -> None:
    five_users["users"] = five_users["users"].with_columns(age=pl.Series(["24", "old", None, "17", "x"]))
    assert faults(five_users, write, "csv") == [
        "users.age: 2 of 5 rows are not numbers (first: 'old'); write numbers, with a dot for decimals."
    ]
