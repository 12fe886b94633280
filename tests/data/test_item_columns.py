"""Columns of items for filters: their types, what is ignored, and items that are not recommendable."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from firstday.data.load import load
from firstday.errors import DataError
from tests.data.conftest import Tables, Write

VALUES: dict[str, tuple[list[Any], list[Any]]] = {
    "in_stock": ([True, False, None, True], [True, False, None, True]),
    "year": ([1999, 2000, None, 2001], [1999.0, 2000.0, None, 2001.0]),
    "sold": (["t", "F", None, "t"], [True, False, None, True]),
    "live": (["TRUE", "false", None, "t"], [True, False, None, True]),
    "explicit": (["yes", "no", None, "yes"], ["yes", "no", None, "yes"]),
    "adult": ([1, 0, None, 1], [1.0, 0.0, None, 1.0]),
    "shelf": (["t", "f", None, "g"], ["t", "f", None, "g"]),
    "price": ([9.5, float("nan"), float("inf"), 3.0], [9.5, None, None, 3.0]),
    "mood": ([" calm", "wild", None, "42"], ["calm", "wild", None, "42"]),
    "released": ([date(2024, 5, 1), None, None, date(2024, 5, 2)], ["2024-05-01", None, None, "2024-05-02"]),
    "artist_id": (["a1", "a1", "a2", None], [["a1"], ["a1"], ["a2"], []]),
    "licensed_in": ([["FR", "DE"], [], ["DE"], ["US"]], [["FR", "DE"], [], ["DE"], ["US"]]),
    "genre": ([["rock", "pop"], ["pop"], None, ["jazz"]], [["rock", "pop"], ["pop"], [], ["jazz"]]),
}
"""Values as written, and as filters compare them."""


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_columns_have_the_same_types_in_every_format(five_users: Tables, write: Write, ending: str) -> None:
    items = five_users["items"].with_columns(**{name: pl.Series(given) for name, (given, _) in VALUES.items()})
    dataset = load(write({**five_users, "items": items}, ending))
    columns = dataset.columns
    assert {name: column.to_list() for name, column in columns.items()} == {
        name: expected for name, (_, expected) in VALUES.items()
    }
    assert {str(column.dtype) for column in columns.values()} == {"Boolean", "Float64", "String", "List(String)"}
    assert {note for note in dataset.notes if "boolean" in note} == {
        "items.sold: 3 texts such as 'F' were read as booleans.",
        "items.live: 3 texts such as 'TRUE' were read as booleans.",
    }


@pytest.mark.parametrize("zone", [None, "Europe/Paris"])
def test_times_are_text_in_utc(five_users: Tables, zone: str | None) -> None:
    time = datetime(2024, 5, 1, 12, 0, 0, 500)
    given = pl.Series([time, None, time, time]).dt.convert_time_zone("UTC").dt.convert_time_zone(zone or "UTC")
    given = given if zone else given.dt.replace_time_zone(None)
    dataset = load({**five_users, "items": five_users["items"].with_columns(ends_at=given)})
    assert dataset.columns["ends_at"].to_list() == ["2024-05-01T12:00:00Z", None, *2 * ["2024-05-01T12:00:00Z"]]


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_free_text_is_ignored_and_dates_are_not(five_users: Tables, write: Write, ending: str) -> None:
    days = [date(2024, 1, 1) + timedelta(days=n) for n in range(60)]
    items = pl.DataFrame({"item_id": [f"i{n}" for n in range(1, 61)], "artist_id": "a1", "released": days})
    items = items.with_columns(review="A " + pl.col("item_id"))
    dataset = load(write({**five_users, "items": items}, ending))
    assert list(dataset.columns) == ["artist_id", "released"]
    assert "items.review: ignored (it has 60 values for 60 items, too many for filters)." in dataset.notes


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_items_are_recommendable_unless_false(five_users: Tables, write: Write, ending: str) -> None:
    def load_with(values: list[Any]) -> Any:
        items = five_users["items"].with_columns(recommendable=pl.Series(values))
        return load(write({**five_users, "items": items}, ending))

    assert load_with([True, False, None, False]).find_unlisted().tolist() == [1, 3]
    assert load_with(["t", "f", None, "f"]).find_unlisted().tolist() == [1, 3]
    with pytest.raises(DataError, match=r"items\.recommendable: the column holds .*, not true and false; convert it\."):
        load_with([1, 0, 1, 1])


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_updates_take_the_place_of_what_items_state(five_users: Tables, write: Write, ending: str) -> None:
    """i1 and i2 keep what the updates do not state, i5 is in interactions alone, i9 nowhere."""
    interactions = five_users["interactions"].with_columns(item_id=pl.col("item_id").replace("i4", "i5"))
    items = five_users["items"].with_columns(price=pl.Series([1.0, 2.0, 3.0, None]))
    updates = pl.DataFrame(
        {
            "item_id": ["i5", "i2", "i1", "i9"],
            "title": ["Five", None, "Uno", "Nine"],
            "price": [None, 2.5, None, 1.5],
            "recommendable": [False, False, None, True],
            "expires_at": [None, None, datetime(2020, 1, 1, tzinfo=UTC), None],
            "colour": ["red"] * 4,
        }
    )
    dataset = load(write({**five_users, "interactions": interactions, "items": items, "item_updates": updates}, ending))
    assert dataset.items.values.to_list() == ["i1", "i2", "i3", "i4", "i5"]
    assert dataset.titles == ("Uno", "Two", "", "Four", "Five")
    assert dataset.columns["price"].to_list() == [1.0, 2.5, 3.0, None, None]
    assert dataset.columns["expires_at"].to_list() == ["2020-01-01T00:00:00Z", None, None, None, None]
    assert dataset.columns["genre"].to_list()[:2] == [["rock", "pop"], ["pop"]]
    assert dataset.find_unlisted().tolist() == [0, 1, 4]
    assert "colour" not in dataset.columns
    noted = {note.split(":")[0] for note in dataset.notes}
    assert noted >= {"item_updates.colour", "item_updates.item_id", "items.expires_at"}


def test_ids_of_updates_are_compared_as_text_and_keep_the_type_of_items(five_users: Tables) -> None:
    numbers = pl.col("item_id").str.strip_prefix("i").cast(pl.Int64)
    tables = {
        name: table.with_columns(numbers) if "item_id" in table.columns else table for name, table in five_users.items()
    }
    updates = pl.DataFrame({"item_id": ["2"], "title": ["Due"], "genre": [["waltz"]]})
    dataset = load({**tables, "item_updates": updates})
    assert dataset.items.values.to_list() == [1, 2, 3, 4]
    assert dataset.titles == ("One", "Due", "", "Four")
    assert dataset.columns["genre"].to_list()[1] == ["waltz"]
    assert load({**tables, "item_updates": updates.clear()}).titles == ("One", "Two", "", "Four")


@pytest.mark.parametrize(
    ("updates", "code", "column"),
    [
        ({"item_id": ["i1"], "recommendable": ["no"]}, "wrong_type", "recommendable"),
        ({"item_id": ["i1"], "expires_at": ["soon"]}, "not_a_time", "expires_at"),
        ({"item_id": ["i1", "i1"], "title": ["A", "B"]}, "repeated_id", "item_id"),
        ({"title": ["A"]}, "missing_column", "item_id"),
    ],
)
def test_updates_that_cannot_be_read_are_faults(
    five_users: Tables, updates: dict[str, Any], code: str, column: str
) -> None:
    with pytest.raises(DataError) as refused:
        load({**five_users, "item_updates": pl.DataFrame(updates)})
    assert {(fault.code, fault.table, fault.column) for fault in refused.value.faults} == {
        (code, "item_updates", column)
    }
