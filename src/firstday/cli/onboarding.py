"""firstday onboarding: ask a newcomer what tells most, then recommend by the answers."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer
from rich.console import Console

from firstday.artifact.trained_model import TrainedModel
from firstday.cli.options import JsonFlag, KOption, ModelArgument
from firstday.cli.recommend import print_answer
from firstday.data.events import ITEM
from firstday.errors import DataError
from firstday.recommend.answered import ROUTE, ids_of, recommend_answered, recommend_from_yeses, signals_of
from firstday.recommend.questionnaire import Answers, Choice, Questionnaire
from firstday.recommend.recommender import Recommendation, Recommender, open_model
from firstday.recommend.registry import find_strategy

MOST_PLANNED = 3
"""Questions in a row that a plan shows, at most: it doubles with each."""
WORDS = {"y": "yes", "yes": "yes", "n": "no", "no": "no", "s": "skip", "skip": "skip"}


def onboarding(
    model: ModelArgument,
    questions: Annotated[int, typer.Option(min=1, max=100, help="How many to ask, at most.")] = 5,
    entity: Annotated[str, typer.Option(help="What to ask about: item, or an entity of the model.")] = ITEM,
    answers: Annotated[
        str | None, typer.Option(help='Answers given already, "ID=yes,ID=no,ID=skip"; then nothing is asked here.')
    ] = None,
    k: KOption = None,
    strategy: Annotated[
        str | None,
        typer.Option(
            help=f"How to make the list: {ROUTE} (the default) counts yes and no; any other strategy takes what was "
            "answered with yes as used on day one."
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Ask a newcomer what tells most about their taste, each question chosen by the answers before, then recommend.

    In a terminal it asks. With --answers it prints the list and the next question; else it prints a plan, the next
    question for yes and for no.

    Example: firstday onboarding model --questions 5

    Example: firstday onboarding model --answers "50=yes,174=no" --json
    """
    if strategy is not None and strategy != ROUTE:
        find_strategy(strategy)
    recommender = open_model(model)
    asked = Questionnaire.of(recommender.model, entity)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    if answers is None and not as_json and sys.stdin.isatty():
        given = _ask(recommender.model, asked, questions, console)
        print_answer(_recommend(recommender, asked, given, k, strategy), Console())
    elif answers is None:
        plan = _plan(recommender.model, asked, Answers(), min(questions, MOST_PLANNED))
        if as_json:
            typer.echo(json.dumps({"entity": entity, "plan": plan}, ensure_ascii=False, indent=1))
        else:
            _print_plan(plan, console)
    else:
        given = read_answers(recommender.model, entity, answers)
        answer = _recommend(recommender, asked, given, k, strategy)
        following = asked.next_question(given) if len(given) < questions else None
        told = None if following is None else _describe(recommender.model, asked, following)
        if as_json:
            signals = [list(triple) for triple in signals_of(recommender.model, entity, given).interactions]
            content = {"entity": entity, "answered": len(given), "next": told, "interactions": signals}
            typer.echo(json.dumps({**content, "list": answer.to_json()}, ensure_ascii=False, indent=1))
            return
        if told is not None:
            console.print(f"next question: {_name(told)}")
        print_answer(answer, Console())


def read_answers(model: TrainedModel, entity: str, text: str) -> Answers:
    """Read ``ID=yes,ID=no,ID=skip``.

    Raises
    ------
    DataError
        An answer of another form, about something unknown, or about the same twice.
    """
    ids, found = ids_of(model, entity), Answers()
    for part in (part.strip() for part in text.split(",") if part.strip()):
        identity, _, word = part.rpartition("=")
        if not identity or word.lower() not in WORDS:
            raise DataError(f"answers: {part!r} is no answer; give ID=yes, ID=no or ID=skip, with commas between.")
        target = ids.index_of(identity)
        if target < 0:
            raise DataError(f"answers: {entity} {identity!r} is unknown to the model; give ids of its training data.")
        if target in found.asked:
            raise DataError(f"answers: {entity} {identity!r} is answered twice; answer each once.")
        found = found.add(target, WORDS[word.lower()])
    return found


def _recommend(
    recommender: Recommender, asked: Questionnaire, given: Answers, k: int | None, strategy: str | None
) -> Recommendation:
    """Make the list by the answers, or by a strategy from the yeses, without what was answered with no."""
    if strategy is None or strategy == ROUTE:
        return recommend_answered(recommender.model, asked, given, k)
    return recommend_from_yeses(recommender, asked.entity, given, k, strategy)


def _ask(model: TrainedModel, asked: Questionnaire, questions: int, console: Console) -> Answers:
    """Ask on the terminal."""
    console.print("Do you like it? y = yes, n = no or do not know it, s = skip.")
    given = Answers()
    for number in range(1, questions + 1):
        choice = asked.next_question(given)
        if choice is None:
            break
        name = _name(_describe(model, asked, choice))
        word = None
        while word is None:
            word = WORDS.get(typer.prompt(f"{number}. {name} [y/n/s]", prompt_suffix=" ").strip().lower())
        given = given.add(choice.target, word)
    return given


def _describe(model: TrainedModel, asked: Questionnaire, choice: Choice) -> dict[str, Any]:
    """Return a question as JSON values."""
    return {
        "id": ids_of(model, asked.entity)[choice.target],
        "title": model.catalogue.title_of(choice.target) if asked.entity == ITEM else "",
        "likely_yes": round(choice.likely_yes, 4),
        "expected_precision": round(choice.precision, 4),
    }


def _plan(model: TrainedModel, asked: Questionnaire, given: Answers, depth: int) -> dict[str, Any] | None:
    """Return the next question and, for yes and for no, what follows, some questions deep."""
    choice = asked.next_question(given) if depth else None
    if choice is None:
        return None
    follows = {word: _plan(model, asked, given.add(choice.target, word), depth - 1) for word in ("yes", "no")}
    return {**_describe(model, asked, choice), **follows}


def _name(question: dict[str, Any]) -> str:
    """Return how a question's item is called."""
    return f"{question['title']} ({question['id']})" if question["title"] else str(question["id"])


def _print_plan(plan: dict[str, Any] | None, console: Console, before: str = "", depth: int = 0) -> None:
    """Print a plan, a question a line, what follows indented."""
    if plan is None:
        return
    console.print(f"{'   ' * depth}{before}{_name(plan)} (yes: {100 * plan['likely_yes']:.0f} %)")
    for word in ("yes", "no"):
        _print_plan(plan[word], console, f"{word}: ", depth + 1)
