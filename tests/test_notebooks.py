"""The notebooks run, and stand without outputs in the repository: those of MovieLens may not be in it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import firstday as fd

NOTEBOOKS = sorted((Path(__file__).parents[1] / "docs" / "notebooks").glob("*.ipynb"))


def read_notebook(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, 4)  # type: ignore[no-untyped-call, no-any-return]


def test_there_are_notebooks() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["add-a-method", "movielens", "own-data"]


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
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.outputs]
    assert len(shown) >= 4
    assert (
        any("image/png" in output.get("data", {}) for cell in shown for output in cell.outputs)
        or path.stem == "own-data"
    )
