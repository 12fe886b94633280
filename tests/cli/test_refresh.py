"""firstday refresh: what a nightly job gets to see."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from firstday.model.folder import MANIFEST, read_manifest
from tests.cli.conftest import Run


@pytest.fixture(scope="module")
def first(run: Run, tables: Path, settings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("nights") / "model"
    done = run("refresh", tables, "--out", out, "--config", settings, "--json")
    assert json.loads(done.stdout)["reason"] == "first"
    return out


@pytest.fixture
def model(first: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(first, tmp_path / "model"))


def test_a_good_night_and_a_bad_one(run: Run, tables: Path, settings: Path, model: Path, tmp_path: Path) -> None:
    version = read_manifest(model)["version"]
    done = run("refresh", tables, "--out", model, "--config", settings, "--wait", 60)
    assert done.stderr.startswith("note: Protocol sampled (setting auto): ")
    assert "error" not in done.stderr
    assert done.stdout.startswith(f"{model}: published version {version}: P@20 on ")
    assert "ratio 1.000 (95 % interval 0.959 to 1.041, p 1)" in done.stdout
    worse = tmp_path / "worse.toml"
    worse.write_text(settings.read_text() + 'strategy = "popular"\n')
    manifest = (model / MANIFEST).read_bytes()
    report = json.loads(run("refresh", tables, "--out", model, "--config", worse, "--json", status=3).stdout)
    assert (report["published"], report["reason"], report["gate"]) == (False, "worse", 0.89)
    assert report["comparison"]["ratio"]["high"] < 0.95
    assert report["version"] == report["before"] == version
    assert (model / MANIFEST).read_bytes() == manifest


def test_bad_tables_are_a_mistake_and_the_model_goes_on(run: Run, settings: Path, model: Path, tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "interactions.csv").write_text("user,item\n1,2\n")
    manifest = (model / MANIFEST).read_bytes()
    done = run("refresh", tmp_path / "tables", "--out", model, "--config", settings, "--json", status=2)
    report = json.loads(done.stdout)
    assert (report["published"], report["reason"]) == (False, "faults")
    assert (model / MANIFEST).read_bytes() == manifest
    assert [f"error: {fault}" for fault in report["errors"]] == done.stderr.splitlines()


def test_a_second_one_leaves(run: Run, tables: Path, settings: Path, model: Path) -> None:
    with FileLock(model.parent / ".model.refresh"):
        done = run("refresh", tables, "--out", model, "--config", settings, status=4)
    assert done.stdout == ""
    protocol, error = done.stderr.splitlines()
    assert protocol.startswith("note: Protocol sampled (setting auto): ")
    assert error.startswith(f"error: {model}: another refresh of this model is running")
