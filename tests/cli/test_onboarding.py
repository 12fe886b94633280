"""firstday onboarding: a plan, a list by answers, and questions in a real terminal."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from firstday.recommend.questionnaire import Answers, Questionnaire, recommend_after_questions
from firstday.recommend.recommender import Recommender
from tests.cli.conftest import Run


def test_without_a_terminal_it_prints_a_plan(run: Run, tiny_model: Path, tiny: Recommender) -> None:
    done = run("onboarding", tiny_model, "--questions", 2)
    assert done.stdout == "One (i1) (yes: 62 %)\n   yes: Four (i4) (yes: 34 %)\n   no: Four (i4) (yes: 44 %)\n"
    plan = json.loads(run("onboarding", tiny_model, "--questions", 2, "--json").stdout)["plan"]
    assert [asked["id"] for asked in (plan, plan["yes"], plan["no"])] == ["i1", "i4", "i4"]
    assert plan["yes"]["yes"] is None
    questionnaire = Questionnaire.of(tiny.model)
    first = questionnaire.next_question(Answers())
    assert first is not None


def test_a_question_about_an_artist_names_the_artist(run: Run, tiny: Recommender, tmp_path: Path) -> None:
    catalogue = replace(tiny.model.catalogue, names={"artist": ("Ada", "")})
    named = Recommender(replace(tiny.model, catalogue=catalogue)).save(tmp_path / "model")
    plan = json.loads(run("onboarding", named, "--entity", "artist", "--json", stdin="").stdout)["plan"]
    shown = {(question["id"], question["title"]) for question in (plan, plan["yes"], plan["no"])}
    assert shown == {("a1", "Ada"), ("a2", "")}
    assert "Ada (a1)" in run("onboarding", named, "--entity", "artist", stdin="").stdout


@pytest.mark.parametrize(
    ("options", "route", "items", "following"),
    [
        (("--answers", "i1=yes, i3=no,i4=skip", "-k", 3), "answers", ["i2", "i4", "i5"], "i2"),
        (("--answers", "i1=yes,i3=no", "-k", 3, "--questions", 2), "answers", ["i2", "i4", "i5"], None),
        (("--answers", "i1=yes,i3=no", "-k", 4, "--strategy", "segment"), "segment", ["i2", "i4", "i5", "i6"], "i4"),
    ],
)
def test_answers_give_a_list_and_the_next_question(
    run: Run, tiny_model: Path, options: tuple[object, ...], route: str, items: list[str], following: str | None
) -> None:
    """What was answered is in no list."""
    content = json.loads(run("onboarding", tiny_model, *options, "--json").stdout)
    assert content["list"]["route"] == route
    assert [item["item_id"] for item in content["list"]["items"]] == items
    assert (content["next"] or {}).get("id") == following
    assert content["answered"] == str(options).count("=")
    assert content["interactions"] == [["stream", "item", "i1"]]


def test_in_a_terminal_it_asks(tiny_model: Path, tiny: Recommender) -> None:
    """A word that is no answer is asked for again; then the list follows."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "firstday", "onboarding", str(tiny_model), "--questions", "2", "-k", "4"]
    env = {**os.environ, "COLUMNS": "160", "OPENBLAS_NUM_THREADS": "1"}
    shown = b""
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=env) as process:
        os.close(theirs)
        os.write(ours, b"perhaps\ny\nn\n\x04")  # what is typed ahead waits; a further question would meet the end
        with contextlib.suppress(OSError):  # the program has ended
            while part := os.read(ours, 65536):
                shown += part
        assert process.wait(timeout=60) == 0
    os.close(ours)
    assert re.findall(r"(\d)\. [^[]*\[y/n/s\]", shown.decode()) == ["1", "1", "2"]
    for item in recommend_after_questions(tiny, Questionnaire.of(tiny.model), Answers((0,), (3,)), 4).items:
        assert item.item_id in shown.decode()
