"""Long work shows a bar where somebody looks on, and nothing where nobody does or nothing is wanted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from firstday.progress import no_progress, open_progress

WORK = """
from firstday.progress import open_progress
with open_progress({progress}) as report:
    report("seed 0", 0, 2)
    report("seed 0", 2, 2)
print("done")
"""


def test_a_callback_is_called_and_nothing_is_quiet() -> None:
    calls: list[tuple[str, int, int]] = []
    with open_progress(lambda *call: calls.append(call)) as report:
        report("embeddings", 0, 1)
    assert calls == [("embeddings", 0, 1)]
    for off in (None, False):
        with open_progress(off) as report:
            assert report is no_progress


def test_without_a_terminal_long_work_writes_a_line_now_and_then(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firstday.progress.SILENT_S", 0.0)
    with open_progress() as report:
        report("ease", 3, 8)
    assert capfd.readouterr() == ("", "ease: 3 of 8\n")


def test_where_nobody_looks_on_short_work_writes_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with open_progress() as report:
        report("embeddings", 0, 1)
        report("embeddings", 1, 1)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("progress", "is_shown"), [("True", True), ("None", False)])
def test_a_terminal_shows_a_bar_unless_none_is_wanted(progress: str, is_shown: bool) -> None:
    import pty

    main, other = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    command = [sys.executable, "-c", WORK.format(progress=progress)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=other, env=environment, text=True, check=True)
    os.write(other, b"END")
    written = b""
    while not written.endswith(b"END"):
        written += os.read(main, 4096)
    os.close(other)
    os.close(main)
    assert done.stdout == "done\n"
    assert (b"seed 0" in written) == is_shown


def test_a_notebook_shows_a_bar_that_goes_away(tmp_path: Path) -> None:
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    cell = nbformat.v4.new_code_cell(WORK.format(progress="True"))
    notebook = nbformat.v4.new_notebook(cells=[cell])
    shown: list[str] = []

    class Watching(nbclient.NotebookClient):  # type: ignore[misc,name-defined]
        def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
            content = msg["content"]
            shown.append(content.get("data", {}).get("text/html", ""))
            return super().process_message(msg, cell, cell_index)

    Watching(notebook, timeout=60, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert any("<progress" in html and "seed 0" in html for html in shown)
    texts = ["".join(output.get("data", {}).get("text/html", "")) for output in notebook.cells[0].outputs]
    assert not any("<progress" in text for text in texts)
    assert any(output.get("text") == "done\n" for output in notebook.cells[0].outputs)
