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


CASES = [
    (
        "interactions",
        lambda frame: frame.drop("user_id"),
        "interactions.user_id: the column is missing (found: item_id, entity, entity_id, signal, timestamp, weight); "
        "add it.",
    ),
    (
        "friends",
        lambda frame: frame.rename({"friend_id": "friend"}),
        "friends.friend_id: the column is missing (found: user_id, friend); rename friend to friend_id if that is what "
        "it holds.",
    ),
    (
        "interactions",
        lambda frame: frame.drop("entity_id"),
        "interactions.entity_id: the column is missing, and entity needs it; add it.",
    ),
    (
        "interactions",
        lambda frame: frame.drop("entity"),
        "interactions.entity: the column is missing, and entity_id needs it; add it.",
    ),
    (
        "collections",
        lambda frame: frame.drop("entity_id"),
        "collections.entity_id: the column is missing (found: entity, item_id); add it.",
    ),
    ("friends", lambda frame: frame.clear(), "friends: has no rows; add rows or remove the table."),
    (
        "interactions",
        be("weight", [True] * 7),
        "interactions.weight: the column holds Boolean, not numbers; store numbers.",
    ),
    ("users", be("age", [True] * 5), "users.age: the column holds Boolean, not numbers; store numbers."),
    ("interactions", be("signal", [1] * 7), "interactions.signal: the column holds Int64, not text; store text."),
    (
        "friends",
        be("user_id", [1.5, 2.0, None]),
        "friends.user_id: the column holds Float64, not whole numbers or text; store whole numbers or text.",
    ),
    (
        "items",
        be("artist_id", [1.0, 2.5, None, 4.0]),
        "items.artist_id: the column holds Float64, not whole numbers, text or lists of them; "
        "store whole numbers, text or lists of them.",
    ),
    (
        "interactions",
        be("item_id", [2.0**53] * 7),
        "interactions.item_id: the column holds Float64, not whole numbers or text; store whole numbers or text.",
    ),
    (
        "items",
        be("item", [["x"]] * 4),
        "items.item: would be the entity 'item', the item itself; rename the column.",
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
        "friends",
        put("friend_id", r1=None),
        "friends.friend_id: 1 of 3 rows are empty (first: friends.parquet row 2); fill them in or drop the rows.",
    ),
    (
        "interactions",
        put("signal", r0=None),
        "interactions.signal: 1 of 7 rows are empty (first: interactions.parquet row 1); "
        "fill them in or drop the rows.",
    ),
    (
        "collections",
        put("item_id", r1="i9"),
        "collections.item_id: 1 of 3 rows name unknown items (first: 'i9', collections.parquet row 2); "
        "add them to items or drop the rows.",
    ),
    (
        "collections",
        put("entity", r2="item"),
        "collections.entity: 1 of 3 rows name 'item', which is no collection (first: collections.parquet row 3); "
        "rename it or drop the rows.",
    ),
    (
        "interactions",
        put("entity", r3="album"),
        "interactions.entity: 1 of 7 rows name an unknown entity (first: 'album', interactions.parquet row 4); "
        "known are artist, genre, playlist; "
        "add such a column to items, or collections of it, or drop the rows.",
    ),
    (
        "interactions",
        put("entity_id", r3="a9"),
        "interactions.entity_id: 1 of 7 rows name an unknown artist (first: 'a9', interactions.parquet row 4); "
        "add them to items or collections or drop the rows.",
    ),
    (
        "interactions",
        put("item_id", r3="i1"),
        "interactions: 1 of 7 rows have both item_id and entity (first: interactions.parquet row 4); "
        "keep one of them in each row.",
    ),
    (
        "interactions",
        put("item_id", r0=None),
        "interactions: 1 of 7 rows have neither item_id nor entity (first: interactions.parquet row 1); "
        "fill in one of them or drop the rows.",
    ),
    (
        "interactions",
        put("entity_id", r4=None),
        "interactions: 1 of 7 rows have only one of entity and entity_id (first: interactions.parquet row 5); "
        "fill in both or drop the rows.",
    ),
    (
        "interactions",
        put("signal", r0="skip", r1="skip", r2="ban", r6="skip"),
        "interactions: no row says that an item is used (signals stream, favorite, weight above 0); "
        "add such rows, or name the signals that mean use in the configuration (signals.use).",
    ),
    (
        "interactions",
        be("timestamp", [True] * 7),
        "interactions.timestamp: the column holds Boolean, not moments in UTC; store moments in UTC.",
    ),
]


@pytest.mark.parametrize(("table", "change", "sentence"), CASES)
def test_one_wrong_table_gives_one_sentence(
    table: str, change: Callable[[pl.DataFrame], pl.DataFrame], sentence: str, five_users: Tables, write: Write
) -> None:
    five_users[table] = change(five_users[table])
    assert faults(five_users, write) == [sentence]


