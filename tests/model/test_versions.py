"""The last versions stay in a model's folder; one can go back to them; and whoever is killed leaves one that serves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from firstday.cli.main import app
from firstday.errors import ArtifactError
from firstday.model.folder import (
    FORMAT,
    MANIFEST,
    _sealed,
    list_versions,
    load_model,
    read_manifest,
    rollback,
    save_model,
)
from firstday.recommend.support import value_type
from tests.model.kill_each import label

ROOT = Path(__file__).parents[2]


def publish(path: Path, *names: str, keep: int = 3) -> list[str]:
    """Publish a model of each name; return the versions."""
    versions = []
    for name in names:
        save_model(label(name), path, keep=keep)
        versions.append(read_manifest(path)["version"])
    return versions


def dataset_of(path: Path) -> str:
    return str(load_model(path, types=value_type).facts["data"]["dataset"])


def names_of(path: Path) -> list[str]:
    return [kept.version for kept in list_versions(path)]


def test_the_last_versions_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "model"
    _a, b, c, d = publish(path, "a", "b", "c", "d")
    assert names_of(path) == [d, c, b]
    assert [kept.in_place for kept in list_versions(path)] == [True, False, False]
    assert sorted(entry.name for entry in path.iterdir()) == sorted([MANIFEST, b, c, d])
    publish(path, "e", keep=2)
    assert names_of(path)[1:] == [d]


def test_going_back_and_on_again(tmp_path: Path) -> None:
    path = tmp_path / "model"
    a, b, c = publish(path, "a", "b", "c")
    assert rollback(path) == b
    assert dataset_of(path) == "b"
    assert rollback(path) == a  # further back, and not on to c again
    with pytest.raises(ArtifactError, match="has no older version to restore; choose one with --to ") as caught:
        rollback(path)
    assert [version in str(caught.value) for version in (a, b, c)] == [False, True, True]  # not the current one
    assert rollback(path, c) == c
    assert (dataset_of(path), names_of(path)) == ("c", [c, a, b])
    for version in (c, "0000"):
        with pytest.raises(ArtifactError, match=f"has no version {version} to restore"):
            rollback(path, version)
    publish(tmp_path / "single", "a")
    with pytest.raises(ArtifactError, match="no version but the current one"):
        rollback(tmp_path / "single")
    with pytest.raises(ArtifactError, match="nowhere: contains no model to restore"):
        rollback(tmp_path / "nowhere")


def test_the_version_gone_back_to_outlives_those_that_were_bad(tmp_path: Path) -> None:
    path = tmp_path / "model"
    good, _, _worse = publish(path, "good", "bad", "worse")
    rollback(path, good)
    (new,) = publish(path, "new", keep=2)
    assert names_of(path) == [new, good]
    assert rollback(path) == good


def test_the_same_model_again_is_one_version(tmp_path: Path) -> None:
    path = tmp_path / "model"
    a, b = publish(path, "a", "b")
    assert publish(path, "a") == [a]
    assert names_of(path) == [a, b]
    assert publish(path, "a") == [a]
    assert names_of(path) == [a, b]


def test_a_model_of_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model"
    publish(path, "a")
    (path / MANIFEST).write_bytes(_sealed({**read_manifest(path), "format": FORMAT - 1}))
    with pytest.raises(ArtifactError):
        dataset_of(path)
    publish(path, "a")  # as train does
    assert dataset_of(path) == "a"


def test_a_damaged_version_is_not_gone_back_to(tmp_path: Path) -> None:
    path = tmp_path / "model"
    a, b = publish(path, "a", "b")
    file = path / a / "cold.layers.0.weights.npy"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(ArtifactError, match=r"cold\.layers\.0\.weights\.npy: is missing or was changed"):
        rollback(path)
    assert read_manifest(path)["version"] == b
    (path / a / MANIFEST).write_text("{}")
    assert names_of(path) == [b]
    publish(path, "c")
    assert not (path / a).exists()  # what cannot be gone back to makes room


def test_a_damaged_model_is_gone_back_from(tmp_path: Path) -> None:
    path = tmp_path / "model"
    a, _b = publish(path, "a", "b")
    for content in ("{}", "not JSON"):
        (path / MANIFEST).write_text(content)
        assert rollback(path, a) == a
        assert dataset_of(path) == "a"
        publish(path, "b")


def test_the_commands_tell_of_versions(tmp_path: Path) -> None:
    path = tmp_path / "model"
    a, b = publish(path, "a", "b")
    done = CliRunner().invoke(app, ["rollback", str(path), "--json"])
    assert json.loads(done.stdout) == {"model": str(path), "version": a, "before": b}
    done = CliRunner().invoke(app, ["rollback", str(path), "--to", b])
    assert f"version {b} is current again" in done.stdout
    assert f"the previous version was {a}." in done.stdout


@pytest.mark.parametrize("what", ["publish", "rollback"])
def test_a_kill_at_any_moment_leaves_a_model_that_serves(what: str, tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.model.kill_each", what, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    after = [json.loads(line) for line in run.stdout.splitlines()]
    before, done = ("old", "new") if what == "publish" else ("old", "older")
    datasets = [line["dataset"] for line in after]
    n_before = datasets.index(done)
    assert datasets == [before] * n_before + [done] * (len(datasets) - n_before)
    model = tmp_path / "model"
    n_files = len(list((model / read_manifest(model)["version"]).iterdir()))
    assert n_before > (n_files if what == "publish" else 5)  # each file that is written is a change
    assert {line["others"] for line in after} <= {2, 3}
