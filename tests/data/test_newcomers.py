"""Tables of cold users: what cannot be read is a fault, what a model does not know is none."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from firstday.data.newcomers import load_newcomers
from firstday.errors import DataError


def write(folder: Path, **tables: str) -> Path:
    for name, text in tables.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return folder


def items_of(folder: Path) -> dict[str, list[str]]:
    dataset = load_newcomers(folder)
    rows = dataset.actions()[("stream", "item")]
    return {
        str(dataset.users[ix]): [str(dataset.items[item]) for item in rows.row(ix)] for ix in range(len(dataset.users))
    }


def test_users_of_either_table_are_there(tmp_path: Path) -> None:
    write(tmp_path, users="user_id\na\nb\n", interactions="user_id,item_id\nb,i1\nc,i2\n")
    assert items_of(tmp_path) == {"a": [], "b": ["i1"], "c": ["i2"]}


@pytest.mark.parametrize("has_item_column", [True, False])
def test_the_entity_item_means_the_item(tmp_path: Path, has_item_column: bool) -> None:
    if has_item_column:
        write(tmp_path, interactions="user_id,item_id,entity,entity_id\na,0,,\na,3,,\nb,6,,\nb,,item,9\n")
        assert items_of(tmp_path) == {"a": ["0", "3"], "b": ["6", "9"]}
    else:
        write(tmp_path, interactions="user_id,entity,entity_id\na,item,0\nb,item,9\nb,artist,x\n")
        assert items_of(tmp_path) == {"a": ["0"], "b": ["9"]}


def test_profile_columns_are_kept_however_many_values_they_have(tmp_path: Path) -> None:
    rows = "".join(f"u{ix},C{ix}\n" for ix in range(60))
    dataset = load_newcomers(write(tmp_path, users="user_id,country\n" + rows))
    assert len(dataset.groups["country"].values) == 60


@pytest.mark.parametrize(
    ("interactions", "sentence"),
    [
        (
            "user_id,item_id,signal\na,i1,\n",
            "interactions.signal: 1 of 1 rows are empty (first: interactions.csv line 2)",
        ),
        ("user_id,item_id,weight\na,i1,inf\n", "interactions.weight: 1 of 1 rows are not finite numbers from 0"),
        ("user_id,item_id,weight\na,i1,nan\n", "interactions.weight: 1 of 1 rows are not numbers (first: 'nan'"),
        ("user_id,item_id\n", "has neither users nor interactions"),
        ("user_id,item_id\na,\n", "interactions.item_id: 1 of 1 rows are empty"),
    ],
)
def test_what_means_nothing_is_a_fault(tmp_path: Path, interactions: str, sentence: str) -> None:
    with pytest.raises(DataError) as caught:
        load_newcomers(write(tmp_path, interactions=interactions))
    assert len(caught.value.faults) == 1
    assert sentence in str(caught.value)


def test_friends_are_not_newcomers(tmp_path: Path) -> None:
    write(tmp_path, users="user_id\na\n", friends="user_id,friend_id\na,z\na,y\nb,z\na,z\n")
    dataset = load_newcomers(tmp_path)
    assert dataset.users.values.to_list() == ["a", "b"]  # of b friends alone are known
    assert dataset.friends is not None
    assert dataset.friend_ids is not None
    named = [dataset.friend_ids.take(dataset.friends.row(ix)).to_list() for ix in range(2)]
    assert named == [["y", "z"], ["z"]]


def test_a_friend_without_an_id_is_a_fault(tmp_path: Path) -> None:
    write(tmp_path, users="user_id\na\n", friends="user_id,friend_id\na,\n")
    with pytest.raises(DataError, match=r"friends\.friend_id: 1 of 1 rows are empty \(first: friends.csv line 2\)"):
        load_newcomers(tmp_path)
    write(tmp_path, friends="user_id\na\n")
    with pytest.raises(DataError, match="friends"):
        load_newcomers(tmp_path)


def test_item_updates_of_a_batch_replace_what_its_items_state() -> None:
    tables = {
        "users": pl.DataFrame({"user_id": ["u"]}),
        "items": pl.DataFrame({"item_id": ["i1", "n1"], "title": ["One", "New"], "year": [2020.0, None]}),
        "item_updates": pl.DataFrame({"item_id": ["i1", "i2"], "title": ["Uno", None], "recommendable": [None, False]}),
    }
    items = load_newcomers(tables).new_items
    assert items is not None
    assert items.select("item_id", "title", "year", "recommendable").rows() == [
        ("i1", "Uno", 2020.0, None),
        ("n1", "New", None, None),
        ("i2", None, None, False),
    ]
