"""firstday onboarding: ask a newcomer the most informative questions, then recommend."""

from __future__ import annotations

import sys
from dataclasses import astuple
from typing import Annotated, Any

import typer

from firstday.cli.options import JsonFlag, KOption, ModelArgument, print_json
from firstday.cli.recommend import print_answer
from firstday.data.events import ITEM
from firstday.errors import DataError
from firstday.model.trained_model import TrainedModel
from firstday.recommend.questionnaire import (
    ROUTE,
    Answers,
    Question,
    Questionnaire,
    recommend_after_questions,
    signals_of,
)
from firstday.recommend.recommender import open_model
from firstday.recommend.registry import find_strategy

MAX_PLAN_DEPTH = 3
"""Maximum number of successive questions in a plan, whose size doubles with each."""
ANSWER_WORDS = {"y": "yes", "yes": "yes", "n": "no", "no": "no", "s": "skip", "skip": "skip"}


def onboarding(
    model: ModelArgument,
    questions: Annotated[int, typer.Option(min=1, max=100, help="Maximum number of questions.")] = 5,
    entity: Annotated[str, typer.Option(help="What the questions are about: item, or an entity of the model.")] = ITEM,
    answers: Annotated[
        str | None, typer.Option(help='Answers so far, as "ID=yes,ID=no,ID=skip"; disables prompts.')
    ] = None,
    k: KOption = None,
    strategy: Annotated[
        str | None,
        typer.Option(
            help=f"Strategy of the list: {ROUTE} (the default if the model stores warm users) uses yes and no answers; "
            "any other treats yes answers as used on day one."
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Ask a newcomer the most informative questions, given the answers so far, then recommend.

    On a terminal, it prompts for answers. With --answers, it prints the list and the next question. Otherwise, it
    prints a plan: the next question after a yes and after a no.

    Example: firstday onboarding model --questions 5

    Example: firstday onboarding model --answers "50=yes,174=no" --json
    """
    if strategy is not None and strategy != ROUTE:
        find_strategy(strategy)
    recommender = open_model(model)
    questionnaire = Questionnaire.of(recommender.model, entity)
    if answers is None and not as_json and sys.stdin.isatty():
        replies = _ask(recommender.model, questionnaire, questions)
        print_answer(recommend_after_questions(recommender, questionnaire, replies, k, strategy))
    elif answers is None:
        plan = _plan(recommender.model, questionnaire, Answers(), min(questions, MAX_PLAN_DEPTH))
        if as_json:
            print_json({"entity": entity, "plan": plan})
        else:
            _print_plan(plan)
    else:
        replies = read_answers(recommender.model, entity, answers)
        answer = recommend_after_questions(recommender, questionnaire, replies, k, strategy)
        question = questionnaire.next_question(replies) if len(replies) < questions else None
        next_json = None if question is None else _describe(recommender.model, questionnaire, question)
        if as_json:
            signals = [astuple(action) for action in signals_of(recommender.model, entity, replies).interactions]
            content = {"entity": entity, "answered": len(replies), "next": next_json, "interactions": signals}
            print_json({**content, "list": answer.to_json()})
            return
        if next_json is not None:
            typer.echo(f"next question: {_name(next_json)}")
        print_answer(answer)


def read_answers(model: TrainedModel, entity: str, text: str) -> Answers:
    """Parse answers such as ``ID=yes,ID=no,ID=skip``."""
    ids = model.catalogue.ids_of(entity)
    answers = Answers()
    for part in (part.strip() for part in text.split(",") if part.strip()):
        identity, _, word = part.rpartition("=")
        if not identity or word.lower() not in ANSWER_WORDS:
            raise DataError(f"answers: {part!r} is not an answer; give ID=yes, ID=no or ID=skip, separated by commas.")
        target = ids.index_of(identity)
        if target < 0 or target in answers.targets:
            raise DataError(f"answers: {entity} {identity!r} is unknown to the model or repeated; give known ids once.")
        answers = answers.add(target, ANSWER_WORDS[word.lower()])
    return answers


def _ask(model: TrainedModel, questionnaire: Questionnaire, questions: int) -> Answers:
    """Ask questions on the terminal; return the answers."""
    typer.echo("Do you like it? y = yes, n = no or do not know it, s = skip.")
    answers = Answers()
    for number in range(1, questions + 1):
        question = questionnaire.next_question(answers)
        if question is None:
            break
        name = _name(_describe(model, questionnaire, question))
        word = None
        while word is None:
            word = ANSWER_WORDS.get(typer.prompt(f"{number}. {name} [y/n/s]", prompt_suffix=" ").strip().lower())
        answers = answers.add(question.target, word)
    return answers


def _describe(model: TrainedModel, questionnaire: Questionnaire, question: Question) -> dict[str, Any]:
    """Return a question as JSON values."""
    entity = questionnaire.entity
    target = question.target
    return {
        "id": model.catalogue.ids_of(entity)[target],
        "title": model.catalogue.name_of(entity, target),
        "gain_bits": round(question.gain_bits, 4),
        "likely_yes": round(question.likely_yes, 4),
    }


def _plan(model: TrainedModel, questionnaire: Questionnaire, answers: Answers, depth: int) -> dict[str, Any] | None:
    """Return the next question with the plans after yes and after no, `depth` questions deep; None if there is none."""
    question = questionnaire.next_question(answers) if depth else None
    if question is None:
        return None
    plans = {word: _plan(model, questionnaire, answers.add(question.target, word), depth - 1) for word in ("yes", "no")}
    return {**_describe(model, questionnaire, question), **plans}


def _name(question: dict[str, Any]) -> str:
    """Return the title or name, if any, and the id of the subject of a question."""
    return f"{question['title']} ({question['id']})" if question["title"] else str(question["id"])


def _print_plan(plan: dict[str, Any] | None, prefix: str = "", depth: int = 0) -> None:
    """Print a plan with one question per line; later questions are indented."""
    if plan is None:
        return
    typer.echo(f"{'   ' * depth}{prefix}{_name(plan)} (yes: {100 * plan['likely_yes']:.0f} %)")
    for word in ("yes", "no"):
        _print_plan(plan[word], f"{word}: ", depth + 1)
