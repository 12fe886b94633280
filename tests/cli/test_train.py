"""firstday train: a model or nothing."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from firstday.features.signals import Signals
from firstday.model.folder import MANIFEST, read_manifest
from firstday.recommend.model_card import CARD
from firstday.recommend.recommender import open_model
from tests.cli.conftest import Run
from tests.synthetic import THREADS


@pytest.fixture(scope="module")
def trained(run: Run, tables: Path, settings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of the settings, trained in this process."""
    out = tmp_path_factory.mktemp("trained") / "model"
    done = run("train", tables, "--out", out, "--config", settings)
    assert "Trained on 360 warm users" in done.stdout
    assert "- signal stream " in done.stdout
    return out


def test_train_writes_a_model_that_recommends(trained: Path) -> None:
    assert len(open_model(trained).recommend(Signals(age=20)).items) == 20


def test_one_seed_gives_the_same_bytes_in_another_process(
    run_process: Run, tables: Path, settings: Path, trained: Path, tmp_path: Path
) -> None:
    if THREADS > 1:
        pytest.skip("bytes are promised for one thread")
    run_process("train", tables, "--out", tmp_path / "model", "--config", settings)
    one, other = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}
        for folder in (trained, tmp_path / "model")
    )
    assert one.keys() == other.keys()
    differing = [name for name in one if one[name] != other[name]]
    assert {name.name for name in differing} == {MANIFEST, CARD}  # which say when they were made
    timeless = [
        {k: v for k, v in read_manifest(folder).items() if k not in ("created_at", "sha256")}
        for folder in (trained, tmp_path / "model")
    ]
    assert timeless[0] == timeless[1]


@pytest.mark.slow
def test_interrupting_training_leaves_no_half_model(run: Run, tables: Path, settings: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    command = [sys.executable, "-m", "firstday", "train", str(tables), "--out", str(out), "--config", str(settings)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=2.5)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    if (out / MANIFEST).exists():  # it had ended
        open_model(out)
    assert "Traceback" not in said
    assert [path.name for path in tmp_path.iterdir() if path.name != "model"] == []
    run("train", *command[4:])
    open_model(out)


def test_the_device_is_an_option_and_one_that_is_missing_is_named_before_anything_is_read(
    run: Run, tmp_path: Path
) -> None:
    import torch

    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    for device in (name for name, is_there in present.items() if not is_there):
        for command in (
            ("train", "nowhere", "--out", tmp_path / "other"),
            ("evaluate", "nowhere"),
        ):
            done = run(*command, "--device", device, status=2)
            assert done.stderr.startswith(f"error: device: '{device}' is not available")
            assert len(done.stderr.splitlines()) == 1
