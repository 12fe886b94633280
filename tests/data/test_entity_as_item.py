"""Artists and shows as the items: exactly what the tables of five users become."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.load import load
from firstday.data.newcomers import load_newcomers
from firstday.errors import ConfigError
from tests.data.conftest import Tables, Write, noon
from tests.data.same import assert_equal, assert_same
from tests.data.test_impressions import rows_of, with_shown

ARTISTS = Config(item="artist_id")
NAMES = pl.DataFrame(
    {"entity": ["artist", "genre"], "entity_id": ["a1", "pop"], "name": ["The First", "Pop"]},
)


def add_columns(tables: Tables) -> Tables:
    """Add what items may have: i2 is the newest item of a1 that may be listed."""
    columns: dict[str, list[Any]] = {
        "added_at": [noon(2), noon(3), noon(4), noon(5)],
        "recommendable": [None, True, False, True],
        "year": [2020, 2021, 2022, 2023],
    }
    return {**tables, "items": tables["items"].with_columns(**{name: pl.Series(c) for name, c in columns.items()})}


def list_events(dataset: Dataset) -> list[tuple[Any, ...]]:
    rows = dataset.events.whole().with_columns(pl.col("timestamp").dt.day())
    ids = {"item": dataset.items, **{name: entity.ids for name, entity in dataset.entities.items()}}
    return [
        (dataset.users[user], signal, entity, ids[entity][target], day, weight)
        for user, signal, entity, target, day, weight in rows.iter_rows()
    ]


@pytest.mark.parametrize("ending", [None, "parquet", "csv"])
def test_artists_become_the_items(five_users: Tables, write: Write, ending: str | None) -> None:
    tables = {**add_columns(five_users), "names": NAMES}
    dataset = load(tables if ending is None else write(tables, ending), config=ARTISTS)
    assert dataset.items.values.to_list() == ["a1", "a2"]
    assert dataset.titles == ("The First", "a2")
    assert list_events(dataset) == [
        ("u1", "stream", "item", "a1", 1, 1.0),
        ("u1", "stream", "item", "a1", 2, 2.0),
        ("u2", "favorite", "item", "a1", 3, 1.0),
        ("u2", "favorite", "item", "a1", 3, 1.0),  # of the item and of the artist
        ("u3", "skip", "item", "a2", 4, 1.0),
        ("u3", "favorite", "playlist", "p1", 4, 1.0),
    ]
    members = {
        name: [entity.items.row(ix).tolist() for ix in range(len(entity.ids))]
        for name, entity in dataset.entities.items()
    }
    assert members == {"genre": [[], [0], [0]], "playlist": [[0, 1], []]}
    assert dataset.entities["genre"].names == ("", "Pop", "")
    assert {name: column.to_list() for name, column in dataset.columns.items()} == {
        "added_at": ["2024-05-02T12:00:00Z", "2024-05-04T12:00:00Z"],
        "genre": [["pop", "rock"], []],
        "newest_item": ["i2", "i3"],
        "newest_title": ["Two", None],
        "recommendable": [True, False],
        "year": [2021.0, 2022.0],
    }
    noon_of_may_first = 1_714_564_800_000_000
    assert_same(dataset.added_at, noon_of_may_first + np.array([1, 3]) * 86_400_000_000)
    assert dataset.notes == ("items: 1 of 4 items have no artist; they and 1 interactions with them were left out.",)


def test_an_item_of_several_members_counts_for_each(five_users: Tables) -> None:
    dataset = load(five_users, config=Config(item="genre"))
    of_first = [(row[3], row[4], row[5]) for row in list_events(dataset) if row[0] == "u1"]
    assert of_first == [("pop", 1, 1.0), ("rock", 1, 1.0), ("pop", 2, 2.0)]
    assert dataset.columns["newest_item"].to_list() == ["i4", "i2", "i1"]
    assert dataset.columns["artist_id"].to_list() == [[], ["a1"], ["a1"]]


def test_interactions_may_all_be_with_members(five_users: Tables) -> None:
    rows = five_users["interactions"].filter(pl.col("entity") == "artist")
    assert [row[:4] for row in list_events(load({**five_users, "interactions": rows}, config=ARTISTS))] == [
        ("u2", "favorite", "item", "a1")
    ]


def test_items_stay_the_items_by_default(five_users: Tables) -> None:
    assert_equal(load(five_users, config=Config(item="item_id")), load(five_users))


@pytest.mark.parametrize(
    ("columns", "newest"),
    [
        ({"added_at": [noon(3), noon(2), noon(1)]}, "i1"),
        ({"added_at": [noon(3), noon(2), datetime.now(UTC) + timedelta(1)]}, "i1"),
        ({"recommendable": [False, True, False]}, "i2"),
        ({"expires_at": [noon(1), None, noon(1)]}, "i2"),
        ({}, "i2"),
    ],
)
@pytest.mark.parametrize("has_times", [True, False])
def test_the_newest_item_is_the_last_to_come_that_may_be_listed(
    columns: dict[str, list[Any]], newest: str, has_times: bool
) -> None:
    """Without `added_at`, the first interaction counts; without times, i2 has the most interactions."""
    interactions = pl.DataFrame({"user_id": list("abc"), "item_id": ["i1", "i2", "i2"]})
    if has_times:
        interactions = interactions.with_columns(timestamp=pl.Series([noon(7), noon(8), noon(9)]))
    catalogue = pl.DataFrame({"item_id": ["i1", "i2", "i3"], "show_id": "s", "show_name": "The Show", **columns})
    dataset = load({"interactions": interactions, "items": catalogue}, config=Config(item="show"))
    assert dataset.columns["newest_item"].to_list() == [newest]
    assert dataset.titles == ("The Show",)


def test_an_artist_is_shown_at_the_best_position_and_has_the_vector_of_the_newest_item(
    five_users: Tables, vectors: Tables
) -> None:
    row = ("u1", "i1", "shown", noon(1), "a", 4, None, None)
    shown = with_shown({**five_users, **vectors})
    more = pl.DataFrame(
        [row],
        ["user_id", "item_id", "signal", "timestamp", "list_id", "position", "propensity", "policy"],
        orient="row",
    )
    shown["interactions"] = pl.concat([shown["interactions"], more], how="diagonal_relaxed")
    dataset = load(shown, config=ARTISTS)
    found = [(row["user_id"], row["item_id"], row["position"], row["is_used"]) for row in rows_of(dataset)]
    assert found == [("u1", "a2", 1, False), ("u1", "a1", 2, True), ("u2", "a1", 1, False)]
    assert dataset.item_vectors is not None
    assert dataset.item_vectors.tolist() == [[2, 0], [3, 0]]


def test_spark_refuses_other_entities(five_users: Tables) -> None:
    spark = pytest.importorskip("firstday.engine.spark.engine")
    with pytest.raises(ConfigError, match="artist"):
        spark.check_tables(five_users, config=ARTISTS, drop_bad_rows=0.0)


def test_an_unknown_entity_is_refused_with_those_there_are(five_users: Tables) -> None:
    with pytest.raises(ConfigError, match=r"artist, genre, playlist"):
        load(five_users, config=Config(item="show"))


def test_newcomers_may_name_items_and_members(five_users: Tables) -> None:
    rows = [("n", "i1", None, None), ("n", None, "artist", "a2"), ("n", None, "artist", "a9"), ("m", "i9", None, None)]
    tables = {
        "interactions": pl.DataFrame(rows, ["user_id", "item_id", "entity", "entity_id"], orient="row"),
        "items": add_columns(five_users)["items"],
    }
    dataset = load_newcomers(tables, config=ARTISTS)
    assert [row[:4] for row in list_events(dataset)] == [
        ("n", "stream", "item", "a1"),
        ("n", "stream", "item", "a2"),
        ("n", "stream", "item", "a9"),
    ]
    assert dataset.new_items is not None
    assert dataset.new_items.select("item_id", "title", "newest_item", "recommendable").rows() == [
        ("a1", None, "i2", True),  # the model's title stays
        ("a2", None, "i3", False),
    ]
    assert dataset.notes == ("items: 2 of 5 items have no artist; they and 1 interactions with them were left out.",)
    alone = load_newcomers({"interactions": tables["interactions"]}, config=ARTISTS)
    assert [row[3] for row in list_events(alone)] == ["a2", "a9"]
    assert alone.new_items is None
