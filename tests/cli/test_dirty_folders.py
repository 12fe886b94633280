"""Folders with faults: training commands say all of them, batches of newcomers those that concern them."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest

from firstday.errors import DataError
from firstday.recommend.recommender import Recommender
from tests.batches import recommend_tables
from tests.cli.conftest import Run
from tests.data.dirty import without_cause
from tests.data.dirty_files import CASES as FILES
from tests.data.dirty_tables import CASES as VALUES

CASES = {case.name: case for case in (*FILES, *VALUES)}


@pytest.fixture
def folder(name: str, tmp_path: Path) -> Path:
    folder = tmp_path / "tables"
    folder.mkdir()
    CASES[name].write(folder)
    return folder


@pytest.mark.parametrize("name", ["everything at once", "faults in several tables, csv"])
@pytest.mark.parametrize("command", ["check", "train"])
def test_commands_say_them_without_a_traceback(run: Run, command: str, name: str, folder: Path, tmp_path: Path) -> None:
    done = run(command, folder, *(["--out", tmp_path / "model"] if command == "train" else []), status=2)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    told = [line.removeprefix("error: ") for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert sorted(told) == CASES[name].sentences
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("name", CASES)
def test_newcomers_get_lists_or_the_faults_that_concern_them(
    name: str, folder: Path, tiny: Recommender, tmp_path: Path
) -> None:
    """Ids that nobody knows are no faults of newcomers, and bad ages are forgiven."""
    out = tmp_path / "lists.parquet"
    case = CASES[name]
    if all(map(FORGIVEN.match, case.sentences)):
        recommend_tables(tiny, folder, out)
        assert pl.read_parquet(out)["user_id"].n_unique() >= 30
        return
    with pytest.raises(DataError) as caught:
        recommend_tables(tiny, folder, out)
    assert set(map(without_cause, map(str, caught.value.faults))) <= set(map(without_cause, case.sentences))
    assert not out.exists()


FORGIVEN = re.compile(
    r"interactions: the table is missing|interactions: has no rows|users\.age:"
    r"|users\.registered_at:|assignments\.|.* refer to (unknown|an unknown) |.* have an unknown signal "
)
"""Faults of training that are none for newcomers: of experiments, or of what can be unknown."""
