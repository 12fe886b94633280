"""firstday experiment: from a folder of tables to the table and the JSON."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from firstday.cli.experiment import parse_weights
from firstday.errors import ConfigError
from tests.cli.conftest import Run
from tests.experiment.made import N_USERS, make_slow


def write_tables(folder: Path, *, lost: int = 0) -> Path:
    """Write tables without the first users of the treatment."""
    gone = [f"u{2 * n + 1}" for n in range(lost)]
    tables = make_slow(timedelta(0))
    tables["interactions"] = tables["interactions"].with_columns(weight=1.0)
    for name, frame in tables.items():
        kept = frame.filter(~pl.col("user_id").is_in(gone))
        kept.with_columns(pl.col(pl.Datetime).dt.strftime("%Y-%m-%dT%H:%M:%SZ")).write_csv(folder / f"{name}.csv")
    return folder


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tables(tmp_path_factory.mktemp("tables"))


def test_variants_are_compared(run: Run, tables: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    done = run("experiment", tables, "--name", "onboarding", "--outcome", "weight", "--json", out)
    results = json.loads(out.read_text())
    rows = {(row["metric"], row["days"]): row for row in results["results"]}
    row = rows["used_of_shown", 7]
    assert (row["control"], row["treatment"], row["rel_effect_size"]) == pytest.approx((1 / 4, 1 / 4, 0))
    assert ("weight", 7) in rows
    assert results["users_with_ended_window"]["30"] == {"control": 0, "treatment": 0}
    assert "treatment (300 users) against control (300), 7 days, intervals of 95 %:" in done.stdout
    assert f"{N_USERS} of {N_USERS} users are excluded from outcomes within 30 days" in done.stderr


def test_lost_users_stop_the_reader_with_status_3(run: Run, tmp_path: Path) -> None:
    tables = write_tables(tmp_path, lost=90)
    done = run("experiment", tables, "--name", "onboarding", "--json", status=3)
    assert json.loads(done.stdout)["results"] == []
    assert done.stderr.count("error:") == 1
    assert "onboarding: sample ratio mismatch: control " in done.stderr
    done = run("experiment", tables, "--name", "onboarding", status=3)
    assert done.stdout == ""
    done = run("experiment", tables, "--name", "onboarding", "--anyway", status=3)
    assert "used_of_shown" in done.stdout


def test_weights_are_numbers_by_variant() -> None:
    assert parse_weights("control=50, treatment = 25.5") == {"control": 50, "treatment": 25.5}
    for text in ("", "control", "control=x", "control=1,control=2", "=3"):
        with pytest.raises(ConfigError, match="--weights: "):
            parse_weights(text)
