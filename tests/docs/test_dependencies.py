"""docs/dependencies.md speaks of every dependency, and make takes torch from where it is told."""

from __future__ import annotations

import subprocess
import tomllib

import pytest
from packaging.requirements import Requirement
from table_makers.dependencies import PURPOSES

from tests.docs.examples import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NEW_INDEX = "https://index.invalid/cpu"


def test_every_dependency_has_a_purpose_and_every_purpose_a_dependency() -> None:
    extras = {
        name: needs for name, needs in PROJECT["optional-dependencies"].items() if name not in ("dev", "docs", "test")
    }
    names = {Requirement(text).name for needs in (PROJECT["dependencies"], *extras.values()) for text in needs}
    assert names == set(PURPOSES)
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    for name in (Requirement(text).name for text in (*PROJECT["dependencies"], *extras["train"])):
        assert f"| `{name}` | {PURPOSES[name]} |" in page
    for name in extras:
        assert f"| `firstday[{name}]` | " in page


@pytest.mark.parametrize("target", ["demo", "test"])
def test_make_takes_torch_from_another_index(target: str) -> None:
    for given, expected in (([f"TORCH_INDEX={NEW_INDEX}"], f"--extra-index-url {NEW_INDEX} "), ([], "")):
        command = ["make", "--dry-run", "--always-make", target, *given]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        install = next(line for line in done.stdout.splitlines() if "pip install" in line)
        assert f"requirements.lock {expected}" in f"{install} "
        assert ("--extra-index-url" in install) == bool(given)
