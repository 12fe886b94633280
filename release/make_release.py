"""Check that everything is ready for a release, build wheel and sdist into dist/, and print what tags it.

python release/make_release.py [v0.1.0]          the tag that it must be, where there is one already
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLACES = {
    "src/firstday/__init__.py": r'^__version__ = "([^"]+)"$',
    "CITATION.cff": r"^version: (\S+)$",
    "clients/js/package.json": r'^  "version": "([^"]+)",$',
    "CHANGELOG.md": r"^## (\d\S*) \(\d{4}-\d{2}-\d{2}\)$",
}
"""Where the version stands; of the changelog, its first heading with a date."""
DATES = {"CITATION.cff": r"^date-released: (\S+)$", "CHANGELOG.md": r"^## \d\S* \((\d{4}-\d{2}-\d{2})\)$"}
UNRELEASED = re.compile(r"^## \[?Unreleased\]?\n+(?!## )\S", re.MULTILINE)


def find_faults(root: Path, tag: str | None = None) -> list[str]:
    """Return why a working tree cannot be released, one sentence each."""
    faults = []
    changed = _run(root, "git", "status", "--porcelain").splitlines()
    if changed:
        faults.append(f"the working tree has {len(changed)} change(s), such as {changed[0][3:]}; commit them first.")
    for what, places in (("version", PLACES), ("date", DATES)):
        values = {place: _find(root / place, pattern) for place, pattern in places.items()}
        if len({*values.values()}) > 1 or None in values.values():
            named = ", ".join(f"{place} has {value or 'none'}" for place, value in values.items())
            faults.append(f"{what}: {named}; make them the same, in the changelog as '## 0.1.0 (2026-11-27)'.")
    if "urls" not in tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]:
        faults.append("pyproject.toml: has no [project.urls]; enter the repository's address, as its comment says.")
    version = read_version(root)
    if UNRELEASED.search((root / "CHANGELOG.md").read_text(encoding="utf-8")):
        faults.append("CHANGELOG.md: has entries under Unreleased; put the version and its date into that heading.")
    if tag is not None and tag != f"v{version}":
        faults.append(f"the tag is {tag} and the version {version}; tag v{version}, or change the version.")
    if tag is None and _run(root, "git", "tag", "--list", f"v{version}"):
        faults.append(f"v{version}: is tagged already; raise the version.")
    return faults


def read_version(root: Path = ROOT) -> str | None:
    """Return the version of the source."""
    return _find(root / "src/firstday/__init__.py", PLACES["src/firstday/__init__.py"])


def build(out: Path) -> None:
    """Build wheel and sdist, and check both."""
    subprocess.run([sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT], check=True)
    files = [str(path) for path in sorted(out.iterdir())]
    subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *files], check=True)
    wheel = next(file for file in files if file.endswith(".whl"))
    subprocess.run([sys.executable, "-m", "check_wheel_contents", wheel], check=True)


def _find(path: Path, pattern: str) -> str | None:
    """Return what the first line that fits a pattern holds."""
    found = re.search(pattern, path.read_text(encoding="utf-8"), re.MULTILINE)
    return found and found[1]


def _run(root: Path, *command: str) -> str:
    """Return what a command prints."""
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout


def main(tag: str | None = None) -> None:
    """Check, build, and say how to go on."""
    faults = find_faults(ROOT, tag or None)
    if faults:
        sys.exit("\n".join(f"error: {fault}" for fault in faults))
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    build(ROOT / "dist")
    version = read_version()
    print(f"dist/ holds firstday {version}. Next, to publish it:")
    print(f"  git tag -a v{version} -m 'firstday {version}' && git push origin v{version}")


if __name__ == "__main__":
    main(*sys.argv[1:])
