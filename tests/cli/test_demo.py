"""firstday demo, on the real MovieLens 100K, and the page at its end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from firstday.cli import demo
from firstday.cli.options import open_tables, program_name
from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.recommend.recommender import open_model
from tests.cli.conftest import Run

SHOW_PAGE = """
import sys
from pathlib import Path
from firstday.cli.demo import show_page
show_page(Path(sys.argv[1]), Path(sys.argv[2]))
"""
BRIEF = {"cold_model.epochs": 4, "ranker.epochs": 2, "sampled.day_ones": 2}
"""Enough to be better than popularity."""


@pytest.mark.slow
def test_the_demo_shows_that_the_method_beats_popularity(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def open_for_brief_training(*arguments: Any) -> tuple[Dataset, Config]:
        dataset, config = open_tables(*arguments)
        return dataset, config.override(BRIEF)

    monkeypatch.setattr(demo, "open_tables", open_for_brief_training)
    done = run("demo", "--out", tmp_path / "demo")
    gain = re.search(r"beat popularity by (\d+) % \[(-?\d+), (\d+)\], on (\d+)\s+people", done.stdout)
    assert gain is not None
    assert int(gain[1]) > 0
    assert int(gain[4]) == 189
    # the list and the gain come before the long table, and the page needs no terminal to be told of
    marks = ["most of them watch: ", "Toy Story (1995)", gain[0], "P@10 by items", "Done in", "firstday inspect"]
    places = [done.stdout.index(mark) for mark in marks]
    assert places[2:] == sorted(places[2:])
    assert max(places[:2]) < places[2]
    assert re.search(r"To open the demo page: \S*firstday serve \S+/model\n$", done.stdout)
    assert len(open_model(tmp_path / "demo" / "model").model.segments) == 30
    report = (tmp_path / "demo" / "report.html").read_text(encoding="utf-8")
    assert report.count("<svg") == 2  # strategies, day-one size
    assert report.count('<caption id="table-group-') == 4  # profile columns


def test_printed_commands_work_where_they_are_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program_name() == str(Path(sys.executable).parent / "firstday")
    (tmp_path / "firstday").touch(mode=0o755)
    assert program_name() == "firstday"


def test_the_page_opens_in_a_browser_and_an_interruption_ends_it(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "browser").write_text(
        f'#!/bin/sh\necho "$1" > {tmp_path}/opened.part\nmv {tmp_path}/opened.part {tmp_path}/opened\n'
    )
    (tmp_path / "browser").chmod(0o755)
    command = [sys.executable, "-c", SHOW_PAGE, str(tiny_model), str(tmp_path / "users.sqlite")]
    place = {"BROWSER": f"{tmp_path}/browser %s", "COLUMNS": "200"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **place}) as process:
        assert process.stdout is not None
        said = re.fullmatch(
            r"The page is at (http://127\.0\.0\.1:\d+/) \(stop with Ctrl\+C\)\n", process.stdout.readline()
        )
        assert said is not None
        with urllib.request.urlopen(said[1], timeout=10) as page:
            assert b"<html" in page.read()
        until = time.monotonic() + 20
        while not (tmp_path / "opened").exists() and time.monotonic() < until:
            time.sleep(0.02)
        assert (tmp_path / "opened").read_text() == f"{said[1]}\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
