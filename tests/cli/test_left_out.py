"""--drop-bad-rows of the commands: the same model as from clean tables, the same lists, and the file beside them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from firstday.model.folder import read_manifest
from tests.cli.conftest import Run
from tests.synthetic import THREADS


@pytest.fixture(scope="module")
def dirty(tables: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The service with bad rows in it, and the same rows taken out."""
    dirty, clean = (shutil.copytree(tables, tmp_path_factory.mktemp(name) / "tables") for name in ("dirty", "clean"))
    interactions, users = (pl.read_parquet(tables / f"{name}.parquet") for name in ("interactions", "users"))
    old = pl.col("user_id") == users["user_id"][7]
    bad = pl.int_range(pl.len()) % 400 == 3
    signal = pl.when(bad).then(pl.lit("hum")).otherwise("signal")
    age = pl.when(old).then(150).otherwise("age")
    interactions.with_columns(signal=signal).write_parquet(dirty / "interactions.parquet")
    users.with_columns(age=age).write_parquet(dirty / "users.parquet")
    interactions.filter(~bad & ~old).write_parquet(clean / "interactions.parquet")
    users.filter(~old).write_parquet(clean / "users.parquet")
    return dirty, clean


def test_the_model_is_that_of_clean_tables_byte_for_byte(
    run: Run, dirty: tuple[Path, Path], settings: Path, tmp_path: Path
) -> None:
    if THREADS > 1:
        pytest.skip("bytes are promised for one thread")
    (tmp_path / "clean.left-out.jsonl").write_text("of an earlier run\n")
    for name, folder in zip(("dirty", "clean"), dirty, strict=True):
        run("train", folder, "--out", tmp_path / name, "--config", settings, "--drop-bad-rows", "2%")
    one, other = (read_manifest(tmp_path / name) for name in ("dirty", "clean"))
    assert {name for name in one if one[name] != other[name]} <= {"created_at", "sha256"}
    for file in one["files"]:
        place = Path(one["version"]) / file
        assert (tmp_path / "dirty" / place).read_bytes() == (tmp_path / "clean" / place).read_bytes()
    assert not (tmp_path / "clean.left-out.jsonl").exists()
    lines = [json.loads(line) for line in (tmp_path / "dirty.left-out.jsonl").read_text().splitlines()]
    assert {line["table"] for line in lines} == {"interactions", "users"}
    assert [line["reasons"] for line in lines if line["table"] == "users"] == [["users.age are not from 0 to 120"]]


def test_check_writes_what_was_left_out_where_it_is_asked_to(
    run: Run, dirty: tuple[Path, Path], tmp_path: Path
) -> None:
    place = tmp_path / "bad.jsonl"
    done = run("check", dirty[0], "--drop-bad-rows", "0.02")
    assert not place.exists()
    assert "note: interactions.signal:" in done.stderr
    run("check", dirty[0], "--drop-bad-rows", "0.02", "--left-out", place)
    n = len(place.read_text().splitlines())
    run("check", dirty[0], "--drop-bad-rows", "0.1%", "--left-out", place, status=2)
    assert len(place.read_text().splitlines()) == n
    run("check", dirty[1], "--drop-bad-rows", "2%", "--left-out", place)
    assert not place.exists()


def test_a_wrong_age_costs_nobody_a_list(run: Run, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text(
        "user_id,age,registered_at,country\na,20,,FR\nb,old,2024-05-01 12:00:00,FR\nc,130,,XX\n"
    )
    out = tmp_path / "lists.parquet"
    done = run("recommend", tiny_model, "--batch", tmp_path, "--out", out)
    assert sorted(pl.read_parquet(out)["user_id"].unique()) == ["a", "b", "c"]
    for note in (
        "Note: users.age: 1 of 3 rows are not numbers (first: 'old', users.csv line 3); taken as unknown.",
        "Note: users.age: 1 of 3 rows are not from 0 to 120 (first: '130', users.csv line 4); taken as unknown.",
        "Note: users.registered_at: 1 of 3 rows are not times in UTC (first: '2024-05-01 12:00:00', users.csv line 3); "
        "taken as unknown.",
        "Note: Unknown to the model and ignored: country (1).",
    ):
        assert note in done.stdout.splitlines()


def test_bad_rows_of_newcomers_are_left_out(run: Run, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text("user_id,item_id\na,i1\nb,\nc,i2\n")
    out = tmp_path / "lists.parquet"
    listed = tmp_path / "lists.left-out.jsonl"
    command = ("recommend", tiny_model, "--batch", tmp_path, "--out", out, "--drop-bad-rows")
    run(*command, "30%", status=2)
    run(*command, "40%")
    assert sorted(pl.read_parquet(out)["user_id"].unique()) == ["a", "c"]
    assert listed.read_text() == (
        '{"table": "interactions", "place": "interactions.csv line 3", '
        '"reasons": ["interactions.item_id are empty"], "row": {"user_id":"b","item_id":null}}\n'
    )
    (tmp_path / "interactions.csv").write_text("user_id,item_id\na,i1\n")
    run(*command, "40%")
    assert not listed.exists()
