"""firstday train: a model or nothing."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from firstday.artifact.folder import MANIFEST, read_manifest
from firstday.cli.train import warn_of_weak_default
from firstday.features.signals import Signals
from firstday.recommend.recommender import open_model
from tests.cli.conftest import Invoke, Run


def test_train_writes_a_model_that_recommends(invoke: Invoke, tables: Path, settings: Path, tmp_path: Path) -> None:
    done = invoke("train", tables, "--out", tmp_path / "model", "--config", settings)
    assert done.exit_code == 0, done.output
    assert "Trained on 360 warm users" in done.stdout
    assert len(open_model(tmp_path / "model").recommend(Signals(age=20)).items) == 20


def test_one_seed_gives_the_same_bytes_in_two_processes(run: Run, tables: Path, settings: Path, tmp_path: Path) -> None:
    for name in ("one", "other"):
        assert run("train", tables, "--out", tmp_path / name, "--config", settings).returncode == 0
    one, other = (
        {
            path.relative_to(tmp_path / name): path.read_bytes()
            for path in (tmp_path / name).rglob("*.*")
            if path.is_file()
        }
        for name in ("one", "other")
    )
    assert one.keys() == other.keys()
    assert [name for name in one if one[name] != other[name]] == [Path(MANIFEST)]
    timeless = [
        {k: v for k, v in read_manifest(tmp_path / name).items() if k not in ("created_at", "sha256")}
        for name in ("one", "other")
    ]
    assert timeless[0] == timeless[1]


def test_another_seed_gives_another_model(invoke: Invoke, tables: Path, settings: Path, tmp_path: Path) -> None:
    for seed in (0, 1):
        done = invoke("train", tables, "--out", tmp_path / str(seed), "--config", settings, "--seed", seed, "--json")
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["data"]["warm_users"] == 360
    assert read_manifest(tmp_path / "0")["version"] != read_manifest(tmp_path / "1")["version"]


def test_a_folder_that_holds_something_else_is_refused_before_training(run: Run, tables: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    done = run("train", tables, "--out", tmp_path)
    assert done.returncode == 2
    assert done.stderr == f"error: {tmp_path}: is not empty and holds no model; give a new folder.\n"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_interrupting_training_leaves_no_half_model(
    tables: Path, settings: Path, tmp_path: Path, number: signal.Signals
) -> None:
    out = tmp_path / "model"
    command = [sys.executable, "-m", "firstday", "train", str(tables), "--out", str(out), "--config", str(settings)]
    statuses = []
    for wait_s in (1.0, 2.5, 4.5):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            _, said = process.communicate(timeout=wait_s)
        except subprocess.TimeoutExpired:
            process.send_signal(number)
            _, said = process.communicate(timeout=60)
        statuses.append(process.returncode)
        if out.exists():
            open_model(out)
        if number == signal.SIGINT:
            assert "Traceback" not in said
            assert [path.name for path in tmp_path.iterdir() if path.name != "model"] == []
    assert any(status != 0 for status in statuses)
    subprocess.run(command, check=True, capture_output=True)
    open_model(out)


@pytest.mark.parametrize(
    ("strategy", "precision", "is_told"),
    [
        ("segment", {"segment": 40.0, "blend": 60.0, "popular": 52.0}, True),
        ("segment", {"segment": 55.0, "blend": 60.0, "popular": 52.0}, False),
        ("segment", {"segment": 40.0, "blend": 50.0, "popular": 52.0}, False),
        ("personal", {"segment": 40.0, "blend": 60.0, "popular": 52.0}, False),
    ],
)
def test_a_default_no_better_than_popular_is_told(strategy: str, precision: dict[str, float], is_told: bool) -> None:
    told = warn_of_weak_default(strategy, precision)
    assert told.startswith("segment, the default strategy, is no better") == is_told
    assert bool(told) == is_told
