"""Runs the fenced examples of a page: commands, Python and requests, on small tables."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx
from typer.testing import CliRunner
from write_http import read_request

from firstday.cli.main import app
from firstday.config import Config
from tests.serve.in_process import running_app

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
LANGUAGES = {"sh", "python", "sql", "text"}
"""Languages of examples; `sh` and `python` are run."""
SMALLER = {"--users": "400", "--items": "250", "--seeds": "1", "--cut-offs": "1"}
"""Values that replace those of a page, for speed."""
BRIEF = ("--set", "cold_model.epochs=2", "--set", "ranker.epochs=1")
"""Options added to commands that train, for speed."""
LITTLE = Config().override({"cold_model.epochs": 2, "ranker.epochs": 1, "registration.cut_offs": 1})
"""The configuration of Python blocks that train, for speed."""


@dataclass
class Example:
    """One block of a page."""

    language: str
    line: int
    text: str


@dataclass
class Reader:
    """Runs a page's examples in order; a context manager that ends the service they started.

    Parameters
    ----------
    folder
        Folder for the service's files.
    ran
        The commands and Python blocks that were run, as on the page.
    names
        Variables of the Python blocks.
    http
        A client of the service that `serve` started.
    """

    folder: Path
    ran: list[str] = field(default_factory=list)
    names: dict[str, Any] = field(default_factory=lambda: {"LITTLE": LITTLE})
    http: httpx.Client | None = None

    def __enter__(self) -> Self:
        self._stack = ExitStack()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def serve(self, **settings: str) -> None:
        """Serve the model in the current folder."""
        app = self._stack.enter_context(running_app(Path("model"), self.folder, **settings))
        self.http = self._stack.enter_context(app.open_client())

    def run_example(self, example: Example) -> None:
        """Run a block."""
        if example.language == "python":
            text = re.sub(r'(fd\.(train|evaluate)\(fd\.load\("[^"]+"\))', r"\1, LITTLE", example.text)
            exec(compile(text, f"line {example.line}", "exec"), self.names)
            self.ran.append(example.text)
        elif example.language == "sh":
            for command in read_commands(example.text):
                self.run_command(command)
                self.ran.append(shlex.join(command))

    def ask(self, arguments: list[str]) -> httpx.Response:
        """Send the request of a curl command."""
        assert self.http is not None
        return self.http.request(**read_request(arguments))

    def run_command(self, command: list[str]) -> None:
        """Run one command."""
        program, *arguments = command
        if program == "firstday" and arguments[0] == "serve":
            assert arguments[1:] == ["model"]
            self.serve()
        elif program == "firstday":
            smaller = [SMALLER.get(before, own) for before, own in zip(["", *arguments], arguments, strict=False)]
            brief = () if {"train", "evaluate", "replay", "refresh"}.isdisjoint(arguments[:2]) else BRIEF
            done = CliRunner().invoke(app, [*smaller, *brief], catch_exceptions=False)
            assert done.exit_code == 0, (command, done.output)
        elif program == "curl":
            answer = self.ask(arguments)
            assert answer.is_success, (command, answer.text)
        elif program == "pip":
            assert arguments[0] == "install"
            if arguments[1:] != ["torch", "--index-url", CPU_INDEX]:
                assert arguments[2:] == []
                assert_extras_exist(arguments[1])
        elif program == "make":
            for target in arguments:
                assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target
        else:
            raise AssertionError(f"{command} is not supported; add it to run_command, or call the block text")


def read_examples(page: Path) -> list[Example]:
    """Return the blocks of a page."""
    text = page.read_text(encoding="utf-8")
    found = re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [Example(match[1], text[: match.start()].count("\n") + 1, match[2]) for match in found]


def read_commands(text: str) -> Iterator[list[str]]:
    """Return the commands of a block, without comments."""
    for line in text.replace("\\\n", " ").splitlines():
        command = shlex.split(line, comments=True)
        if command:
            yield command


def assert_extras_exist(requirement: str) -> None:
    """Assert that the package has the extras in an argument of pip."""
    name, _, extras = requirement.partition("[")
    assert name in (PROJECT["name"], "."), requirement
    for extra in filter(None, extras.partition("]")[0].split(",")):
        assert extra in PROJECT["optional-dependencies"], requirement
