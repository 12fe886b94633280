"""The notebooks run, and stand without outputs in the repository: those of MovieLens may not be in it."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import firstday as fd
from tests.docs.test_examples import ENOUGH_VALIDATION

FOLDER = Path(__file__).parents[1] / "docs" / "notebooks"
NOTEBOOKS = [FOLDER / f"{name}.ipynb" for name in ("add-a-method", "movielens", "own-data")]
SMALLER = {
    r"--users 1500 --items 600": "--users 400 --items 250",
    r'"sampled.day_ones", 20': '"sampled.day_ones", 2',
    r'_model.epochs", \d': '_model.epochs", 1',
}
FIRST = f"from firstday.data.splits import roles\nroles.ENOUGH_VALIDATION = {ENOUGH_VALIDATION}"


def read_notebook(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, 4)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_kept_without_outputs(path: Path) -> None:
    cells = [cell for cell in read_notebook(path).cells if cell.cell_type == "code"]
    assert [cell.source for cell in cells if cell.outputs or cell.execution_count] == [], "clear all outputs, and save"


@pytest.mark.slow
def test_notebooks_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One kernel runs them, which loads the libraries once; each has a folder and names of its own."""
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    cells = {path.stem: read_notebook(path).cells for path in NOTEBOOKS}
    try:
        fd.load("movielens-100k")
    except fd.DataError:
        del cells["movielens"]
    together = nbformat.v4.new_notebook()  # type: ignore[no-untyped-call]
    for name, own in cells.items():
        (tmp_path / name).mkdir()
        for cell in own:
            for pattern, smaller in SMALLER.items():
                cell.source = re.sub(pattern, smaller, cell.source)
        start = f"%reset -f\n%cd -q {tmp_path / name}\n{FIRST}"
        together.cells += [nbformat.v4.new_code_cell(start), *own]  # type: ignore[no-untyped-call]
    NotebookClient(together, timeout=300).execute()
    for name, own in cells.items():
        shown = [cell for cell in own if cell.cell_type == "code" and cell.outputs]
        assert len(shown) >= 4, name
        data = [output.get("data", {}) for cell in shown for output in cell.outputs]
        assert any("image/png" in forms for forms in data) or name == "own-data", name
