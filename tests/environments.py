"""Virtual environments in which firstday is installed as users install it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from uv import find_uv_bin

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"
"""Local copies of published datasets; tests that need one are skipped without it."""


def run(*command: str | Path, folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """Run a command in a folder and return its output; it must succeed."""
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def uv(*arguments: str) -> str:
    """Run uv, for the environment of these tests unless the arguments name another; return its output."""
    environment = {**os.environ, "VIRTUAL_ENV": sys.prefix}
    return run(find_uv_bin(), *arguments, folder=ROOT, environment=environment)


def make_environment(folder: Path, *options: str) -> Path:
    """Make an environment, install firstday as a wheel, by options of pip, and return its Python."""
    venv.create(folder)
    python = folder / "bin" / "python"
    uv("build", "--wheel", "--quiet", "--no-build-isolation", "--out-dir", str(folder / "wheels"))
    uv("pip", "install", "--python", str(python), *options, *map(str, (folder / "wheels").glob("*.whl")))
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
        assert server.wait(timeout=60) == 0
