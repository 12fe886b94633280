"""firstday simulate as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from firstday.cli.main import app

runner = CliRunner()
SIZES = ("--users", "60", "--items", "40", "--days", "10")


def test_it_says_what_was_written_and_what_to_do_next(tmp_path: Path) -> None:
    out = tmp_path / "tables"
    done = runner.invoke(app, ["simulate", str(out), *SIZES])
    assert done.exit_code == 0, done.output
    n = pl.read_parquet(out / "interactions" / "*.parquet").height
    said, then = done.stdout.splitlines()
    assert said.startswith(f"Wrote {out} in ")
    assert f"{n:,} interactions, 60 users," in said
    assert then == f"Next: firstday evaluate {out} --strategy popular --strategy segment"


def test_json_is_for_scripts(tmp_path: Path) -> None:
    out = tmp_path / "tables"
    done = runner.invoke(app, ["simulate", str(out), *SIZES, "--seed", "5", "--layout", "tables", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["tables"], found["seed"], found["days"]) == (str(out), 5, 10)
    for name in ("users", "items", "friends", "collections", "names"):
        assert found["rows"][name] == pl.read_parquet(out / f"{name}.parquet").height
    assert found["rows"]["interactions"] == pl.read_parquet(out / "interactions" / "*.parquet").height


@pytest.mark.parametrize("change", [("--users", "3"), ("--items", "5"), ("--days", "1"), ("--seed", "-1")])
def test_sizes_that_make_no_service_are_refused(tmp_path: Path, change: tuple[str, str]) -> None:
    done = runner.invoke(app, ["simulate", str(tmp_path / "t"), *SIZES, *change])
    assert done.exit_code == 2
    assert f"Invalid value for '{change[0]}'" in done.output
    assert not (tmp_path / "t").exists()
