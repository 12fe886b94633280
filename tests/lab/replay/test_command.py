"""firstday lab replay: what people and scripts read, and mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.test_protocol import assert_protocol, protocol

__all__ = ["protocol"]

MISTAKES = [
    ("tables tables", "unexpected extra argument"),
    ("tables --strategy blend --against ease", "against: ease is not among the policies"),
    ("tables --picture x.png", "x.png: give a name that ends in .svg."),
    ("tables --rounds 2 --cap mood=2", "rules: items have no column 'mood'"),
]


def test_replay_writes_json_and_a_plot_and_prints_a_table(
    run: Run, tables: Path, settings: Path, tmp_path: Path
) -> None:
    command = ("lab", "replay", tables, "--config", settings, "--strategy", "popular", "--strategy", "segment@once")
    short = ("--rounds", 2, "--slate", 5)
    files = ("--json", tmp_path / "replay.json", "--picture", tmp_path / "replay.svg")
    done = run(*command, *short, "--visible", 5, *files)
    found = json.loads((tmp_path / "replay.json").read_text())
    assert (found["rounds"], found["slate"], found["against"]) == (2, 5, "segment@once")
    assert {row["policy"]: len(row["hits_by_round"]) for row in found["results"]} == {"popular": 2, "segment@once": 2}
    assert "</svg>" in (tmp_path / "replay.svg").read_text()
    assert "2 round(s) of 5 items; users see 5 positions" in done.stdout


@pytest.mark.parametrize(("line", "sentence"), MISTAKES, ids=[line for line, _ in MISTAKES])
def test_a_mistake_is_one_sentence(
    run: Run, tables: Path, monkeypatch: pytest.MonkeyPatch, line: str, sentence: str
) -> None:
    monkeypatch.chdir(tables.parent)
    done = run("lab", "replay", *line.split(), status=2)
    assert done.stdout == ""
    (told,) = (text for text in done.stderr.splitlines() if ": Protocol " not in text)
    assert told.startswith("error: ")
    assert sentence in told
    assert list(tables.parent.iterdir()) == [tables]


def test_replay_takes_the_protocol_of_all_commands(run: Run, protocol: str) -> None:
    assert_protocol(run("lab", "replay", "tables", status=2), protocol)
