"""Lists of many users are given by the caller's ids, and as data frames of the caller's library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import firstday as fd
from firstday.recommend.list_notes import WITHOUT_HISTORY
from firstday.recommend.recommender import Recommender
from tests.batches import recommend_tables

COLUMNS = ["user_id", "rank", "item_id", "title", "score", "route", "scale"]
FROM_FRANCE: dict[str, Any] = {"country": "FR", "interactions": [["stream", "item", "i1"]]}


def as_polars(frame: Any) -> pl.DataFrame:
    rows: pl.DataFrame = nw.from_native(frame, eager_only=True).to_polars()
    return rows


def test_many_users_are_answered_by_the_callers_ids(tiny: Recommender) -> None:
    lists = tiny.recommend_users({"u-1": fd.Signals(country="DE"), "u-2": FROM_FRANCE}, k=3)
    assert len(lists) == 2
    assert list(lists) == ["u-1", "u-2"]
    assert [answer.user_id for answer in lists.values()] == ["u-1", "u-2"]
    assert lists["u-1"].items == tiny.recommend(fd.Signals(country="DE"), k=3).items
    assert [item.item_id for item in lists["u-1"]] == ["i4", "i3", "i5"]
    assert [item.item_id for item in lists["u-2"]] == ["i3", "i2", "i4"]
    assert "u-3" not in lists


def test_in_a_sequence_a_user_is_known_by_the_id_in_the_signals_or_by_the_place(tiny: Recommender) -> None:
    lists = tiny.recommend_users([fd.Signals(user_id="u-1"), FROM_FRANCE, {"user_id": 7}], k=3)
    assert list(lists) == ["u-1", 1, 7]
    assert lists[1].items == tiny.recommend(FROM_FRANCE, k=3).items


def test_the_id_decides_what_is_left_to_chance(tiny: Recommender) -> None:
    lists = tiny.recommend_users({"u-1": {}, "u-2": {}}, k=6, strategy="explore")
    for user_id, answer in lists.items():
        assert answer.items == tiny.recommend(fd.Signals(user_id=user_id), k=6, strategy="explore").items


def test_it_is_noted_where_the_history_of_a_user_of_the_model_is_missing(tiny: Recommender, tmp_path: Path) -> None:
    users: dict[str, dict[str, Any]] = {"u1": {}, "u2": FROM_FRANCE, "u3": {"country": "FR"}, "u9": {}}
    lists = tiny.recommend_users(users)
    assert [user_id for user_id, answer in lists.items() if WITHOUT_HISTORY in answer.notes] == ["u1", "u3"]
    assert WITHOUT_HISTORY not in tiny.recommend({}).notes
    pl.DataFrame({"user_id": list(users)}).write_csv(tmp_path / "users.csv")
    pl.DataFrame({"user_id": ["u2"], "item_id": ["i1"]}).write_csv(tmp_path / "interactions.csv")
    summary = recommend_tables(tiny, tmp_path, tmp_path / "lists.csv")
    assert summary.n_without_history == 2
    assert [note for note in summary.notes if "2 of 4 users" in note]


def test_a_user_who_stands_twice_is_refused(tiny: Recommender) -> None:
    with pytest.raises(fd.DataError, match=r"^users: 'u-1' occurs more than once; give each user once\.$"):
        tiny.recommend_users([{"user_id": "u-1"}, {"user_id": "u-1"}])
    with pytest.raises(fd.DataError, match=r"^users\['u-2'\]: age: "):
        tiny.recommend_users({"u-1": {}, "u-2": {"age": 200}})


def test_rows_of_a_page_share_no_item_where_used_items_are_allowed(tiny: Recommender) -> None:
    page = tiny.recommend_rows(FROM_FRANCE, [{"name": name, "k": 2} for name in "abc"], keep_used=True)
    assert sorted(item.item_id for row in page.values() for item in row) == ["i1", "i2", "i3", "i4", "i5", "i6"]


def test_nobody_gets_no_list(tiny: Recommender) -> None:
    lists = tiny.recommend_users({})
    assert len(lists) == 0
    assert lists.to_frame().columns == COLUMNS


@pytest.mark.parametrize(
    ("library", "kind"), [("polars", pl.DataFrame), ("pandas", pd.DataFrame), ("pyarrow", pa.Table)]
)
def test_lists_become_a_frame_of_the_callers_library(tiny: Recommender, library: Any, kind: type) -> None:
    lists = tiny.recommend_users({"u-1": {"country": "DE"}, "u-2": FROM_FRANCE}, k=4)
    frame: Any = lists.to_frame(library)
    assert type(frame) is kind
    rows = as_polars(frame)
    assert rows.columns == COLUMNS
    assert rows["user_id"].to_list() == ["u-1"] * 4 + ["u-2"] * 4
    assert rows["rank"].to_list() == [1, 2, 3, 4] * 2
    for user_id, answer in lists.items():
        own = rows.filter(pl.col("user_id") == user_id)
        assert own["item_id"].to_list() == [item.item_id for item in answer]
        assert own["title"].to_list() == [item.title for item in answer]
        assert answer[0] == answer.items[0]
        n_filled = len(answer) - answer.n_ranked
        assert own["scale"].to_list() == [answer.score_scale] * answer.n_ranked + ["fills the list up"] * n_filled


def test_ids_of_two_types_become_text_in_a_frame(tiny: Recommender) -> None:
    assert tiny.recommend_users({"u": {}, 7: {}}, k=1).to_frame()["user_id"].to_list() == ["u", "7"]
    assert tiny.recommend_users({np.int64(8): {}, 7: {}}, k=1).to_frame()["user_id"].to_list() == [8, 7]


@pytest.mark.parametrize(
    ("make", "kind"), [(pl.DataFrame, pl.DataFrame), (pd.DataFrame, pd.DataFrame), (pa.table, pa.Table)]
)
def test_a_batch_comes_back_in_the_library_that_its_tables_are_of(tiny: Recommender, make: Any, kind: type) -> None:
    users = make({"user_id": ["u-1", "u-2"], "country": ["DE", "FR"]})
    lists: Any = fd.recommend_batch(tiny, {"users": users}, k=3)
    assert type(lists) is kind
    rows = as_polars(lists)
    assert set(rows["user_id"]) == {"u-1", "u-2"}
