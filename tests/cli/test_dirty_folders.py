"""Folders with faults through `recommend --batch`, which says a part of what `check` says."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest

from firstday.errors import DataError
from tests.cli.conftest import Invoke
from tests.data.dirty import Dirty, without_cause
from tests.data.dirty_files import CASES as FILES
from tests.data.dirty_tables import CASES as VALUES

CASES = [*FILES, *VALUES]


@pytest.fixture
def folder(case: Dirty, tmp_path: Path) -> Path:
    folder = tmp_path / "tables"
    folder.mkdir()
    case.write(folder)
    return folder


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_newcomers_get_lists_or_the_faults_that_concern_them(
    case: Dirty, folder: Path, invoke: Invoke, tiny_model: Path, tmp_path: Path
) -> None:
    """Ids that nobody knows are no faults of newcomers, and bad ages are forgiven."""
    out = tmp_path / "lists.parquet"
    arguments = ("recommend", tiny_model, "--batch", folder, "--out", out)
    if all(map(FORGIVEN.match, case.sentences)):
        done = invoke(*arguments)
        assert (done.exit_code, done.stderr) == (0, "")
        assert pl.read_parquet(out)["user_id"].n_unique() >= 30
        return
    with pytest.raises(DataError) as caught:
        invoke(*arguments)
    assert set(map(without_cause, caught.value.faults)) <= set(map(without_cause, case.sentences))
    assert not out.exists()


FORGIVEN = re.compile(
    r"items\.genre:|items\.item_id:|interactions: the table is missing|interactions: has no rows|users\.age:"
    r"|users\.registered_at:|assignments\.|.* refer to (unknown|an unknown) |.* have an unknown signal "
)
"""Faults of training that are none for newcomers: of items, experiments, or of what can be unknown."""
