"""Tables with odd values: batches and parts say what the whole table says, and what is understood is a note."""

from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from firstday.config import SignalConfig
from firstday.data.dataset import Dataset
from firstday.data.ids import Ids
from firstday.data.interactions import Vocabulary, check_interactions, check_tallies
from firstday.engine.engines import check as check_tables
from firstday.tables.faults import Findings
from firstday.tables.read import read_folder
from firstday.tables.table_checks import check_frames
from tests.data.dirty import Dirty
from tests.data.dirty_tables import CASES, NOTED, Change, every, some, write_tables


def test_batches_say_what_the_whole_table_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firstday.tables.raw_table.BATCH_ROWS", 90)
    for number, case in enumerate(CASES):
        folder = tmp_path / str(number)
        folder.mkdir()
        case.write(folder)
        assert sorted(check_tables(folder).faults) == case.sentences, case.name


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_findings_of_parts_are_merged_in_any_order(share: float, tmp_path: Path) -> None:
    """As machines do that check a part each."""
    weight = {1: "1,500", 2: "heavy", 150: "N/A", 200: "1,5", 299: "-1"}
    changes = {"interactions": lambda rows: some("weight", weight)(some("user_id", {9: "007", 290: "x"})(rows))}
    write_tables(tmp_path, "csv", changes)
    findings = Findings()
    raw = read_folder(tmp_path, findings)
    interactions = raw["interactions"]
    assert interactions is not None
    whole = interactions.whole
    frames = check_frames(raw, {}, findings)
    users, items = Ids.of(frames["users"]["user_id"].sort()), Ids.of(frames["items"]["item_id"].sort())
    known = Vocabulary(users, items, {}, SignalConfig())
    merged = []
    for order in (range(0, 300, 10), range(290, -1, -10), [0]):
        parts = []
        for start in order:
            part = Findings(drop=share > 0)
            check_interactions(whole[start : start + 300 // len(order)], known, part, is_text=True)
            parts.append(pickle.loads(pickle.dumps(part)))
        together = Findings(drop=share > 0, sources={"interactions": interactions.sources})
        together.merge(parts)
        check_tallies(together, SignalConfig())
        together.settle(share)
        merged.append((Counter(together.faults), Counter(together.notes), together.left_out))
    assert merged[0] == merged[1] == merged[2]
    faults, _, left_out = merged[0]
    assert len(faults) == (0 if share else 3)
    assert len(left_out) == (6 if share else 0)


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


def test_whole_floats_are_the_ids_that_they_were(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path, "parquet", interactions=every("user_id", pl.col("user_id") * 1.0))
    assert dataset.users.values.to_list() == list(range(1, 31))
    assert len(dataset.events) == 300


def test_decimal_commas_are_read(tmp_path: Path) -> None:
    text = ["1,5", "2.5", "3", "1234,0625", "2,25", "1e1"]
    dataset = dataset_of(tmp_path, "csv", interactions=some("weight", dict(enumerate(text, 1))))
    assert dataset.events.whole()["weight"].head(6).round(4).to_list() == [1.5, 2.5, 3.0, 1234.0625, 2.25, 10.0]


def test_ages_with_decimals_are_rounded_down(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path, "csv", users=some("age", {1: "34.0", 2: "34,9", 3: "0", 4: None}))
    assert dataset.ages is not None
    assert dataset.ages[:5].tolist() == [34, 34, 0, -1, 22]
    assert dataset_of(tmp_path, "csv", users=every("age", pl.lit(None, pl.String))).ages is None


@pytest.mark.parametrize(
    ("ending", "premium", "level", "country"),
    [("csv", ["True", "False"], ["1.0", "2.0", None], "BR "), ("parquet", [True, False], [1.0, 2.0, None], "BR")],
)
def test_groups_of_csv_are_those_of_parquet(
    ending: str, premium: list[object], level: list[object], country: str, tmp_path: Path
) -> None:
    """Booleans, whole numbers that pandas made floats, and spaces."""

    def add_columns(rows: pl.DataFrame) -> pl.DataFrame:
        columns = [pl.Series("premium", premium * 15), pl.Series("level", level * 10)]
        return some("country", {2: country})(rows.with_columns(columns))

    groups = dataset_of(tmp_path, ending, users=add_columns).groups
    assert {name: (group.values, group.codes[:3].tolist()) for name, group in groups.items()} == {
        "premium": (("false", "true"), [1, 0, 1]),
        "level": (("1", "2"), [0, 1, -1]),
        "country": (("BR", "DE", "FR"), [1, 0, 2]),
    }
