"""On clean tables, check, train and refresh print few lines, and notes before the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Run

MAX_LINES = 27


def assert_few_lines(run: Run, tables: Path, settings: Path, out: Path) -> None:
    """Check, train and refresh; count the lines of each command, and find notes on standard error alone."""
    for command in (("check", tables), ("train", tables, "--out", out), ("refresh", tables, "--out", out, "--force")):
        done = run(*command, "--config", settings)
        lines = (done.stderr + done.stdout).splitlines()
        assert 0 < len(lines) <= MAX_LINES, lines
        assert "note: " not in done.stdout


@pytest.mark.parametrize("name", ["tables", "timed_tables"])
def test_clean_tables_need_few_lines(
    run: Run, request: pytest.FixtureRequest, settings: Path, tmp_path: Path, name: str
) -> None:
    assert_few_lines(run, request.getfixturevalue(name), settings, tmp_path / "model")
