"""The lock pins every dependency within its range, and make installs just that."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
RANGES = [
    requirement
    for requirement in map(
        Requirement, itertools.chain(PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    )
    if requirement.name != PROJECT["name"]
]
PLACES = [
    {"python_version": python, "python_full_version": f"{python}.9", "sys_platform": system}
    for python in ("3.11", "3.12", "3.13")
    for system in ("linux", "darwin")
]


LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PIN = re.compile(r"^(\S+==.*?)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", re.MULTILINE)
SMALL = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "small"
version = "1"
dependencies = ["annotated-types"]
optional-dependencies = { train = [] }

[tool.hatch.build.targets.wheel]
bypass-selection = true
"""


def read_pins() -> list[Requirement]:
    return [Requirement(pin) for pin, _ in PIN.findall(LOCK)]


def applies(requirement: Requirement, place: dict[str, str] | None = None) -> bool:
    return requirement.marker is None or requirement.marker.evaluate(place)


def test_each_line_of_the_lock_pins_a_public_version() -> None:
    pins = read_pins()
    assert len(pins) == len(re.findall(r"^[^\s#]", LOCK, re.MULTILINE)), "a line has no hash"
    for pin in pins:
        (specifier,) = pin.specifier
        assert specifier.operator == "==", pin
        assert Version(specifier.version).local is None, pin
        assert pin.url is None, pin
        assert not pin.extras, pin  # pip takes no extras in a file of constraints


@pytest.mark.parametrize("allowed", RANGES, ids=str)
def test_the_lock_pins_each_dependency_within_its_range(allowed: Requirement) -> None:
    pins = [pin for pin in read_pins() if canonicalize_name(pin.name) == canonicalize_name(allowed.name)]
    for place in PLACES:
        if applies(allowed, place):
            (pin,) = (pin for pin in pins if applies(pin, place))
            (specifier,) = pin.specifier
            assert specifier.version in allowed.specifier, "run make lock"


def test_make_refuses_packages_whose_hashes_are_not_those_of_the_lock(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "pyproject.toml").write_text(SMALL)
    command = ["make", ".venv/.train", f"PYTHON={sys.executable}", "LOCKED=yes", "TORCH_INDEX=", "TORCH=pip"]

    def install(spoiled: str) -> bool:
        lock = PIN.sub(
            lambda pin: re.sub(r"(?<=sha256:)\w{8}", "0" * 8, pin[0]) if pin[0].startswith(spoiled) else pin[0], LOCK
        )
        (tmp_path / "requirements.lock").write_text(lock)
        return subprocess.run(command, cwd=tmp_path, check=False, capture_output=True).returncode == 0

    assert [install(name) for name in ("uv==", "hatchling==", "annotated-types==", "nothing")] == [
        False,
        False,
        False,
        True,
    ]
