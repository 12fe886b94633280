"""Each fault that tables can have, as values, as text in CSV and in vectors, and its exact sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from firstday.data.load import load
from firstday.engine.engines import check as check_tables
from firstday.errors import DataError

Tables = dict[str, pl.DataFrame]
Write = Callable[..., Path]


def faults(tables: Tables, write: Write, ending: str = "parquet") -> list[str]:
    with pytest.raises(DataError) as caught:
        load(write(tables, ending))
    assert str(caught.value) == "\n".join(map(str, caught.value.faults))
    return list(map(str, caught.value.faults))


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


VECTORS_DIFFER = (
    "rows are not finite numbers of the same length as the first vector (first: embeddings/items.parquet row 2); "
    "provide vectors of one model, all of the same length."
)
CASES = [
    (
        "interactions",
        lambda frame: frame.drop("entity_id"),
        "interactions: 2 of 7 rows do not have exactly one target (first: interactions.parquet row 4); "
        "give either item_id, or entity and entity_id, or drop the rows.",
    ),
    (
        "interactions",
        be("weight", [True] * 7),
        "interactions.weight: the column holds Boolean, not numbers; convert it.",
    ),
    (
        "items",
        be("artist_id", [1.0, 2.5, None, 4.0]),
        "items.artist_id: the column holds Float64, not whole numbers or text; convert it.",
    ),
    (
        "interactions",
        be("item_id", [2.0**53] * 7),
        "interactions.item_id: the column holds Float64, not whole numbers or text; convert it.",
    ),
    (
        "items",
        be("item", [["x"]] * 4),
        "items.item: the name is reserved for items themselves; rename the column.",
    ),
    (
        "interactions",
        put("user_id", r2=None, r4=""),
        "interactions.user_id: 2 of 7 rows are empty (first: interactions.parquet row 3); "
        "fill them in or drop the rows.",
    ),
    (
        "interactions",
        lambda frame: frame.drop("entity", "entity_id"),
        "interactions.item_id: 2 of 7 rows are empty (first: interactions.parquet row 4); "
        "fill them in or drop the rows.",
    ),
    (
        "collections",
        put("item_id", r1="i9"),
        "collections.item_id: 1 of 3 rows refer to unknown items (first: 'i9', collections.parquet row 2); "
        "add them to items (ids there: 'i1', 'i2', ...), use the same spelling in both, or drop the rows.",
    ),
    (
        "collections",
        put("entity", r2="item"),
        "collections.entity: 1 of 3 rows name 'item', which is not a collection (first: collections.parquet row 3); "
        "rename it or drop the rows.",
    ),
    (
        "interactions",
        put("entity", r3="album"),
        "interactions.entity: 1 of 7 rows refer to an unknown entity (first: 'album', interactions.parquet row 4); "
        "known entities: artist, genre, playlist; "
        "add such a column to items, or collections of it, or drop the rows.",
    ),
    (
        "interactions",
        put("entity_id", r3="a9"),
        "interactions.entity_id: 1 of 7 rows refer to an unknown artist (first: 'a9', interactions.parquet row 4); "
        "add them to items or collections (ids there: 'a1', 'a2'), use the same spelling in both, or drop the rows.",
    ),
    (
        "interactions",
        put("item_id", r3="i1"),
        "interactions: 1 of 7 rows do not have exactly one target (first: interactions.parquet row 4); "
        "give either item_id, or entity and entity_id, or drop the rows.",
    ),
    (
        "interactions",
        put("item_id", r0=None),
        "interactions: 1 of 7 rows do not have exactly one target (first: interactions.parquet row 1); "
        "give either item_id, or entity and entity_id, or drop the rows.",
    ),
    (
        "interactions",
        put("entity_id", r4=None),
        "interactions: 1 of 7 rows do not have exactly one target (first: interactions.parquet row 5); "
        "give either item_id, or entity and entity_id, or drop the rows.",
    ),
    (
        "interactions",
        put("signal", r0="skip", r1="skip", r2="ban", r6="skip"),
        "interactions: no row is a use of an item (signals stream, favorite, weight above 0); "
        "add such rows, or name the signals that mean use in the configuration (signals.use).",
    ),
    (
        "embeddings/items",
        be("vector", [[4.0, 0.0], [1.0], [2.0, 0.0], None]),
        f"embeddings/items.vector: 2 of 4 {VECTORS_DIFFER}",
    ),
    (
        "embeddings/items",
        be("vector", [[], [1.0, float("nan")], [float("inf"), 0.0], [None, 0.0]]),
        f"embeddings/items.vector: 4 of 4 {VECTORS_DIFFER.replace('row 2', 'row 1')}",
    ),
    (
        "embeddings/users",
        be("vector", ["1 2", "3 4"]),
        "embeddings/users.vector: the column holds String, not lists of numbers; convert it.",
    ),
    (
        "embeddings/users",
        be("vector", [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]),
        "embeddings/users.vector: has 3 numbers, but embeddings/items.vector has 2; use vectors of the same model.",
    ),
    (
        "embeddings/users",
        put("user_id", r1="u9"),
        "embeddings/users.user_id: 1 of 2 rows refer to unknown users (first: 'u9', embeddings/users.parquet row 2); "
        "add them to users (ids there: 'u1', 'u2', ...), use the same spelling in both, or drop the rows.",
    ),
    (
        "embeddings/users",
        put("user_id", r1="u2"),
        "embeddings/users.user_id: 1 of 2 rows repeat an id with different values "
        "(first: 'u2', embeddings/users.parquet row 2); keep one row for each id.",
    ),
    (
        "embeddings/items",
        lambda frame: pl.concat([frame, pl.DataFrame({"item_id": ["i9"], "vector": [[9.0, 0.0]]})]),
        "embeddings/items.item_id: 1 of 5 rows refer to unknown items (first: 'i9', embeddings/items.parquet row 5); "
        "add them to items (ids there: 'i1', 'i2', ...), use the same spelling in both, or drop the rows.",
    ),
]


@pytest.mark.parametrize(("table", "change", "sentence"), CASES)
def test_one_wrong_table_gives_one_sentence(
    table: str,
    change: Callable[[pl.DataFrame], pl.DataFrame],
    sentence: str,
    five_users: Tables,
    vectors: Tables,
    write: Write,
) -> None:
    tables = {**five_users, **vectors} if table in vectors else five_users
    tables[table] = change(tables[table])
    assert faults(tables, write) == [sentence]


def test_interactions_without_any_target(tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text("signal,weight\nstream,1\n")
    assert [(fault.code, fault.where) for fault in check_tables(tmp_path).faults] == [
        ("missing_column", "interactions.user_id"),
        ("missing_column", "interactions.item_id"),
    ]


def test_entities_without_any_table_of_them(five_users: Tables, write: Write) -> None:
    assert faults({"interactions": five_users["interactions"]}, write) == [
        "interactions.entity: 2 of 7 rows refer to an unknown entity "
        "(first: 'artist', interactions.parquet row 4); known entities: none; "
        "add such a column to items, or collections of it, or drop the rows."
    ]


def test_without_users_and_items_those_of_interactions_are_the_known_ones(five_users: Tables, write: Write) -> None:
    del five_users["users"], five_users["items"]
    five_users["interactions"] = five_users["interactions"].filter(pl.col("item_id").is_not_null())
    five_users["friends"] = pl.DataFrame({"user_id": ["u1", "u5"], "friend_id": ["u2", "u1"]})
    five_users["collections"] = five_users["collections"].with_columns(item_id=pl.Series(["i1", "i7", "i4"]))
    assert faults(five_users, write) == [
        "collections.item_id: 1 of 3 rows refer to unknown items (first: 'i7', collections.parquet row 2); "
        "add them to items (ids there: 'i1', 'i2', ...), use the same spelling in both, or drop the rows.",
        "friends.user_id: 1 of 2 rows refer to unknown users (first: 'u5', friends.parquet row 2); "
        "add them to users (ids there: 'u1', 'u2', ...), use the same spelling in both, or drop the rows.",
    ]


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
    found = check_tables(folder)
    assert found.dataset is None
    assert [fault.where for fault in found.faults] == [
        "items.parquet",
        "users.age",
        "friends.friend_id",
        "interactions.weight",
        "interactions.signal",
    ]


@pytest.mark.parametrize("text", ["2024-13-01T00:00:00Z", "2024-13-01"])
def test_text_in_csv_that_is_no_time(text: str, five_users: Tables, write: Write) -> None:
    folder = write(five_users, "csv")
    place = folder / "interactions.csv"
    pl.read_csv(place, infer_schema=False).pipe(put("timestamp", r1=text)).write_csv(place)
    (fault,) = check_tables(folder).faults
    assert (fault.code, fault.where) == ("not_a_time", "interactions.timestamp")
    assert (fault.file, fault.line) == ("interactions.csv", 3)


def test_vectors_in_csv_that_are_no_numbers(five_users: Tables, vectors: Tables, write: Write) -> None:
    vectors["embeddings/users"] = pl.DataFrame({"user_id": ["u1"], "vector": ["1|x"]})
    assert faults({**five_users, **vectors}, write, "csv") == [
        f"embeddings/users.vector: 1 of 1 {VECTORS_DIFFER.replace('items.parquet row', 'users.csv line')}"
    ]


def test_vectors_of_one_kind_need_those_of_the_other(five_users: Tables, vectors: Tables, write: Write) -> None:
    del vectors["embeddings/users"]
    assert faults({**five_users, **vectors}, write) == [
        "embeddings/items: embeddings need both users and items; add the other table."
    ]
