"""Every fault of tables is said in its sentence, by every command; and what has no fault, however written, is read."""

from __future__ import annotations

import subprocess
import sys
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
TOLD_BY_COMMANDS = ("everything at once", "faults in several tables, csv")


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_each_fault_is_said_once(case: Dirty, tmp_path: Path) -> None:
    case.write(tmp_path)
    checked = check_tables(tmp_path)
    assert checked.dataset is None
    assert sorted(map(without_cause, checked.faults)) == sorted(map(without_cause, case.sentences))


@pytest.mark.parametrize("case", [case for case in ALL if case.name in TOLD_BY_COMMANDS], ids=lambda case: case.name)
@pytest.mark.parametrize("command", ["check", "train"])
def test_commands_say_them_without_a_traceback(command: str, case: Dirty, tmp_path: Path) -> None:
    folder = tmp_path / "tables"
    folder.mkdir()
    case.write(folder)
    more = ["--out", str(tmp_path / "model")] if command == "train" else []
    arguments = [sys.executable, "-m", "firstday", command, str(folder), *more]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    told = [line.removeprefix("error: ") for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert sorted(told) == case.sentences
    assert not (tmp_path / "model").exists()


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("clean")
    write_parquet(folder)
    return load(folder)


@pytest.mark.parametrize("name", CLEAN)
def test_the_same_tables_in_other_files_are_the_same_dataset(name: str, clean: Dataset, tmp_path: Path) -> None:
    CLEAN[name](tmp_path)
    assert_equal(load(tmp_path), clean)
