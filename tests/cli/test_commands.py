"""Commands are found by entry points, in one order, also those of other packages."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from firstday.cli.main import REPLACEMENTS, app
from tests.cli.conftest import Run

ORDER = (
    "demo", "check", "evaluate", "train", "refresh", "rollback", "recommend", "serve", "export", "inspect",
    "experiment",
)  # fmt: skip
HELLO = '''
def hello(name: str) -> None:
    """Greet NAME."""
    print(f"hello {name}")
'''
GROUP = """
import typer
PLACE = 2.5
app = typer.Typer()
@app.command()
def wave() -> None:
    print("waving")
@app.command()
def nod() -> None:
    print("nodding")
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def install(site: Path, package: str, code: str, *entries: str) -> None:
    """Install a package of one file, whose entry points are commands."""
    (site / f"{package}.py").write_text(code)
    metadata = site / f"{package}-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("\n".join(["[firstday.commands]", *entries]))


def list_commands() -> list[str]:
    group = typer.main.get_command(app)
    return group.list_commands(typer.Context(group))  # type: ignore[attr-defined]


def test_commands_are_in_the_order_of_work() -> None:
    names = list_commands()
    assert tuple(names[: len(ORDER)]) == ORDER
    assert set(names[len(ORDER) :]) <= {"lab"}


def test_a_command_is_one_file_and_one_entry_point(run: Run, site: Path) -> None:
    before = list_commands()
    install(site, "their_hello", HELLO, "hello = their_hello:hello")
    assert list_commands() == [*before, "hello"]
    assert run("hello", "you").stdout == "hello you\n"
    assert "Greet NAME." in run("--help").stdout
    assert run("hello", status=2).stderr.lower() == "error: missing argument 'name'; see --help.\n"


def test_a_group_of_commands_has_the_place_it_names(run: Run, site: Path) -> None:
    install(site, "their_group", GROUP, "gestures = their_group:app")
    assert list_commands()[:4] == ["demo", "check", "gestures", "evaluate"]
    assert run("gestures", "nod").stdout == "nodding\n"
    assert "wave" in run("gestures", "--help").stdout


@pytest.mark.parametrize("value", ["their_broken:missing", "their_broken.missing:command", "no_such_module:command"])
def test_a_command_that_cannot_be_loaded_leaves_the_others(run: Run, site: Path, value: str) -> None:
    install(site, "their_broken", HELLO, f"broken = {value}")
    for arguments in (("broken",), ("--help",)):
        (line,) = run(*arguments, status=2).stderr.splitlines()
        assert line.startswith(f"error: commands: broken cannot be loaded from {value} (")
    assert run("rollback", "--help").stdout


def test_a_name_is_of_one_package(run: Run, site: Path) -> None:
    install(site, "their_train", HELLO, "train = their_train:hello")
    (line,) = run("train", "x", status=2).stderr.splitlines()
    assert line.startswith("error: commands: train is taken by several packages (")
    for value in ("firstday.cli.train:train", "their_train:hello"):
        assert value in line


@pytest.mark.parametrize("name", REPLACEMENTS)
def test_a_removed_command_names_what_replaces_it(run: Run, name: str) -> None:
    (line,) = run(name, "--help", status=2).stderr.splitlines()
    assert line.startswith(f"error: {name}: is no longer a command; ")
    assert name not in list_commands()


def test_without_arguments_the_help_is_printed(run: Run) -> None:
    assert "recommend" in run(status=2).stdout
