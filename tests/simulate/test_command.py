"""firstday simulate as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
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


def test_nonsense_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "t"
    done = runner.invoke(app, ["simulate", str(out), "--users", "3", "--items", "40"])
    assert isinstance(done.exception, ConfigError)
    assert runner.invoke(app, ["simulate", str(out), "--users", "60", "--layout", "csv"]).exit_code == 2
    assert not out.exists()
