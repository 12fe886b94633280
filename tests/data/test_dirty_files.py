"""Every fault of tables is said in its sentence; and what has no fault, however written, is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from firstday.data.dataset import Dataset
from firstday.data.load import load
from firstday.engine.engines import check as check_tables
from tests.data.dirty import Dirty, without_cause
from tests.data.dirty_files import CASES, CLEAN, write_parquet
from tests.data.dirty_tables import CASES as TABLES
from tests.data.same import assert_equal

ALL = [*CASES, *TABLES]


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_each_fault_is_said_once(case: Dirty, tmp_path: Path) -> None:
    case.write(tmp_path)
    checked = check_tables(tmp_path)
    assert checked.dataset is None
    assert sorted(map(without_cause, map(str, checked.faults))) == sorted(map(without_cause, case.sentences))


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("clean")
    write_parquet(folder)
    return load(folder)


@pytest.mark.parametrize("name", CLEAN)
def test_the_same_tables_in_other_files_are_the_same_dataset(name: str, clean: Dataset, tmp_path: Path) -> None:
    CLEAN[name](tmp_path)
    assert_equal(load(tmp_path), clean)
