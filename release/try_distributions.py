"""Install wheel and sdist in clean environments, run the demo from each, and the tests that the sdist packs.

python release/try_distributions.py python3.11 python3.12          one after another, each in an environment of its own

The wheel comes first, then the sdist in its place. Packages are the newest that pip finds, as for a user.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from time import perf_counter

from make_release import build

PACKED_TESTS = ("tests/test_ranking.py", "tests/test_sparse.py", "tests/model/test_codec.py", "tests/recommend")
INSTALL = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")


def try_python(python: str, wheel: Path, sdist: Path, folder: Path) -> str:
    """Try both archives on one Python; return what was done, in a line."""
    began = perf_counter()
    subprocess.run([python, "-m", "venv", folder / "venv"], check=True)
    interpreter = folder / "venv" / "bin" / "python"
    install = [interpreter, *INSTALL]
    if index := os.environ.get("TORCH_INDEX"):
        _run(folder, *install, "--no-deps", "--index-url", index, "torch")
    _run(folder, *install, f"firstday @ {wheel.as_uri()}")
    run_demo(folder / "of-base", interpreter)
    _run(folder, *install, f"firstday[train] @ {wheel.as_uri()}")
    _run(folder, interpreter.parent / "firstday", "train", "movielens-100k", "--out", folder / "trained")
    _run(folder, interpreter, "-m", "pip", "uninstall", "--quiet", "--yes", "firstday")
    _run(folder, *install, f"firstday[train,redis,postgres,test] @ {sdist.as_uri()}")
    run_demo(folder / "of-sdist", interpreter)
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    unpacked = folder / sdist.name.removesuffix(".tar.gz")
    for path in sorted((unpacked / "src").rglob("*.py"), reverse=True):
        path.unlink()  # what was installed is tested, not what lies beside the tests
    tests = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow", *PACKED_TESTS]
    said = _run(unpacked, interpreter, *tests).strip().splitlines()[-1]
    version = _run(folder, interpreter, "--version").strip()
    return f"{version}: wheel and sdist installed, demo run from both, {said}; {perf_counter() - began:.0f} s"


def run_demo(out: Path, python: Path) -> None:
    """Run the demo without the page, and check that it printed a figure and left a model."""
    said = _run(out.parent, python.parent / "firstday", "demo", "--no-open", "--out", out)
    assert "beat popularity by" in said
    assert (out / "model" / "manifest.json").is_file()


def _run(folder: Path, *command: object) -> str:
    """Run a command in a folder and return what it prints; where it fails, end with that."""
    settings = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    line = [str(word) for word in command]
    done = subprocess.run(line, cwd=folder, env=settings, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"error: {' '.join(line)}: ended with {done.returncode}\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done.stdout


def main(*pythons: str) -> None:
    """Build once and try each Python."""
    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder))
        (wheel,), (sdist,) = Path(folder).glob("*.whl"), Path(folder).glob("*.tar.gz")
        for python in pythons:
            with tempfile.TemporaryDirectory() as clean:
                print(try_python(python, wheel, sdist, Path(clean)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
