"""docs/dependencies.md documents every dependency, and make installs torch without CUDA where it can."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from packaging.requirements import Requirement

from tests.docs.examples import PROJECT, ROOT


def test_every_dependency_has_a_purpose() -> None:
    """Those of the base install and of every extra for users."""
    extras = PROJECT["optional-dependencies"]
    texts = [text for name in extras if name not in ("dev", "docs", "test") for text in extras[name]]
    names = {Requirement(text).name for text in (*PROJECT["dependencies"], *texts)} - {PROJECT["name"]}
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    assert names == set(re.findall(r"^\| `([^`]+)`", page, re.MULTILINE))


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve a package index that has torch, and yield its address."""
    folder = tmp_path_factory.mktemp("index")
    (folder / "cpu" / "torch").mkdir(parents=True)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def read_install(*arguments: str) -> tuple[str, str]:
    """Return the line by which make would install torch, and its standard error."""
    command = ["make", "--dry-run", "--always-make", "test", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return next(line for line in done.stdout.splitlines() if "--no-deps" in line), done.stderr


def test_make_installs_torch_from_the_index_for_cpus_if_it_can_be_reached(index: str) -> None:
    line, notes = read_install(f"TORCH_INDEX={index}/cpu")
    assert f"--no-deps --index-url {index}/cpu " in line
    assert notes == ""
    line, notes = read_install(f"TORCH_INDEX={index}/missing")
    assert "index" not in line
    assert f"{index}/missing" in notes
    line, notes = read_install("TORCH_INDEX=")
    assert "index" not in line
    assert notes == ""
