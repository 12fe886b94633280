"""The questionnaire: what to ask a newcomer next, and a list by their answers."""

from __future__ import annotations

import asyncio
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Request

from firstday.data.events import ITEM
from firstday.recommend.answered import PICK_SIGNAL, recommend_answered, recommend_from_yeses
from firstday.recommend.questionnaire import Answers
from firstday.recommend.recommender import Recommendation
from firstday.serve.access import guarded
from firstday.serve.answers import Item, OnboardingAnswer, QuestionAnswer, Source
from firstday.serve.model_holder import ServedModel
from firstday.serve.openapi import ERRORS
from firstday.serve.parameters import OnboardingParameters
from firstday.serve.service import Service, service_of

router = APIRouter(prefix="/v1", route_class=guarded("read"), tags=["model"], responses=ERRORS)

_PICK = (PICK_SIGNAL, ITEM)


@router.get("/onboarding", summary="Ask the next question of the questionnaire")
async def next_question(request: Request, wanted: Annotated[OnboardingParameters, Query()]) -> OnboardingAnswer:
    """Return the item whose answer would tell most about the newcomer's segment, given the answers so far.

    It is asked of the most used items. With `k` there is also a list of what those use who would have answered alike,
    in which noes count as well: a strategy's list knows of yeses alone. Keep a yes by putting it among the user's
    picks, or as an event with the signal onboarding. Where the store does not answer, only the answers in the request
    count, and `signals_from` says so.
    """
    service = service_of(request)
    served = service.holder.current
    answers, source = await _collect(service, served, wanted)
    question = served.questions.next_item(answers.yes, answers.no)
    likely = np.argsort(-served.questions.believe(answers.yes, answers.no), kind="stable")[:3]
    found = None if wanted.k is None else await asyncio.to_thread(_recommend, served, answers, wanted.k)
    return OnboardingAnswer(
        model=served.version,
        signals_from=source,
        answered=len(answers),
        question=None
        if question is None
        else QuestionAnswer(
            item_id=served.item_ids[question.item],
            title=served.titles[question.item],
            gain_bits=question.gain_bits,
        ),
        likely_segments=likely.tolist(),
        route=None if found is None else found.route,
        items=None if found is None else [Item(**vars(item)) for item in found.items],
    )


async def _collect(service: Service, served: ServedModel, wanted: OnboardingParameters) -> tuple[Answers, Source]:
    """Return the answers in the request and the user's stored picks; a yes counts before a no."""
    items = served.trained.catalogue.items
    liked: list[str] = list(wanted.liked)
    source: Source = "request"
    if wanted.user_id is not None:
        (signals,), source = await service.batcher.read_signals([wanted.user_id])
        liked += [identity for signal, entity, identity in signals.interactions if (signal, entity) == _PICK]
    yes = {items.index_of(identity) for identity in liked} - {-1}
    no = {items.index_of(identity) for identity in wanted.passed} - {-1} - yes
    return Answers(tuple(sorted(yes)), tuple(sorted(no))), source


def _recommend(served: ServedModel, answers: Answers, k: int) -> Recommendation:
    """Return a list by all answers; where the model keeps no warm users, one from the yeses by its own strategy."""
    if served.questionnaire is None:
        return recommend_from_yeses(served.recommender, ITEM, answers, k)
    return recommend_answered(served.trained, served.questionnaire, answers, k)
