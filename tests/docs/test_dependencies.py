"""docs/dependencies.md documents every dependency, and make installs torch from the index it is given."""

from __future__ import annotations

import subprocess

import pytest
from packaging.requirements import Requirement
from table_makers.dependencies import PURPOSES
from table_makers.measured import read_results

from tests.docs.examples import PROJECT, ROOT

NEW_INDEX = "https://index.invalid/cpu"


def test_every_dependency_has_a_purpose_and_every_extra_a_size() -> None:
    extras = {
        name: needs for name, needs in PROJECT["optional-dependencies"].items() if name not in ("dev", "docs", "test")
    }
    names = {Requirement(text).name for needs in (PROJECT["dependencies"], *extras.values()) for text in needs}
    assert names == set(PURPOSES)
    assert set(read_results("install-sizes")["parts"]) == {"base", *extras}


@pytest.mark.parametrize("target", ["demo", "test"])
def test_make_installs_torch_from_another_index(target: str) -> None:
    for given, expected in (([f"TORCH_INDEX={NEW_INDEX}"], f"--extra-index-url {NEW_INDEX} "), ([], "")):
        command = ["make", "--dry-run", "--always-make", target, *given]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        install = next(line for line in done.stdout.splitlines() if "pip install" in line)
        assert f"requirements.lock {expected}" in f"{install} "
        assert ("--extra-index-url" in install) == bool(given)
