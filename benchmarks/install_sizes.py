"""Measure the size of an install, and renew docs/results/install-sizes.json.

python benchmarks/install_sizes.py

Sizes are those of the package files in the running environment; `make install` installs all of them. The packages of
the base install and of each extra are found by following the declared dependencies.
"""

from __future__ import annotations

import json
import platform
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

OUT = Path(__file__).parents[1] / "docs" / "results" / "install-sizes.json"
PYPROJECT = tomllib.loads((OUT.parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
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


def main() -> None:
    """Measure the base install and every extra, and write the sizes."""
    try:
        base = brought_by(frozenset())
        parts = {extra: brought_by(frozenset({extra}), base) for extra in OPTIONAL if extra not in FOR_MAKERS}
    except PackageNotFoundError as error:
        sys.exit(f"error: {error.name} is not installed; run make install, then .venv/bin/python {sys.argv[0]}")
    place = {"python": platform.python_version(), "system": platform.system(), "machine": platform.machine()}
    OUT.write_text(json.dumps(place | {"parts": {"base": base, **parts}}, indent=1) + "\n", encoding="utf-8")
    for part, packages in {"base": base, **parts}.items():
        print(f"{part}: {sum(package['mb'] for package in packages.values()):.0f} MB")


if __name__ == "__main__":
    main()
