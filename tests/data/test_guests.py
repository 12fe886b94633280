"""Guests in tables: `users.guest_ids` makes the rows of several ids those of one person."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from firstday.data.dataset import Dataset
from firstday.data.load import load
from firstday.data.newcomers import load_newcomers
from firstday.data.parts import join_users
from firstday.data.splits.snapshot import take_snapshot
from firstday.errors import DataError

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
HOUR_US = 3_600_000_000


def at(hours: float) -> datetime:
    return BEGIN + timedelta(hours=hours)


def hours(us: int) -> float:
    return (us - BEGIN.timestamp() * 1e6) / HOUR_US


def make_tables(**changes: Any) -> dict[str, pl.DataFrame]:
    """Make tables of ada, who was the guests g1 and g2 before, and of ben."""
    tables = {
        "users": pl.DataFrame(
            {
                "user_id": ["ada", "ben", "g2"],
                "registered_at": [at(5), at(1), at(3)],
                "country": [None, "DE", "FR"],
                "plan": ["x", "y", "z"],
                "guest_ids": [["g1", "g2"], [], None],
            },
            schema_overrides={"guest_ids": pl.List(pl.String)},
        ),
        "interactions": pl.DataFrame(
            {
                "user_id": ["g1", "ada", "ben", "g2"],
                "item_id": ["a", "b", "a", "c"],
                "timestamp": [at(2), at(6), at(8), at(4)],
            }
        ),
        "friends": pl.DataFrame({"user_id": ["ben", "g1"], "friend_id": ["g2", "ben"]}),
        "assignments": pl.DataFrame(
            {
                "user_id": ["g1", "ada", "ben"],
                "experiment": "x",
                "variant": ["b", "a", "a"],
                "assigned_at": [at(2), at(6), at(1)],
            }
        ),
    }
    return {name: changes.get(name, table) for name, table in tables.items()}


def rows_of(dataset: Dataset) -> list[tuple[str, str, float]]:
    rows = dataset.events.rows.whole()
    users = dataset.users.take(rows["user_ix"].to_numpy())
    targets = dataset.items.take(rows["target_ix"].to_numpy())
    moments = [hours(us) for us in rows["timestamp"].to_physical()]
    return sorted(zip(map(str, users), map(str, targets), moments, strict=True))


def test_a_person_has_the_rows_of_all_ids() -> None:
    dataset = load(make_tables())
    assert dataset.users.values.to_list() == ["ada", "ben"]
    assert rows_of(dataset) == [("ada", "a", 2), ("ada", "b", 6), ("ada", "c", 4), ("ben", "a", 8)]
    assert dataset.registered_at is not None
    assert [hours(us) for us in dataset.registered_at] == [2, 1]  # ada's day one begins with g1's first event
    groups = {name: [group.values[code] for code in group.codes] for name, group in dataset.groups.items()}
    assert groups == {"country": ["FR", "DE"], "plan": ["x", "y"]}
    assert dataset.friends is not None
    assert [dataset.friends.row(n).tolist() for n in (0, 1)] == [[1], [0]]
    assert dataset.guests is not None
    assert dataset.guests.rows() == [(0, "g1"), (0, "g2"), (0, "ada")]
    assert dataset.find_users(pl.Series(["g2", "nobody", "ben", "ada"])).tolist() == [0, -1, 1, 0]
    assert not any("guest" in note for note in dataset.notes)


def test_the_order_of_first_contact_tells_the_first_id() -> None:
    users = make_tables()["users"].with_columns(registered_at=pl.Series([at(5), at(1), at(7)]))
    users = users.with_columns(guest_ids=pl.Series([["g2"], [], []]))
    interactions = make_tables()["interactions"].filter(pl.col("user_id") != "g1")
    dataset = load({"users": users, "interactions": interactions})
    assert dataset.guests is not None
    assert dataset.guests.rows() == [(0, "ada"), (0, "g2")]
    for changed in (users.drop("registered_at"), users.filter(pl.col("user_id") != "g2")):
        dataset = load({"users": changed, "interactions": interactions})
        assert dataset.guests is not None
        assert dataset.guests.rows() == [(0, "g2"), (0, "ada")]


def test_whole_numbers_may_have_guests_with_text_as_ids_in_any_format(tmp_path: Path) -> None:
    users = pl.DataFrame({"user_id": [1, 2], "guest_ids": [["g-1", "7"], []]})
    interactions = pl.DataFrame({"user_id": ["g-1", "7", "1", "2"], "item_id": ["a", "b", "c", "d"]})
    dataset = load({"users": users, "interactions": interactions})
    expected = [("1", "a"), ("1", "b"), ("1", "c"), ("2", "d")]

    def pairs(dataset: Dataset) -> list[tuple[str, str]]:
        rows = dataset.events.rows.whole()
        users = dataset.users.take(rows["user_ix"].to_numpy())
        return sorted(zip(map(str, users), dataset.items.take(rows["target_ix"].to_numpy()), strict=True))

    assert pairs(dataset) == expected
    assert dataset.users.are_integers
    joined = users.with_columns(pl.col("guest_ids").list.join("|"))
    joined.write_csv(tmp_path / "users.csv")
    interactions.write_csv(tmp_path / "interactions.csv")
    assert pairs(load(tmp_path)) == expected


@pytest.mark.parametrize(
    ("guest_ids", "n"),
    [
        ([["g1"], ["g1"], None], 2),  # of two users
        ([["ben"], ["g1"], None], 1),  # a guest who has guests
        ([["ada"], None, None], 1),  # oneself
        ([["ben"], ["ada"], None], 2),  # a circle
    ],
)
def test_a_guest_of_several_users_or_with_guests_is_a_fault(guest_ids: list[Any], n: int) -> None:
    users = make_tables()["users"].with_columns(guest_ids=pl.Series(guest_ids, dtype=pl.List(pl.String)))
    with pytest.raises(DataError) as refused:
        load(make_tables(users=users))
    (fault,) = [fault for fault in refused.value.faults if fault.column == "guest_ids"]
    assert (fault.code, fault.table) == ("shared_guest", "users")
    assert fault.text.startswith(f"{n} of 3 rows ")


@pytest.mark.parametrize("values", [[1.5, 2.5, 3.5], [True, False, True]])
def test_what_is_no_list_of_ids_is_a_fault(values: list[Any]) -> None:
    with pytest.raises(DataError) as refused:
        load(make_tables(users=make_tables()["users"].with_columns(guest_ids=pl.Series(values))))
    assert ("wrong_type", "guest_ids") in {(fault.code, fault.column) for fault in refused.value.faults}


def test_guests_without_any_row_and_repeated_ones_are_no_fault() -> None:
    users = make_tables()["users"].with_columns(guest_ids=pl.Series([["g1", "g2", "g1", "unseen"], None, None]))
    dataset = load(make_tables(users=users))
    assert dataset.users.values.to_list() == ["ada", "ben"]
    assert rows_of(dataset) == rows_of(load(make_tables()))


def test_given_vectors_are_those_of_the_person() -> None:
    def vectors(**of: list[float]) -> pl.DataFrame:
        return pl.DataFrame({"id": list(of), "vector": list(of.values())})

    of_users = vectors(ada=[1.0, 0.0], ben=[0.0, 1.0], g2=[5.0, 5.0]).rename({"id": "user_id"})
    of_items = vectors(a=[1.0, 1.0], b=[1.0, 0.0], c=[0.0, 1.0]).rename({"id": "item_id"})
    dataset = load({**make_tables(), "embeddings/users": of_users, "embeddings/items": of_items})
    assert dataset.user_vectors is not None
    assert dataset.user_vectors.tolist() == [[1, 0], [0, 1]]


def test_parts_and_snapshots_keep_guests() -> None:
    dataset = load(make_tables())
    of_ada = dataset.keep_users(np.array([0]))
    assert of_ada.guests is not None
    assert of_ada.guests.rows() == [(0, "g1"), (0, "g2"), (0, "ada")]
    of_ben = dataset.keep_users(np.array([1]))
    assert of_ben.guests is not None
    assert of_ben.guests.is_empty()
    joined = join_users("joined", [of_ben, of_ada], dataset.keep_users(np.array([], dtype=np.int64)), are_all=True)
    assert joined.guests is not None
    assert dataset.guests is not None
    assert joined.guests.equals(dataset.guests)
    assert joined.assignments is not None
    assert dataset.assignments is not None
    assert joined.assignments.equals(dataset.assignments)
    assert rows_of(joined) == rows_of(dataset)
    assert dataset.registered_at is not None
    snapshot = take_snapshot(dataset, dataset.registered_at, int(at(7).timestamp() * 1e6))
    assert snapshot.guests is not None
    assert dataset.guests is not None
    assert snapshot.guests.equals(dataset.guests)


def newcomers(tables: Mapping[str, pl.DataFrame]) -> Dataset:
    return load_newcomers({name: tables[name] for name in ("users", "interactions", "friends")})


def test_newcomers_may_have_been_guests() -> None:
    dataset = newcomers(make_tables())
    assert dataset.users.values.to_list() == ["ada", "ben"]
    assert rows_of(dataset) == [("ada", "a", 2), ("ada", "b", 6), ("ada", "c", 4), ("ben", "a", 8)]
