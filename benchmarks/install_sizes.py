"""Measure the size of an install and the time to the first list, and renew docs/results/install-sizes.json.

python benchmarks/install_sizes.py

Sizes are those of the package files in the running environment; `make install` installs all of them. The packages of
the base install and of each extra are found by following the declared dependencies. The first list is made in a new
environment, without caches, in the versions of the running one, from the configured index.
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from time import perf_counter
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
OUT = ROOT / "docs" / "results" / "install-sizes.json"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PROJECT = PYPROJECT["name"]
OPTIONAL = PYPROJECT["optional-dependencies"]
FOR_MAKERS = {"dev", "docs", "test"}
"""Extras for developing firstday."""


def requirements(name: str, extras: frozenset[str]) -> Iterator[Requirement]:
    """Yield the requirements of a package with some extras in this environment."""
    if name == PROJECT:
        texts = [*PYPROJECT["dependencies"], *(text for extra in extras for text in OPTIONAL[extra])]
    else:
        texts = distribution(name).requires or []
    for requirement in map(Requirement, texts):
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield requirement


def follow(name: str, extras: frozenset[str], seen: dict[str, frozenset[str]]) -> None:
    """Add the transitive requirements of a package to `seen`."""
    for requirement in requirements(name, extras):
        needed = canonicalize_name(requirement.name)
        wanted = frozenset(requirement.extras)
        if needed == PROJECT or (needed in seen and wanted <= seen[needed]):
            continue
        seen[needed] = wanted | seen.get(needed, frozenset())
        follow(needed, seen[needed], seen)


def size_mb(name: str) -> float:
    """Return the size of a package's files in MB."""
    found = distribution(name)
    paths = (Path(str(found.locate_file(file))) for file in found.files or ())
    return round(sum(path.stat().st_size for path in paths if path.is_file()) / 1e6, 1)


def brought_by(extras: frozenset[str], without: Iterable[str] = ()) -> dict[str, dict[str, Any]]:
    """Return the packages that an extra adds to `without`, largest first."""
    seen: dict[str, frozenset[str]] = {}
    follow(PROJECT, extras, seen)
    packages = [(size_mb(name), name) for name in seen.keys() - {*without}]
    return {name: {"version": distribution(name).version, "mb": mb} for mb, name in sorted(packages, reverse=True)}


def reach_first_list(extras: str, *commands: str) -> dict[str, Any]:
    """Install firstday in a new environment and run commands, the last of which lists; return MB and seconds."""
    seconds = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheels = folder / "wheels"
        python = folder / "venv" / "bin" / "python"
        pip: list[str | Path] = [python, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-cache-dir"]
        versions = folder / "versions.txt"
        freeze = [sys.executable, "-m", "pip", "freeze", "--exclude-editable"]
        versions.write_text(subprocess.run(freeze, check=True, capture_output=True, text=True).stdout)
        steps: dict[str, list[str | Path]] = {
            "environment": [sys.executable, "-m", "venv", folder / "venv"],
            "download": [*pip, "wheel", "--constraint", versions, "--wheel-dir", wheels, f"{ROOT}{extras}"],
            "install": [*pip, "install", "--no-index", "--find-links", wheels, f"{PROJECT}{extras}"],
        }
        for step, arguments in steps.items():
            began = perf_counter()
            subprocess.run(arguments, check=True)
            seconds[step] = perf_counter() - began
        began = perf_counter()
        environment = {**os.environ, "FIRSTDAY_CACHE": str(folder / "cache")}
        for command in commands:
            line: list[str | Path] = [python.with_name(PROJECT), *shlex.split(command)]
            subprocess.run(line, cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=True)
        seconds["list"] = perf_counter() - began
        mb = sum(path.stat().st_size for path in wheels.iterdir()) / 1e6
    rounded = {step: round(value, 1) for step, value in seconds.items()}
    return {
        "install": f"{PROJECT}{extras}",
        "commands": [f"{PROJECT} {command}" for command in commands],
        "mb": round(mb, 1),
        "seconds": rounded,
    }


def main() -> None:
    """Measure the base install, every extra and the time to the first list, and write the results."""
    try:
        base = brought_by(frozenset())
        parts = {extra: brought_by(frozenset({extra}), base) for extra in OPTIONAL if extra not in FOR_MAKERS}
    except PackageNotFoundError as error:
        sys.exit(f"error: {error.name} is not installed; run make install, then .venv/bin/python {sys.argv[0]}")
    place = {"python": platform.python_version(), "system": platform.system(), "machine": platform.machine()}
    first_lists = [
        reach_first_list("", "demo --no-open"),
        reach_first_list("[train]", "train movielens-100k --out model", "recommend model --user {}"),
    ]
    content = place | {"parts": {"base": base, **parts}, "first_lists": first_lists}
    OUT.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    for first_list in first_lists:
        print(first_list)
    for part, packages in {"base": base, **parts}.items():
        print(f"{part}: {sum(package['mb'] for package in packages.values()):.0f} MB")


if __name__ == "__main__":
    main()
