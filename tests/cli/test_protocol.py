"""Every command takes the same protocol for the same tables, and says so."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import Run

COMMANDS = (
    "check tables",
    "train tables --out model",
    "evaluate tables",
    "refresh tables --out model",
)
OF_SAMPLED, OF_REGISTRATION = "of 3 users have at least 20 used items", "can be trained on (at least 2 used items)"
"""Parts of the refusals of tables with too few users, by protocol."""


@pytest.fixture(params=[(30, "registration"), (3, "sampled")], ids=lambda case: case[1])
def protocol(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Write the uses of three people, the second some hours after the first, and return the protocol."""
    hours, name = request.param
    (tmp_path / "tables").mkdir()
    rows = [
        f"u{user},i{item},2024-05-0{1 + item * hours // 24}T{item * hours % 24:02}:00:00Z"
        for user in range(3)
        for item in range(2)
    ]
    (tmp_path / "tables" / "interactions.csv").write_text("\n".join(["user_id,item_id,timestamp", *rows, ""]))
    monkeypatch.chdir(tmp_path)
    return str(name)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_takes_the_same_protocol(run: Run, command: str, protocol: str) -> None:
    assert_protocol(run(*command.split(), status=2), protocol)


def assert_protocol(done: subprocess.CompletedProcess[str], protocol: str) -> None:
    """Assert that a command said the protocol, and failed for lack of users."""
    told = " ".join((done.stdout + done.stderr).split())
    assert told.count(f"Protocol {protocol} (setting auto): ") == 1
    assert told.count("`registration` can hold out ") == told.count(" and `sampled` ") == 1
    assert (OF_SAMPLED in told) == (protocol == "sampled")
    assert (OF_REGISTRATION in told or "nobody registered after" in told) == (protocol == "registration")
