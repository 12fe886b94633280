"""The files in deploy/ are valid for systemd, Kubernetes, Airflow and the command line."""

from __future__ import annotations

import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock, patch

import kubernetes_validate
import pytest
import typer
import yaml

from firstday.cli.main import app

DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = sorted(path.name for path in DEPLOY.iterdir() if path.suffix in (".service", ".timer"))
DAG = DEPLOY / "airflow_refresh.py"
OPERATORS = "airflow.providers.standard.operators.bash"


def resources() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8")))


def pods() -> Iterator[dict[str, Any]]:
    for resource in resources():
        spec = resource["spec"]
        if resource["kind"] == "CronJob":
            spec = spec["jobTemplate"]["spec"]
        if "template" in spec:
            yield spec["template"]["spec"]


def bash_commands() -> list[str]:
    """Return the commands of the DAG, which is loaded without Airflow."""
    modules = {name: MagicMock() for name in ("pendulum", "airflow", "airflow.sdk", OPERATORS)}
    with patch.dict(sys.modules, modules):
        runpy.run_path(str(DAG))
    return [call.kwargs["bash_command"] for call in modules[OPERATORS].BashOperator.call_args_list]


def command_lines() -> Iterator[list[str]]:
    """Return every call of `firstday` in the folder, without the program's name."""
    for unit in UNITS:
        for line in (DEPLOY / unit).read_text(encoding="utf-8").splitlines():
            if line.startswith("ExecStart="):
                program, *arguments = shlex.split(line.partition("=")[2])
                assert program.endswith("/bin/firstday")
                yield arguments
    for pod in pods():
        yield from (container["args"] for container in pod["containers"])
    yield from (shlex.split(command.replace("{{ ds }}", "2026-01-31"))[1:] for command in bash_commands())


def test_every_command_line_is_valid() -> None:
    lines = list(command_lines())
    assert [line[0] for line in lines].count("refresh") == 3
    assert {line[0] for line in lines} == {"refresh", "rollback", "serve", "recommend"}
    group = typer.main.get_command(app)
    for name, *arguments in lines:
        command = group.get_command(None, name)  # type: ignore[attr-defined]
        command.make_context(name, list(arguments))  # raises for unknown options


def verify_units(folder: Path) -> list[str]:
    """Return systemd's complaints about the units in a folder, except that the program is not installed."""
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(str(folder / unit) for unit in UNITS)],
        capture_output=True,
        text=True,
        check=False,
    )
    missing = r"Command /opt/firstday(-train)?/bin/firstday is not executable: No such file or directory$"
    return [line for line in done.stderr.splitlines() if not re.search(missing, line)]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    assert verify_units(DEPLOY) == []
    for unit in UNITS:
        text = (DEPLOY / unit).read_text(encoding="utf-8")
        (tmp_path / unit).write_text(text.replace("OnCalendar", "OnCalender").replace("ProtectHome", "ProtectHouse"))
    assert len(verify_units(tmp_path)) >= len(UNITS)  # verify_units does report invalid units


def test_kubernetes_accepts_the_resources() -> None:
    for resource in resources():
        kubernetes_validate.validate(resource, kubernetes_validate.latest_version(), strict=True)
    cron = next(resource for resource in resources() if resource["kind"] == "CronJob")
    cron["spec"]["jobTemplates"] = cron["spec"].pop("jobTemplate")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(cron, kubernetes_validate.latest_version(), strict=True)
