"""firstday lab simulate as a user calls it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from firstday.cli.main import app

runner = CliRunner()
SIZES = ("--users", "60", "--items", "40", "--days", "10")


def test_it_says_what_was_written_and_what_to_do_next(tmp_path: Path) -> None:
    done = runner.invoke(app, ["lab", "simulate", str(tmp_path / "t"), *SIZES])
    assert done.exit_code == 0, done.output
    said, following = done.stdout.splitlines()
    n = pl.read_parquet(tmp_path / "t" / "interactions" / "*.parquet").height
    assert re.fullmatch(rf"Wrote {tmp_path}/t in \d+ s: {n:,} interactions, 60 users, .*", said)
    assert following == f"Next: firstday evaluate {tmp_path}/t"


@pytest.mark.parametrize(
    ("layout", "names"),
    [
        ("tables", ("interactions/*", "users", "friends", "items", "collections", "names")),
        ("series", ("interactions/*", "users", "items", "names")),
    ],
)
def test_json_is_for_scripts(tmp_path: Path, layout: str, names: tuple[str, ...]) -> None:
    done = runner.invoke(app, ["lab", "simulate", str(tmp_path), *SIZES, "--seed", "5", "--layout", layout, "--json"])
    assert done.exit_code == 0, done.output
    rows = {name.removesuffix("/*"): pl.read_parquet(tmp_path / f"{name}.parquet").height for name in names}
    assert json.loads(done.stdout) == {"tables": str(tmp_path), "seed": 5, "days": 10, "rows": rows}