def test_interactions_without_any_target(tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text("signal,weight\nstream,1\n")
    with pytest.raises(DataError) as caught:
        load(tmp_path)
    assert caught.value.faults == (
        "interactions.user_id: the column is missing (found: signal, weight); add it.",
        "interactions.item_id: the column is missing (found: signal, weight); add it, or entity and entity_id.",
    )


def test_entities_without_any_table_of_them(five_users: Tables, write: Write) -> None:
    assert faults({"interactions": five_users["interactions"]}, write) == [
        "interactions.entity: 2 of 7 rows name an unknown entity "
        "(first: 'artist', interactions.parquet row 4); there are none yet; "
        "add such a column to items, or collections of it, or drop the rows."
    ]


def test_without_users_and_items_those_of_interactions_are_the_known_ones(five_users: Tables, write: Write) -> None:
    del five_users["users"], five_users["items"]
    five_users["interactions"] = five_users["interactions"].filter(pl.col("item_id").is_not_null())
    five_users["friends"] = pl.DataFrame({"user_id": ["u1", "u5"], "friend_id": ["u2", "u1"]})
    five_users["collections"] = five_users["collections"].with_columns(item_id=pl.Series(["i1", "i7", "i4"]))
    assert faults(five_users, write) == [
        "collections.item_id: 1 of 3 rows name unknown items (first: 'i7', collections.parquet row 2); "
        "add them to items or drop the rows.",
        "friends.user_id: 1 of 2 rows name unknown users (first: 'u5', friends.parquet row 2); "
        "add them to users or drop the rows.",
    ]


def test_large_counts_have_thousands_separators(tmp_path: Path) -> None:
    n = 12_000
    pl.DataFrame({"user_id": range(n), "item_id": [*range(500), *range(20_000, 31_500)]}).write_parquet(
        tmp_path / "interactions.parquet"
    )
    pl.DataFrame({"item_id": range(n)}).write_parquet(tmp_path / "items.parquet")
    with pytest.raises(DataError) as caught:
        load(tmp_path)
    assert caught.value.faults == (
        "interactions.item_id: 11,500 of 12,000 rows name unknown items (first: 20000, interactions.parquet row 501; "
        "items has 0, 1, ...); write ids in the same way in both, add them to items or drop the rows.",
    )


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
    assert [fault.split(":")[0] for fault in found.faults] == [
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
    assert check_tables(folder).faults == (
        f"interactions.timestamp: 1 of 7 rows are not times (first: '{text}', interactions.csv line 3); "
        "write UTC with its zone, such as 2024-05-01T12:00:00Z.",
    )


VECTOR_CASES = [
    (
        "items",
        be("vector", [[4.0, 0.0], [1.0], [2.0, 0.0], [3.0, 0.0, 0.0]]),
        "embeddings/items.vector: 2 of 4 rows have another length than the first one "
        "(first: 1, embeddings/items.parquet row 2); "
        "bring vectors of one model, all of the same length.",
    ),
    (
        "items",
        be("vector", [[4.0, 0.0], [], [2.0, 0.0], None]),
        "embeddings/items.vector: 2 of 4 rows have no numbers (first: embeddings/items.parquet row 2); "
        "bring vectors of one model, all of the same length.",
    ),
    (
        "items",
        be("vector", [[4.0, 0.0], [1.0, float("nan")], [float("inf"), 0.0], [None, 0.0]]),
        "embeddings/items.vector: 3 of 4 rows hold numbers that are missing, NaN or infinite "
        "(first: embeddings/items.parquet row 2); "
        "compute these vectors again.",
    ),
    (
        "users",
        be("vector", ["1 2", "3 4"]),
        "embeddings/users.vector: the column holds text, not lists of numbers; store lists of numbers.",
    ),
    (
        "users",
        be("vector", [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]),
        "embeddings/users.vector: has 3 numbers where those of items have 2; bring both from the same model.",
    ),
    (
        "users",
        put("user_id", r1="u9"),
        "embeddings/users.user_id: 1 of 2 rows name unknown users (first: 'u9', embeddings/users.parquet row 2); "
        "add them to users or drop the rows.",
    ),
    (
        "users",
        put("user_id", r1="u2"),
        "embeddings/users.user_id: 1 of 2 rows repeat an id with other values "
        "(first: 'u2', embeddings/users.parquet row 2); keep one row for each id.",
    ),
    (
        "items",
        lambda frame: pl.concat([frame, pl.DataFrame({"item_id": ["i9"], "vector": [[9.0, 0.0]]})]),
        "embeddings/items.item_id: 1 of 5 rows name unknown items (first: 'i9', embeddings/items.parquet row 5); "
        "add them to items or drop the rows.",
    ),
]


@pytest.mark.parametrize(("kind", "change", "sentence"), VECTOR_CASES)
def test_one_wrong_table_of_vectors_gives_one_sentence(
    kind: str,
    change: Callable[[pl.DataFrame], pl.DataFrame],
    sentence: str,
    five_users: Tables,
    vectors: Tables,
    write: Write,
) -> None:
    vectors[f"embeddings/{kind}"] = change(vectors[f"embeddings/{kind}"])
    assert faults({**five_users, **vectors}, write) == [sentence]


def test_vectors_in_csv_that_are_no_numbers(five_users: Tables, vectors: Tables, write: Write) -> None:
    vectors["embeddings/users"] = pl.DataFrame({"user_id": ["u1"], "vector": ["1|x"]})
    assert faults({**five_users, **vectors}, write, "csv") == [
        "embeddings/users.vector: 1 of 1 rows hold numbers that are missing, NaN or infinite "
        "(first: embeddings/users.csv line 2); "
        "compute these vectors again."
    ]


def test_vectors_of_one_kind_need_those_of_the_other(five_users: Tables, vectors: Tables, write: Write) -> None:
    del vectors["embeddings/users"]
    assert faults({**five_users, **vectors}, write) == [
        "embeddings/users: the table is missing beside embeddings/items; add it."
    ]
