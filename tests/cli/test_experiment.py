"""firstday experiment: from a folder of tables to the table, the JSON and the report."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from tests.cli.conftest import Run
from tests.experiment.made import N_USERS, make_slow


def write_tables(folder: Path, *, lost: int = 0) -> Path:
    """Write tables without the first users of the treatment."""
    gone = [f"u{2 * n + 1}" for n in range(lost)]
    for name, frame in make_slow(timedelta(0)).items():
        kept = frame.filter(~pl.col("user_id").is_in(gone))
        kept.with_columns(pl.col(pl.Datetime).dt.strftime("%Y-%m-%dT%H:%M:%SZ")).write_csv(folder / f"{name}.csv")
    return folder


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tables(tmp_path_factory.mktemp("tables"))


def test_variants_are_compared(run: Run, tables: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    report = tmp_path / "report.html"
    done = run("experiment", tables, "--name", "onboarding", "--json", out, "--report", report)
    results = json.loads(out.read_text())
    (row,) = (
        row
        for row in results["results"]
        if (row["outcome"], row["days"], row["column"]) == ("used_of_shown", 7, "everyone")
    )
    assert (row["control"], row["value_of_variant"], row["ratio"]) == pytest.approx((1 / 4, 1 / 4, 1))
    assert results["users_with_ended_window"]["30"] == {"control": 0, "treatment": 0}
    assert "Shown items used, 7 days: treatment 25.00%, control 25.00%" in done.stdout
    assert f"{N_USERS} of {N_USERS} users are excluded from outcomes within 30 days" in done.stderr
    page = report.read_text()
    assert f"firstday experiment {tables} --name onboarding" in page


def test_lost_users_stop_the_reader_with_status_3(run: Run, tmp_path: Path) -> None:
    tables = write_tables(tmp_path, lost=90)
    report = tmp_path / "report.html"
    done = run("experiment", tables, "--name", "onboarding", "--json", "--report", report, status=3)
    assert json.loads(done.stdout)["results"] == []
    assert done.stderr.count("error:") == 1
    assert "onboarding: sample ratio mismatch: control " in done.stderr
    assert "shown items used" not in report.read_text()
    done = run("experiment", tables, "--name", "onboarding", "--anyway", status=3)
    assert "shown items used, 7 days" in done.stdout


def test_lists_that_were_not_shown(run: Run, tables: Path, tmp_path: Path) -> None:
    lists = tmp_path / "lists.parquet"
    users = [f"u{n}" for n in range(N_USERS)]
    pl.DataFrame({"user_id": users, "rank": [1] * N_USERS, "item_id": ["i0"] * N_USERS}).write_parquet(lists)
    done = run("experiment", tables, "--name", "onboarding", "--lists", f"first={lists}")
    assert "lists first: 0.00% of the items in the first 1 of 1 ranks would have been used" in done.stdout
