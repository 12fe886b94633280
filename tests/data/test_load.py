from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from firstday.data.dataset import Group
from firstday.data.load import check_tables, load
from firstday.errors import DataError
from firstday.sparse import SparseRows
from firstday.tables.schema import DAY_US
from tests.data.conftest import Tables, Write
from tests.data.same import assert_equal, assert_same


def test_five_users_become_this_dataset(five_users: Tables, write: Write) -> None:
    dataset = load(write(five_users))
    assert dataset.name == "tables"
    assert dataset.users.values.to_list() == ["u1", "u2", "u3", "u4", "u5"]
    assert dataset.items.values.to_list() == ["i1", "i2", "i3", "i4"]
    assert [(*row[:4], row[4] and row[4].day, row[5]) for row in dataset.events.whole().rows()] == [
        (0, "stream", "item", 0, 1, 1.0),
        (0, "stream", "item", 1, 2, 2.0),
        (1, "favorite", "item", 0, 3, 1.0),
        (1, "favorite", "artist", 0, 3, 1.0),
        (2, "skip", "item", 2, 4, 1.0),
        (2, "favorite", "playlist", 0, 4, 1.0),
        (3, "stream", "item", 3, None, 1.0),
    ]
    members = {
        name: {entity.ids[ix]: entity.items.row(ix).tolist() for ix in range(len(entity.ids))}
        for name, entity in dataset.entities.items()
    }
    assert members == {
        "artist": {"a1": [0, 1], "a2": [2]},
        "genre": {"jazz": [3], "pop": [0, 1], "rock": [0]},
        "playlist": {"p1": [0, 2], "p2": [3]},
    }
    country = Group(("BR", "DE", "FR"), np.array([2, 2, 1, -1, 0], np.int32))
    assert_same(dataset.groups, {"country": country})
    assert_same(dataset.ages, np.array([24, 31, -1, 17, 60], np.int16))
    first = 1_714_564_800_000_000  # 2024-05-01 12:00 UTC in microseconds
    assert_same(dataset.registered_at, np.array([first, first, first + DAY_US, -1, first + 2 * DAY_US]))
    assert dataset.titles == ("One", "Two", "", "Four")
    assert_same(dataset.friends, SparseRows.from_lists([[1], [0], [0], [], []], 5).ones())
    assert (dataset.item_vectors, dataset.notes) == (None, ())
    assert dataset.pairs() == (
        ("favorite", "item"),
        ("skip", "item"),
        ("stream", "item"),
        ("favorite", "artist"),
        ("favorite", "playlist"),
    )


def test_neither_the_order_of_rows_nor_the_format_matters(five_users: Tables, write: Write) -> None:
    shuffled = {name: frame.sample(fraction=1, shuffle=True, seed=3) for name, frame in five_users.items()}
    assert_equal(load(write(five_users)), load(write(shuffled, "csv", "shuffled")))


