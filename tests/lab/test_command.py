"""firstday lab: a group of commands."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Run
from tests.cli.test_commands import list_commands

COMMANDS = ("simulate", "reproduce", "replay")


def test_the_lab_follows_the_commands_of_the_core(run: Run) -> None:
    assert list_commands()[-2:] == ["experiment", "lab"]
    told = run("lab", status=2).stdout
    places = [told.index(f" {name} ") for name in COMMANDS]
    assert places == sorted(places)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_every_command_has_an_example(run: Run, name: str) -> None:
    told = run("lab", name, "--help").stdout
    assert f"Example: firstday lab {name}" in told
    assert ("--set" in told) == ("--config" in told)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_old_name_leads_to_the_new_one(run: Run, name: str) -> None:
    assert f"firstday lab {name}" in run(name, "--help", status=2).stderr
