"""Tables with odd values: batches and parts say what the whole table says, and what is understood is a note."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from firstday.data.dataset import Dataset
from firstday.engine.engines import check as check_tables
from tests.data.dirty import Dirty
from tests.data.dirty_tables import CASES, NOTED, Change, every, some, write_tables


def test_batches_say_what_the_whole_table_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firstday.tables.raw_table.BATCH_ROWS", 90)
    for number, case in enumerate(CASES):
        folder = tmp_path / str(number)
        folder.mkdir()
        case.write(folder)
        assert sorted(map(str, check_tables(folder).faults)) == case.sentences, case.name


@pytest.mark.parametrize("case", NOTED, ids=lambda case: case.name)
def test_what_is_understood_is_noted(case: Dirty, tmp_path: Path) -> None:
    case.write(tmp_path)
    checked = check_tables(tmp_path)
    assert checked.faults == ()
    assert sorted(checked.notes) == case.sentences


def dataset_of(folder: Path, ending: str, **changes: Change) -> Dataset:
    write_tables(folder, ending, changes)
    dataset = check_tables(folder).dataset
    assert isinstance(dataset, Dataset)
    return dataset


def test_decimal_commas_are_read(tmp_path: Path) -> None:
    text = ["1,5", "2.5", "3", "1234,0625", "2,25", "1e1"]
    dataset = dataset_of(tmp_path, "csv", interactions=some("weight", dict(enumerate(text, 1))))
    assert dataset.events.whole()["weight"].head(6).round(4).to_list() == [1.5, 2.5, 3.0, 1234.0625, 2.25, 10.0]


def test_ages_with_decimals_are_rounded_down(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path, "csv", users=some("age", {1: "34.0", 2: "34,9", 3: "0", 4: None}))
    np.testing.assert_array_equal(dataset.ages[:5], [34, 34, 0, -1, 22])  # type: ignore[index]
    assert dataset_of(tmp_path, "csv", users=every("age", pl.lit(None, pl.String))).ages is None


@pytest.mark.parametrize(
    ("ending", "premium", "level", "country"),
    [
        ("csv", ["True", "", "False"], ["1.0", "2.0", None, "10.0", "1"], "BR "),
        ("parquet", [True, None, False], [1.0, 2.0, None, 10.0, 1.0], "BR"),
    ],
)
def test_groups_of_csv_are_those_of_parquet(
    ending: str, premium: list[object], level: list[object], country: str, tmp_path: Path
) -> None:
    """Booleans, whole numbers that pandas made floats, and spaces."""

    def add_columns(rows: pl.DataFrame) -> pl.DataFrame:
        columns = [pl.Series("premium", premium * 10), pl.Series("level", level * 6)]
        return some("country", {2: country, 3: ""})(rows.with_columns(columns))

    groups = dataset_of(tmp_path, ending, users=add_columns).groups
    assert {name: (group.values, group.codes[:4].tolist()) for name, group in groups.items()} == {
        "premium": (("false", "true"), [1, -1, 0, 1]),
        "level": (("1", "10", "2"), [0, 2, -1, 1]),
        "country": (("BR", "DE", "FR"), [1, 0, -1, 1]),
    }
