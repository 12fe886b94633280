"""Virtual environments in which firstday is installed as users install it."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"
"""Local copies of published datasets; tests that need one are skipped without it."""


def run(*command: str | Path, folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """Run a command in a folder and return its output; it must succeed."""
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def pip(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *map(str, arguments)]
    subprocess.run(command, check=True, timeout=600)


def make_environment(folder: Path, *options: str, sources: tuple[Path, ...] = (ROOT,)) -> Path:
    """Make an environment, install what source folders hold by options of pip, and return its Python."""
    venv.create(folder)
    python = folder / "bin" / "python"
    isolation = [] if importlib.util.find_spec("hatch_fancy_pypi_readme") is None else ["--no-build-isolation"]
    pip("wheel", "--no-deps", *isolation, "--wheel-dir", folder / "wheels", *sources)
    pip("--python", python, "install", "--no-compile", *options, *(folder / "wheels").glob("*.whl"))
    return python


@contextmanager
def serve(python: Path, model: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """Serve a model by an environment's firstday, yield the URL, and end it as an operator does."""
    store = {"FIRSTDAY_SERVE_STORE": f"sqlite:///{model.parent / 'users.sqlite'}", "FIRSTDAY_SERVE_LOG_FORMAT": "json"}
    command = [str(python.with_name("firstday")), "serve", str(model), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, env={**environment, **store}) as server:
        assert server.stderr is not None
        yield json.loads(server.stderr.readline())["url"]
        server.terminate()
        assert server.wait(timeout=20) == 0
