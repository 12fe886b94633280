"""Runs what stands in fenced blocks of a page: commands, Python, requests; on small tables, but for real."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from serve_process import ServerProcess
from typer.testing import CliRunner

from firstday.cli.main import app

ROOT = Path(__file__).parents[2]
LANGUAGES = {"sh", "python", "sql", "text"}
"""Every block says what it is; `sh` and `python` are run."""
SMALLER = {"--users": "400", "--items": "250", "--seeds": "1", "--cut-offs": "2"}
BRIEF = ("--set", "cold_model.epochs=2", "--set", "ranker.epochs=1")
"""What commands that train get besides: nobody looks at how good their models are."""


@dataclass
class Example:
    """One block of a page."""

    language: str
    line: int
    text: str


@dataclass
class Reader:
    """Somebody who tries a page's examples one after another in a folder.

    Parameters
    ----------
    folder
        The working folder.
    ran
        What was run, as it stands on the page.
    """

    folder: Path
    ran: list[str] = field(default_factory=list)
    names: dict[str, Any] = field(default_factory=dict)
    server: ServerProcess | None = None

    def try_example(self, example: Example) -> None:
        """Run a block."""
        if example.language == "python":
            exec(compile(example.text, f"line {example.line}", "exec"), self.names)
            self.ran.append(example.text)
        elif example.language == "sh":
            for command in read_commands(example.text):
                self.run(command)
                self.ran.append(shlex.join(command))

    def run(self, command: list[str]) -> None:
        """Run one command."""
        program, *arguments = command
        if program == "firstday" and arguments[0] == "serve":
            assert arguments[1:] == ["model"]
            self.server = ServerProcess(Path("model"), self.folder / "serving")
        elif program == "firstday":
            smaller = [SMALLER.get(before, own) for before, own in zip(["", *arguments], arguments, strict=False)]
            brief = BRIEF if arguments[0] in ("train", "evaluate", "replay", "refresh") else ()
            done = CliRunner().invoke(app, [*smaller, *brief], catch_exceptions=False)
            assert done.exit_code == 0, (command, done.output)
        elif program == "curl":
            assert self.server is not None
            answer = ask(self.server.url, arguments)
            assert answer.is_success, (command, answer.text)
        elif program == "pip":
            assert arguments[0] == "install"
            for wanted in arguments[1:]:
                assert_extras_exist(wanted)
        elif program == "make":
            for target in arguments:
                assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target
        else:
            raise AssertionError(f"{command} is not run by this test: teach it, or call the block text")

    def leave(self) -> None:
        """Stop what still runs."""
        if self.server is not None:
            self.server.stop()


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


def assert_extras_exist(wanted: str) -> None:
    """Tell whether the package has the extras that an install line names."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    name, _, extras = wanted.partition("[")
    assert name in (project["name"], "."), wanted
    for extra in filter(None, extras.partition("]")[0].split(",")):
        assert extra in project["optional-dependencies"], wanted


def ask(server: str, arguments: list[str]) -> httpx.Response:
    """Send what a curl line sends, to the server under test."""
    method = "GET"
    url = ""
    headers = {}
    body = None
    query = dict[str, str]()
    rest = iter(arguments)
    for argument in rest:
        if argument == "-X":
            method = next(rest)
        elif argument == "-H":
            name, _, value = next(rest).partition(": ")
            headers[name] = value
        elif argument == "-d":
            body = next(rest)
        elif argument == "--data-urlencode":
            name, _, value = next(rest).partition("=")
            query[name] = value
        elif argument != "-G":
            assert argument.startswith("localhost:8000/"), argument
            url = server + argument.removeprefix("localhost:8000")
    return httpx.request(method, url, headers=headers, content=body, params=query or None)
