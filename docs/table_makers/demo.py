"""What `firstday demo` prints."""

from __future__ import annotations

from tempfile import TemporaryDirectory

from typer.testing import CliRunner

from firstday.cli.main import app


def demo_list() -> list[str]:
    """Return the lists of `firstday demo` and the figure below them."""
    with TemporaryDirectory() as out:
        done = CliRunner().invoke(
            app, ["demo", "--no-open", "--out", out], env={"COLUMNS": "112"}, catch_exceptions=False
        )
    printed, _, _ = done.stdout.partition("Data: ")
    lines = [line.rstrip() for line in printed.splitlines()]
    return ["```text", "$ firstday demo", *filter(None, lines), "```"]
