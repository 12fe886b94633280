"""From the files of another program to lists, by the command line alone."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from tests.cli.conftest import Run

NAMES = {"user_id": "CustomerID", "item_id": "SKU", "timestamp": "posted"}


@pytest.fixture(scope="module")
def raw_tables(tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables as CSV with other names of columns, and times without a zone."""
    folder = tmp_path_factory.mktemp("raw")
    for name in ("users", "items", "interactions"):
        rows = pl.read_parquet(tables / f"{name}.parquet")
        rows = rows.with_columns(pl.selectors.datetime().dt.strftime("%Y-%m-%d %H:%M:%S%.6f"))
        rows.rename(NAMES, strict=False).write_csv(folder / f"{name}.csv")
    return folder


def test_the_faults_name_the_options_that_remove_them(run: Run, raw_tables: Path, tables: Path) -> None:
    names = ("CustomerID=user_id", "items.SKU=item_id", "interactions.SKU=item_id")
    options = [part for name in names for part in ("--column", name)]
    faults = run("check", raw_tables, status=2).stderr
    assert "--column CustomerID=user_id" in faults
    assert "--column SKU=item_id" in faults
    assert "--column posted=timestamp" in run("check", raw_tables, *options).stderr
    options += ["--column", "posted=timestamp"]
    assert "--set time_zone=UTC" in run("check", raw_tables, *options, status=2).stderr
    as_json = json.loads(run("check", raw_tables, *options, "--set", "time_zone=UTC", "--json").stdout)
    assert as_json["summary"] == json.loads(run("check", tables, "--json").stdout)["summary"]


def test_a_model_reads_the_tables_of_newcomers_with_its_names(
    run: Run, raw_tables: Path, settings: Path, tmp_path: Path
) -> None:
    columns = "".join(f'{other} = "{name}"\n' for name, other in NAMES.items())
    config = tmp_path / "raw.toml"
    config.write_text(f'time_zone = "UTC"\n{settings.read_text()}\n[columns]\n{columns}')
    run("train", raw_tables, "--config", config, "--out", tmp_path / "model")
    newcomers = tmp_path / "newcomers"
    newcomers.mkdir()
    (newcomers / "interactions.csv").write_text("CustomerID,SKU,posted\nn1,i001,2024-05-01 12:00:00\nn2,i002,\n")
    run("recommend", tmp_path / "model", "--batch", newcomers, "--out", tmp_path / "lists.csv", "-k", 5)
    lists = pl.read_csv(tmp_path / "lists.csv")
    assert lists.group_by("user_id").len().sort("user_id").rows() == [("n1", 5), ("n2", 5)]
    assert "i001" not in lists.filter(user_id="n1")["item_id"]
