"""firstday simulate as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from firstday.cli.main import app
from firstday.errors import ConfigError

runner = CliRunner()


def test_it_says_what_was_written_and_what_to_do_next(tmp_path: Path) -> None:
    out = tmp_path / "tables"
    done = runner.invoke(app, ["simulate", str(out), "--users", "60", "--items", "40", "--days", "10"])
    assert done.exit_code == 0, done.output
    n = pl.read_parquet(out / "interactions" / "*.parquet").height
    said, then = done.stdout.splitlines()
    assert said.startswith(f"Wrote {out} in ")
    assert f"{n:,} interactions, 60 users," in said
    assert then == f"Next: firstday evaluate {out} --strategy popular --strategy segment"


def test_json_is_for_scripts(tmp_path: Path) -> None:
    out = tmp_path / "tables"
    sizes = ["--users", "60", "--items", "40", "--days", "10", "--seed", "5", "--layout", "tables"]
    done = runner.invoke(app, ["simulate", str(out), *sizes, "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["tables"], found["seed"], found["days"]) == (str(out), 5, 10)
    for name in ("users", "items", "friends", "collections", "names"):
        assert found["rows"][name] == pl.read_parquet(out / f"{name}.parquet").height
    signals = pl.read_parquet(out / "interactions" / "*.parquet")["signal"].value_counts()
    assert {name: n for name, n in found["signals"].items() if n} == dict(signals.rows())


@pytest.mark.parametrize(
    ("option", "value"),
    [("--users", "3"), ("--users", "-5"), ("--items", "0"), ("--days", "1"), ("--seed", "-1"), ("--layout", "csv")],
)
def test_nonsense_is_refused(tmp_path: Path, option: str, value: str) -> None:
    sizes = {"--users": "60", "--items": "40", option: value}
    done = runner.invoke(app, ["simulate", str(tmp_path / "t"), *(part for pair in sizes.items() for part in pair)])
    assert done.exit_code == 2
    assert f"'{option}'" in done.output
    assert not (tmp_path / "t").exists()


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    done = runner.invoke(app, ["simulate", str(tmp_path), "--users", "60", "--items", "40"])
    assert isinstance(done.exception, ConfigError)
    assert str(done.exception) == f"{tmp_path}: is not empty; give a new folder."
