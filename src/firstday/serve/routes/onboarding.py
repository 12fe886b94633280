"""The questionnaire: what to ask a newcomer next, and a list by their answers."""

from __future__ import annotations

import asyncio
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Request

from firstday.data.events import ITEM
from firstday.features.signals import PICK_SIGNAL, Signals
from firstday.recommend.questionnaire import Answers, recommend_after_questions
from firstday.serve.models import ServedModel
from firstday.serve.schemas import Item, OnboardingAnswer, OnboardingParameters, QuestionAnswer, Source
from firstday.serve.service import Service, service_of

router = APIRouter(prefix="/v1", tags=["model"])


@router.get("/onboarding", summary="Ask the next question of the questionnaire")
async def next_question(request: Request, parameters: Annotated[OnboardingParameters, Query()]) -> OnboardingAnswer:
    """Return the item whose answer would tell most about the newcomer's segment, given the answers so far.

    It is asked of the most used items, or of the members of another `entity`, such as artists, by their names. With `k`
    there is also a list of what those use who would have answered alike, in which noes count as well: a strategy's list
    knows of yeses alone. What a named user used or banned is neither in it nor asked about. Keep a yes by putting it
    among the user's picks, or as an event with the signal onboarding. Where the store does not answer, only the
    answers in the request count, and `signals_from` says so.
    """
    service = service_of(request)
    served = service.holder.current
    entity, catalogue = parameters.entity, served.trained.catalogue
    questionnaire = await asyncio.to_thread(served.questionnaire_of, entity)
    signals, source = await _read(service, parameters.user_id)
    answers, ignored = _collect(served, parameters, signals)
    batch, _ = served.trained.read_signals([signals])
    excluded = batch.closed_items(served.trained.config.signals).columns.tolist()
    question = questionnaire.next_question(answers, excluded if entity == ITEM else ())
    likely = np.argsort(-questionnaire.believe(answers), kind="stable")[:3]
    answer = None
    if parameters.k is not None:
        answer = await asyncio.to_thread(
            recommend_after_questions,
            served.recommender,
            questionnaire,
            answers,
            parameters.k,
            excluded=excluded,
        )
        service.metrics.lists.labels(answer.strategy, answer.route).inc()
    return OnboardingAnswer(
        model=served.version,
        signals_from=source,
        answered=len(answers),
        ignored=ignored,
        question=None
        if question is None
        else QuestionAnswer(
            entity=entity,
            entity_id=catalogue.ids_of(entity)[question.target],
            name=catalogue.name_of(entity, question.target),
            item_id=served.item_ids[question.target] if entity == ITEM else None,
            title=served.titles[question.target] if entity == ITEM else None,
            gain_bits=question.gain_bits,
        ),
        likely_segments=likely.tolist(),
        route=None if answer is None else answer.route,
        score_scale=None if answer is None else answer.score_scale,
        n_ranked=None if answer is None else answer.n_ranked,
        items=None if answer is None else [Item(**vars(item)) for item in answer.items],
    )


async def _read(service: Service, user_id: str | None) -> tuple[Signals, Source]:
    """Return what the store knows of a user; nothing where none is named."""
    if user_id is None:
        return Signals(), "request"
    return await service.lists.read_signals(user_id)


def _collect(served: ServedModel, parameters: OnboardingParameters, signals: Signals) -> tuple[Answers, list[str]]:
    """Return the answers in the request and the stored picks, and a sentence for each that does not count."""
    entity = parameters.entity
    ids_of_entity, ignored = served.trained.catalogue.ids_of(entity), []
    known: list[set[int]] = []
    picks = [str(identity) for signal, of, identity in signals.interactions if (signal, of) == (PICK_SIGNAL, entity)]
    for ids in ([*parameters.liked, *picks], parameters.passed):
        indexes = {identity: ids_of_entity.index_of(identity) for identity in ids}
        ignored += [f"{entity} {identity!r} is unknown" for identity, index in indexes.items() if index < 0]
        known.append(set(indexes.values()) - {-1})
    yes, no = known
    both = [str(ids_of_entity[index]) for index in sorted(yes & no)]
    ignored += [f"{entity} {identity!r} is answered with yes and no; yes counts" for identity in both]
    return Answers(tuple(sorted(yes)), tuple(sorted(no - yes))), ignored
