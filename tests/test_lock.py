"""The lock pins every dependency within its range, and an environment that make installed holds just that."""

from __future__ import annotations

import importlib.metadata
import itertools
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


def read_pins() -> list[Requirement]:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    return [Requirement(line.partition("#")[0]) for line in lines if not line.startswith("#")]


def applies(requirement: Requirement, place: dict[str, str] | None = None) -> bool:
    return requirement.marker is None or requirement.marker.evaluate(place)


def test_each_line_of_the_lock_pins_a_public_version() -> None:
    pins = read_pins()
    assert pins
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


@pytest.mark.skipif(
    not Path(sys.prefix, ".locked").exists(), reason="this environment was not installed from requirements.lock"
)
def test_a_locked_environment_holds_the_pinned_versions() -> None:
    installed = {canonicalize_name(each.name): each.version for each in importlib.metadata.distributions()}
    direct = {canonicalize_name(requirement.name) for requirement in RANGES if applies(requirement)}
    pins = {canonicalize_name(pin.name): pin for pin in read_pins() if applies(pin)}
    different = [
        f"{pins[name]}: {installed.get(name, 'nothing')} is installed"
        for name in sorted(pins.keys() & (installed.keys() | direct))
        if not pins[name].specifier.contains(installed.get(name, "0"))
    ]
    assert different == [], "run make install; after a change by hand remove .venv first"
