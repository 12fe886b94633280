"""The onboarding questionnaire: the next question, and a list based on the answers."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query

from firstday.data.events import ITEM
from firstday.features.signals import PICK_SIGNAL, Signals
from firstday.recommend.questionnaire import Answers, find_unlisted, recommend_after_questions
from firstday.serve.models import ServedModel
from firstday.serve.schemas import OnboardingAnswer, OnboardingParameters
from firstday.serve.service import ServiceDep

router = APIRouter(prefix="/v1", tags=["model"])


@router.get("/onboarding", response_model=OnboardingAnswer, summary="Get the next onboarding question")
async def next_question(service: ServiceDep, parameters: Annotated[OnboardingParameters, Query()]) -> dict[str, Any]:
    """Return the question that tells most about the newcomer's segment, given the answers so far.

    Questions are about the most used items, or about members of another `entity`, such as artists. With `k`, the
    response includes a list based on warm users who fit the yes and no answers; a strategy's list uses yes answers
    only. With `user_id`, items that the user used or banned are excluded from the list and the questions. To store a
    yes answer, add it to the user's picks or send an event with the signal onboarding. If the store does not respond,
    only the answers in the request count, and `signals_from` says so.
    """
    served = service.holder.current
    entity = parameters.entity
    recommender = served.recommender
    catalogue = recommender.catalogue
    questionnaire = await asyncio.to_thread(served.views.questionnaire_of, entity)
    signals = Signals()
    source = "request"
    if parameters.user_id is not None:
        signals, source = await service.lists.read_signals(parameters.user_id)
    answers, ignored = _collect(served, parameters, signals)
    model = served.trained
    batch, _ = model.read_signals([signals])
    excluded = batch.excluded_items(model.config.signals, model.members_of_items).columns.tolist()
    question = questionnaire.next_question(answers, [*excluded, *find_unlisted(recommender)] if entity == ITEM else ())
    values: dict[str, Any] = {
        "model": served.version,
        "signals_from": source,
        "answered": len(answers),
        "ignored": ignored,
        "question": None,
        "likely_segments": np.argsort(-questionnaire.believe(answers), kind="stable")[:3],
    }
    if question is not None:
        identity = catalogue.ids_of(entity)[question.target]
        name = catalogue.name_of(entity, question.target)
        about = {"entity": entity, "entity_id": identity, "name": name, "gain_bits": question.gain_bits}
        is_item = entity == ITEM
        values["question"] = {**about, "item_id": identity if is_item else None, "title": name if is_item else None}
    if parameters.k is not None:
        answer = await asyncio.to_thread(
            recommend_after_questions, recommender, questionnaire, answers, parameters.k, excluded=excluded
        )
        service.metrics.lists.labels(answer.strategy, answer.route).inc()
        values = {**vars(answer), **values}
    return values


def _collect(served: ServedModel, parameters: OnboardingParameters, signals: Signals) -> tuple[Answers, list[str]]:
    """Merge the request's answers with stored picks; return the answers and a sentence for each ignored one."""
    entity = parameters.entity
    ids = served.trained.catalogue.ids_of(entity)
    picks = [
        str(action.entity_id)
        for action in signals.interactions
        if action.signal == PICK_SIGNAL and action.entity == entity
    ]
    answers = dict.fromkeys([*parameters.liked, *picks]), dict.fromkeys(parameters.passed)
    ignored = [f"{entity} {name!r} is unknown" for names in answers for name in names if ids.index_of(name) < 0]
    yes, no = ({ids.index_of(name) for name in names} - {-1} for names in answers)
    ignored += [f"{entity} {str(ids[ix])!r} is answered with yes and no; yes counts" for ix in sorted(yes & no)]
    return Answers(tuple(sorted(yes)), tuple(sorted(no - yes))), ignored
