"""Options, settings, numbers and messages in docs/spark.md are those of the code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer.main

from firstday.cli.main import app
from tests.docs.examples import read_commands, read_examples

pytest.importorskip("pyspark")
PAGE = Path(__file__).parents[2] / "docs" / "spark.md"
TEXT = " ".join(PAGE.read_text(encoding="utf-8").split())


def test_every_option_of_a_command_exists() -> None:
    group: Any = typer.main.get_command(app)
    commands = {name: group.get_command(None, name) for name in group.list_commands(None)}
    n_checked = 0
    for example in read_examples(PAGE):
        for words in read_commands(example.text) if example.language == "sh" else ():
            starts = [at + 1 for at, word in enumerate(words) if word.endswith(("firstday", "firstday_job.py"))]
            if not starts or words[starts[0]] not in commands:
                continue
            known = {name for option in commands[words[starts[0]]].params for name in option.opts}
            named = {word for word in words[starts[0] :] if word.startswith("-")}
            assert named <= known, named - known
            n_checked += 1
    assert n_checked >= 6
