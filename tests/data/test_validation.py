"""Each fault that tables can have, as values, as text in CSV and in vectors: its code, place and line."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest

from firstday.data.load import load
from firstday.engine.engines import check as check_tables
from firstday.errors import DataError
from tests.data.conftest import Tables, Write
from tests.data.dirty_tables import to_text


def faults(tables: Tables, write: Write, ending: str = "parquet") -> list[str]:
    """Return code, place and line of each fault."""
    return [f"{fault.code} {fault.where} {fault.line}" for fault in check_tables(write(tables, ending)).faults]


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


CASES = [
    (
        "interactions",
        lambda frame: frame.drop("entity_id"),
        "no_single_target interactions 4",
    ),
    (
        "interactions",
        be("weight", [True] * 7),
        "wrong_type interactions.weight 0",
    ),
    (
        "items",
        be("artist_id", [1.0, 2.5, None, 4.0]),
        "wrong_type items.artist_id 0",
    ),
    (
        "interactions",
        be("item_id", [2.0**53] * 7),
        "wrong_type interactions.item_id 0",
    ),
    (
        "items",
        be("item", [["x"]] * 4),
        "reserved_name items.item 0",
    ),
    (
        "interactions",
        put("user_id", r2=None, r4=""),
        "empty interactions.user_id 3",
    ),
    (
        "interactions",
        lambda frame: frame.drop("entity", "entity_id"),
        "empty interactions.item_id 4",
    ),
    (
        "collections",
        put("item_id", r1="i9"),
        "unknown_id collections.item_id 2",
    ),
    (
        "collections",
        put("entity", r2="item"),
        "reserved_name collections.entity 3",
    ),
    (
        "interactions",
        put("entity", r3="album"),
        "unknown_entity interactions.entity 4",
    ),
    (
        "interactions",
        put("entity_id", r3="a9"),
        "unknown_target interactions.entity_id 4",
    ),
    (
        "interactions",
        put("item_id", r3="i1"),
        "no_single_target interactions 4",
    ),
    (
        "interactions",
        put("item_id", r0=None),
        "no_single_target interactions 1",
    ),
    (
        "interactions",
        put("entity_id", r4=None),
        "no_single_target interactions 5",
    ),
    (
        "interactions",
        put("signal", r0="skip", r1="skip", r2="ban", r6="skip"),
        "no_use interactions 0",
    ),
    (
        "embeddings/items",
        be("vector", [[4.0, 0.0], [1.0], [2.0, 0.0], [1.0, 1.0]]),
        "bad_vector embeddings/items.vector 2",
    ),
    (
        "embeddings/items",
        be("vector", [[4.0, 0.0], [1.0, 1.0], [2.0, 0.0], None]),
        "empty embeddings/items.vector 4",
    ),
    (
        "items",
        be("vector", [[4.0, 0.0], None, [2.0], [1.0, 1.0]]),
        "bad_vector items.vector 3",
    ),
    (
        "embeddings/items",
        be("vector", [[], [1.0, float("nan")], [float("inf"), 0.0], [None, 0.0]]),
        "bad_vector embeddings/items.vector 1",
    ),
    (
        "embeddings/users",
        be("vector", ["1 2", "3 4"]),
        "wrong_type embeddings/users.vector 0",
    ),
    (
        "embeddings/users",
        be("vector", [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]),
        "vector_length embeddings/users.vector 0",
    ),
    (
        "embeddings/users",
        put("user_id", r1="u9"),
        "unknown_id embeddings/users.user_id 2",
    ),
    (
        "embeddings/users",
        put("user_id", r1="u2"),
        "repeated_id embeddings/users.user_id 2",
    ),
    (
        "embeddings/items",
        lambda frame: pl.concat([frame, pl.DataFrame({"item_id": ["i9"], "vector": [[9.0, 0.0]]})]),
        "unknown_id embeddings/items.item_id 5",
    ),
]


@pytest.mark.parametrize(("table", "change", "fault"), CASES)
def test_one_wrong_table_has_one_fault(
    table: str,
    change: Callable[[pl.DataFrame], pl.DataFrame],
    fault: str,
    five_users: Tables,
    vectors: Tables,
    write: Write,
) -> None:
    tables = {**five_users, **vectors} if table in vectors else five_users
    tables[table] = change(tables[table])
    assert faults(tables, write) == [fault]


def test_interactions_without_any_target(write: Write) -> None:
    rows = pl.DataFrame({"signal": ["stream"], "weight": [1]})
    expected = ["missing_column interactions.user_id 0", "missing_column interactions.item_id 0"]
    assert faults({"interactions": rows}, write) == expected


def test_entities_without_any_table_of_them(five_users: Tables, write: Write) -> None:
    with pytest.raises(DataError) as caught:
        load(write({"interactions": five_users["interactions"]}))
    assert str(caught.value) == (
        "interactions.entity: 2 of 7 rows refer to an unknown entity "
        "(first: 'artist', interactions.parquet row 4); known entities: none; "
        "add such a column to items, or collections of it, or drop the rows."
    )


def test_without_users_and_items_those_of_interactions_are_the_known_ones(five_users: Tables, write: Write) -> None:
    del five_users["users"], five_users["items"]
    five_users["interactions"] = five_users["interactions"].filter(pl.col("item_id").is_not_null())
    five_users["friends"] = pl.DataFrame({"user_id": ["u1", "u5"], "friend_id": ["u2", "u1"]})
    five_users["collections"] = five_users["collections"].with_columns(item_id=pl.Series(["i1", "i7", "i4"]))
    assert faults(five_users, write) == ["unknown_id collections.item_id 2"]


def test_all_faults_of_all_tables_are_reported_at_once(five_users: Tables, write: Write) -> None:
    five_users["interactions"] = (
        five_users["interactions"]
        .pipe(put("weight", r0=-1.0))
        .pipe(put("item_id", r1="i9"))
        .pipe(put("signal", r2="x"))
    )
    five_users["users"] = five_users["users"].pipe(put("age", r0=200))
    five_users["friends"] = five_users["friends"].drop("friend_id")
    folder = write(five_users)
    (folder / "items.parquet").write_bytes(b"not Parquet at all, whatever it is named")
    with pytest.raises(DataError) as caught:
        load(folder)
    assert str(caught.value) == "\n".join(map(str, caught.value.faults))
    assert [(fault.code, fault.where) for fault in caught.value.faults] == [
        ("unreadable", "items.parquet"),
        ("out_of_range", "users.age"),
        ("missing_column", "friends.friend_id"),
        ("out_of_range", "interactions.weight"),
        ("unknown_signal", "interactions.signal"),
    ]


@pytest.mark.parametrize("text", ["2024-13-01T00:00:00Z", "2024-13-01"])
def test_text_in_csv_that_is_no_time(text: str, five_users: Tables, write: Write) -> None:
    five_users["interactions"] = to_text(five_users["interactions"]).pipe(put("timestamp", r1=text))
    assert faults(five_users, write, "csv") == ["not_a_time interactions.timestamp 3"]


def test_vectors_in_csv_that_are_no_numbers(five_users: Tables, vectors: Tables, write: Write) -> None:
    vectors["embeddings/users"] = pl.DataFrame({"user_id": ["u1"], "vector": ["1|x"]})
    assert faults({**five_users, **vectors}, write, "csv") == ["bad_vector embeddings/users.vector 2"]


def test_vectors_of_one_kind_need_those_of_the_other(five_users: Tables, vectors: Tables, write: Write) -> None:
    del vectors["embeddings/users"]
    assert faults({**five_users, **vectors}, write) == ["missing_table embeddings/items 0"]