def test_interactions_alone_are_enough(tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text("user_id,item_id\n10,7\n9,8\n9,7\n")
    dataset = load(tmp_path)
    assert dataset.users.values.to_list() == [9, 10]
    assert dataset.items.values.to_list() == [7, 8]
    expected = [(0, "stream", "item", 0), (0, "stream", "item", 1), (1, "stream", "item", 0)]
    assert dataset.events.whole().rows() == [(*row, None, 1.0) for row in expected]
    assert (dataset.ages, dataset.registered_at, dataset.friends, dataset.titles) == (None, None, None, None)


def test_ids_in_csv_keep_their_text(tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text("user_id,item_id\n1,007\n2,7\n")
    dataset = load(tmp_path)
    assert dataset.users.values.to_list() == [1, 2]
    assert dataset.items.values.to_list() == ["007", "7"]


def test_numbers_in_one_table_and_text_in_another_still_join(tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text("user_id,item_id\n1,5\n2,6\n")
    pl.DataFrame({"item_id": ["5", "6", "x"]}).write_parquet(tmp_path / "items.parquet")
    (tmp_path / "friends.csv").write_text("user_id,friend_id\n1,2\n")
    dataset = load(tmp_path)
    assert dataset.items.values.to_list() == ["5", "6", "x"]
    assert dataset.events.whole()["target_ix"].to_list() == [0, 1]


def test_an_entity_in_items_and_in_collections_is_the_union(five_users: Tables, write: Write) -> None:
    five_users["collections"] = pl.DataFrame(
        {"entity": ["artist", "artist", "playlist"], "entity_id": ["a1", "a3", "p1"], "item_id": ["i4", "i4", "i1"]}
    )
    artist = load(write(five_users)).entities["artist"]
    assert artist.ids.values.to_list() == ["a1", "a2", "a3"]
    assert [artist.items.row(ix).tolist() for ix in range(3)] == [[0, 1, 3], [2], [3]]
    assert artist.items.weights.tolist() == [1.0] * 5


def test_names_go_to_what_items_and_collections_have(five_users: Tables, write: Write) -> None:
    names = pl.DataFrame(
        [
            ("artist", "a2", "Two"),
            ("artist", "a1", "Uno"),
            ("artist", "a1", "One"),
            ("artist", "a9", "Nine"),
            ("playlist", "p2", None),
            ("label", "x", "A label"),
            ("item", "i1", "No title"),
        ],
        schema=["entity", "entity_id", "name"],
        orient="row",
    )
    for rows in (names, names.reverse()):
        dataset = load(write({**five_users, "names": rows}))
        assert {name: entity.names for name, entity in dataset.entities.items()} == {
            "artist": ("One", "Two"),
            "genre": ("", "", ""),
            "playlist": ("", ""),
        }
        assert [note for note in dataset.notes if note.startswith("names")] == [
            "names: 3 of 5 ids are not in items or collections and were ignored; put item names into items.title.",
        ]
    with pytest.raises(DataError, match=r"names\.name: the column is missing"):
        load(write({**five_users, "names": names.drop("name")}))


@pytest.mark.parametrize(
    "text",
    ["2024-05-01T12:00:00Z", "2024-05-01 12:00Z", "2024-05-01T14:00:00.000+02:00", "2024-05-01 10:30:00-0130"],
)
def test_times_in_text_may_be_written_in_these_ways(text: str, tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text(f"user_id,item_id,timestamp\n1,1,{text}\n")
    assert load(tmp_path).events.whole()["timestamp"].dt.strftime("%F %T %Z").to_list() == ["2024-05-01 12:00:00 UTC"]


def test_times_in_another_zone_become_utc(five_users: Tables, write: Write) -> None:
    moved = five_users["interactions"].with_columns(pl.col("timestamp").dt.convert_time_zone("Asia/Tokyo"))
    assert_equal(load(write(five_users)), load(write({**five_users, "interactions": moved}, into="moved")))


def test_own_vectors_are_placed_by_index(five_users: Tables, vectors: Tables, write: Write) -> None:
    users = np.array([[1, 2], [3, 4]] + [[np.nan, np.nan]] * 3, np.float32)
    items = np.array([[1, 0], [2, 0], [3, 0], [4, 0]], np.float32)
    for ending in ("parquet", "csv"):
        dataset = load(write({**five_users, **vectors}, ending, ending))
        assert_same(dataset.user_vectors, users)
        assert_same(dataset.item_vectors, items)


def test_items_without_a_vector_are_counted_and_named(five_users: Tables, vectors: Tables, write: Write) -> None:
    vectors["embeddings/items"] = vectors["embeddings/items"].filter(pl.col("item_id") == "i3")
    dataset = load(write({**five_users, **vectors}))
    assert dataset.item_vectors is not None
    assert dataset.items_without_vector.tolist() == [0, 1, 3]
    np.testing.assert_array_equal(dataset.item_vectors[2], [3, 0])
    sentence = "embeddings/items: 3 of 4 items have no vector (first: 'i1', 'i2', 'i4'); they are never recommended"
    assert f"{sentence}; provide a vector for every item." in dataset.notes


def test_what_is_ignored_or_decided_is_noted(five_users: Tables, write: Write) -> None:
    many = pl.DataFrame({"user_id": [f"v{n}" for n in range(60)]}).with_columns(email=pl.col("user_id") + "@x")
    users = pl.concat([five_users["users"], many], how="diagonal").with_columns(
        height=pl.lit(1.7),
        birthday=pl.date(2000, 1, 1),
        email=pl.col("user_id") + "@x",
        nothing=pl.lit(None, pl.String),
    )
    interactions = five_users["interactions"].with_columns(
        device=pl.lit("phone"), weight=pl.Series([1.0, 0.0, None, 1.0, 1.0, 1.0, 1.0])
    )
    items = five_users["items"].with_columns(
        tags=pl.Series([["a"]] * 4), tempos=pl.Series([[120.5]] * 4), color=pl.lit(None, pl.String)
    )
    friends = pl.concat([five_users["friends"], pl.DataFrame({"user_id": ["u4"], "friend_id": ["u4"]})])
    folder = write({**five_users, "users": users, "interactions": interactions, "items": items, "friends": friends})
    (folder / "ratings.csv").write_text("a\n1\n")
    dataset = load(folder)
    assert dataset.notes == (
        "ignored: 1 files or folders that are not tables of firstday (first: ratings.csv).",
        "users.birthday: ignored (Date is not categorical).",
        "users.email: ignored (it has 65 values for 65 users, too many for a group).",
        "users.height: ignored (decimal numbers or dates are not categorical).",
        "users.nothing: ignored (it has no values).",
        "items.tempos: ignored (filters cannot use List(Float64)).",
        "items.color: ignored (it has no values).",
        "interactions.weight: 1 of 7 rows are empty and have weight 1.",
        "interactions.device: ignored (not a column of interactions).",
        "interactions.weight: 1 of 7 rows have weight 0, or a rating below signals.rating, and were dropped.",
        "friends: 1 of 4 rows have a user as their own friend and were dropped.",
    )
    assert sorted(dataset.groups) == ["country"]
    assert sorted(dataset.entities) == ["artist", "genre", "playlist", "tags"]
    assert dataset.summary()["interactions"] == 6
    assert dataset.summary()["friends"] == 3


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_an_item_that_interactions_name_and_items_lack_has_no_attributes(
    five_users: Tables, write: Write, ending: str
) -> None:
    whole = load(write(five_users, ending, "whole"))
    lacking = {name: five_users[name].filter(pl.col("item_id") != "i1") for name in ("items", "collections")}
    dataset = load(write({**five_users, **lacking}, ending, "lacking"))
    assert dataset.items.values.to_list() == whole.items.values.to_list()
    assert dataset.events.whole().equals(whole.events.whole())
    assert all(0 not in entity.items.columns for entity in dataset.entities.values())
    note = "interactions.item_id: 1 of 4 items are not in items (first: 'i1'); they have no attributes."
    assert note in dataset.notes


def test_values_that_change_after_registration_and_numbers_as_categories_are_noted() -> None:
    """Of 1,000 users, ten a day: a third of those older than a week changed what `late` columns hold."""
    number = pl.int_range(1000, eager=True)
    day = number // 10
    is_late = (number % 3 == 0) & (day < 93)
    users = pl.DataFrame({"user_id": number}).with_columns(
        registered_at=pl.lit(datetime(2024, 1, 1, tzinfo=UTC)) + pl.duration(days=pl.col("user_id") // 10),
        late_plan=pl.when(is_late).then(pl.lit("premium")).otherwise(pl.lit("free")),
        late_city=pl.when(is_late).then(pl.lit("Rome")),
        country=pl.when(number % 20 == 0).then(pl.lit("IT")).otherwise(pl.lit("FR")),
        app=pl.when(day < 60).then(pl.lit("v1")).otherwise(pl.lit("v2")),
        gender=pl.when(number % 2 == 0).then(pl.lit("f")).otherwise(pl.lit("m")),
        birth_year=1950 + number % 40,
        decade=1950 + 10 * (number % 6),
        points=number % 60,
        level=number % 40,
    )
    dataset, findings = check_tables({"users": users, "interactions": pl.DataFrame({"user_id": [1], "item_id": [1]})})
    assert dataset is not None
    noted = [note.partition(":")[0] for note in findings.notes]
    assert sorted(noted) == ["users.birth_year", "users.late_city", "users.late_plan", "users.points"]
    changed = users.with_columns(registered_at=pl.lit(datetime(2024, 1, 1, tzinfo=UTC)))
    _, findings = check_tables({"users": changed, "interactions": pl.DataFrame({"user_id": [1], "item_id": [1]})})
    assert "late" not in str(findings.notes)  # all registered at one time
