"""Long work shows a bar where somebody looks on, a line per stage elsewhere, and nothing where nothing is wanted."""

from __future__ import annotations

import os
import subprocess
import sys

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


def test_without_a_terminal_a_stage_writes_a_line_at_most_once_a_minute(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = [("seed 0", 0, 2), ("ease", 0, 8), ("ease", 1, 8), ("ease", 8, 8), ("seed 0", 1, 2)]
    with open_progress() as report:
        for step in (*steps, ("embeddings", 0, 1), ("embeddings", 1, 1), ("seed 0", 2, 2)):
            report(*step)
    assert capfd.readouterr() == ("", "seed 0\n")
    monkeypatch.setattr("firstday.progress.SECONDS_PER_LINE", 0)
    with open_progress() as report:
        for step in (*steps, ("embeddings", 0, 1), ("embeddings", 1, 1), ("seed 0", 2, 2)):
            report(*step)
    assert capfd.readouterr() == ("", "seed 0\nease\nseed 0: 1 of 2\nembeddings\n")


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
