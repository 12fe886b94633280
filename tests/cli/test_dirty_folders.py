"""Folders with faults through the commands: `train` says what `check` says, `recommend --batch` a part of it."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from firstday.errors import DataError
from tests.cli.conftest import Invoke
from tests.data.dirty import Dirty
from tests.data.dirty_files import CASES as FILES
from tests.data.dirty_tables import CASES as VALUES

CASES = [*FILES, *VALUES]


@pytest.fixture
def folder(case: Dirty, tmp_path: Path) -> Path:
    folder = tmp_path / "tables"
    folder.mkdir()
    case.write(folder)
    return folder


@pytest.mark.parametrize("case", CASES[::20], ids=lambda case: case.name)
def test_train_says_every_fault_and_writes_nothing(case: Dirty, folder: Path, invoke: Invoke, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        invoke("train", folder, "--out", tmp_path / "model")
    assert sorted(caught.value.faults) == sorted(case.sentences)
    assert [place.name for place in tmp_path.iterdir()] == ["tables"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_newcomers_get_lists_or_the_faults_that_concern_them(
    case: Dirty, folder: Path, invoke: Invoke, tiny_model: Path, tmp_path: Path
) -> None:
    """Ids that nobody knows are no faults of newcomers, and bad ages are forgiven."""
    out = tmp_path / "lists.parquet"
    arguments = ("recommend", tiny_model, "--batch", folder, "--out", out)
    if all(is_forgiven(sentence) for sentence in case.sentences):
        done = invoke(*arguments)
        assert (done.exit_code, done.stderr) == (0, "")
        assert pl.read_parquet(out)["user_id"].n_unique() >= 30
        return
    with pytest.raises(DataError) as caught:
        invoke(*arguments)
    assert set(caught.value.faults) <= set(case.sentences)
    assert not out.exists()


def is_forgiven(sentence: str) -> bool:
    """Whether a fault of training is none for newcomers: of items, names, experiments, or of what can be unknown."""
    of_items = sentence.startswith(("items.genre:", "items.item_id:"))
    missing = sentence.startswith(("interactions: the table is missing", "interactions: has no rows"))
    unknown = sentence.startswith(("users.age:", "users.registered_at:"))
    of_experiments = sentence.startswith("assignments.")
    return (
        of_items
        or missing
        or unknown
        or of_experiments
        or " name unknown " in sentence
        or " name an unknown " in sentence
        or " have an unknown signal " in sentence
    )
