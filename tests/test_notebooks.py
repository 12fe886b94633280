"""The notebooks run, and stand without outputs in the repository: those of MovieLens may not be in it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import firstday as fd
from tests.docs.test_examples import ENOUGH_VALIDATION

FOLDER = Path(__file__).parents[1] / "docs" / "notebooks"
NOTEBOOKS = [FOLDER / f"{name}.ipynb" for name in ("add-a-method", "movielens", "own-data")]
SMALLER = {"--users 1500 --items 600": "--users 400 --items 250", '"sampled.day_ones", 20': '"sampled.day_ones", 2'}
FIRST = f"from firstday.data.splits import roles\nroles.ENOUGH_VALIDATION = {ENOUGH_VALIDATION}"


def read_notebook(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, 4)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_kept_without_outputs(path: Path) -> None:
    cells = [cell for cell in read_notebook(path).cells if cell.cell_type == "code"]
    assert [cell.source for cell in cells if cell.outputs or cell.execution_count] == [], "clear all outputs, and save"


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if path.stem == "movielens":
        try:
            fd.load("movielens-100k")
        except fd.DataError as error:
            pytest.skip(str(error))
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    notebook = read_notebook(path)
    for cell in notebook.cells:
        for own, smaller in SMALLER.items():
            cell.source = cell.source.replace(own, smaller)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(FIRST))  # type: ignore[no-untyped-call]
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.outputs]
    assert len(shown) >= 4
    assert (
        any("image/png" in output.get("data", {}) for cell in shown for output in cell.outputs)
        or path.stem == "own-data"
    )
