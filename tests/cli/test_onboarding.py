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

from firstday.recommend.questionnaire import Answers, Questionnaire, expect_precision, recommend_by_answers
from firstday.recommend.recommender import Recommender
from tests.cli.conftest import Run


def test_without_a_terminal_it_prints_a_plan(run: Run, model: Path, recommender: Recommender) -> None:
    done = run("onboarding", model, "--questions", 2, stdin="")
    assert done.returncode == 0, done.stderr
    questionnaire, items = Questionnaire.of(recommender.model), recommender.model.catalogue.items
    first = questionnaire.next_question(Answers())
    assert first is not None
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    assert f"({items[first.target]})" in lines[0]
    for line, word in zip(lines[1:], ("yes", "no"), strict=True):
        following = questionnaire.next_question(Answers().add(first.target, word))
        assert following is not None
        assert line.startswith(f"   {word}: ")
        assert f"({items[following.target]})" in line
    plan = json.loads(run("onboarding", model, "--questions", 2, "--json", stdin="").stdout)["plan"]
    assert plan["id"] == items[first.target]
    assert plan["yes"]["yes"] is None
    expected = expect_precision(questionnaire, Answers(), first, recommender.model.config.recommend.k)
    assert plan["expected_precision"] == pytest.approx(expected, abs=1e-4)


def test_a_question_about_an_artist_names_the_artist(run: Run, tiny: Recommender, tmp_path: Path) -> None:
    catalogue = replace(tiny.model.catalogue, names={"artist": ("Ada", "")})
    named = Recommender(replace(tiny.model, catalogue=catalogue)).save(tmp_path / "model")
    plan = json.loads(run("onboarding", named, "--entity", "artist", "--json", stdin="").stdout)["plan"]
    shown = {(question["id"], question["title"]) for question in (plan, plan["yes"], plan["no"])}
    assert shown == {("a1", "Ada"), ("a2", "")}
    assert "Ada (a1)" in run("onboarding", named, "--entity", "artist", stdin="").stdout


def test_answers_give_a_list_and_the_next_question(run: Run, model: Path, recommender: Recommender) -> None:
    done = run("onboarding", model, "--answers", "i002=yes, i003=no,i004=skip", "-k", 5, "--json")
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    questionnaire = Questionnaire.of(recommender.model)
    answers = Answers((2,), (3,), (4,))
    expected = recommend_by_answers(recommender.model, questionnaire, answers, 5)
    assert [item["item_id"] for item in content["list"]["items"]] == [item.item_id for item in expected.items]
    assert content["list"]["route"] == "answers"
    assert content["answered"] == 3
    following = questionnaire.next_question(answers)
    assert following is not None
    assert content["next"]["id"] == recommender.model.catalogue.items[following.target]
    assert content["interactions"] == [["onboarding", "item", "i002"]]
    last = run("onboarding", model, "--answers", "i002=yes,i003=no", "--questions", 2, "--json")
    assert json.loads(last.stdout)["next"] is None


def test_another_strategy_takes_the_yeses(run: Run, model: Path, recommender: Recommender) -> None:
    done = run("onboarding", model, "--answers", "i002=yes,i006=no", "-k", 100, "--strategy", "segment", "--json")
    answer = json.loads(done.stdout)["list"]
    listed = [item["item_id"] for item in answer["items"]]
    assert answer["route"] == "segment"
    assert len(listed) == 100
    assert not {"i002", "i006"} & set(listed)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--answers", "i002"], "answers: 'i002' is not an answer; give ID=yes"),
        (["--answers", "zzz=yes"], "answers: item 'zzz' is unknown to the model"),
        (["--answers", "i002=yes,i002=no"], "answers: item 'i002' is answered twice"),
        (["--entity", "planet"], "entity: the model does not know the items of 'planet'"),
        (["--answers", "i002=yes", "--strategy", "magic"], "strategy: 'magic' is unknown"),
    ],
)
def test_mistakes_are_one_sentence(run: Run, model: Path, options: list[str], sentence: str) -> None:
    done = run("onboarding", model, *options, stdin="")
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_in_a_terminal_it_asks(model: Path, recommender: Recommender) -> None:
    """A word that is no answer is asked for again; then the list follows."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "firstday", "onboarding", str(model), "--questions", "2", "-k", "4"]
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
    questionnaire, answers = Questionnaire.of(recommender.model), Answers()
    for word in ("yes", "no"):
        question = questionnaire.next_question(answers)
        assert question is not None
        answers = answers.add(question.target, word)
    for item in recommend_by_answers(recommender.model, questionnaire, answers, 4).items:
        assert item.item_id in shown.decode()
