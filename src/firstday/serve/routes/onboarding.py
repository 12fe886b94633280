"""The questionnaire: what to ask a newcomer next, and a list by their answers."""

from __future__ import annotations

import asyncio
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Request

from firstday.data.events import ITEM
from firstday.features.signals import Signals
from firstday.recommend.answered import PICK_SIGNAL, recommend_answered, recommend_from_yeses
from firstday.recommend.questionnaire import Answers
from firstday.recommend.recommender import Recommendation
from firstday.serve.model_holder import ServedModel
from firstday.serve.schemas import Item, OnboardingAnswer, OnboardingParameters, QuestionAnswer, Source
from firstday.serve.service import Service, service_of

router = APIRouter(prefix="/v1", tags=["model"])

_PICK = (PICK_SIGNAL, ITEM)


@router.get("/onboarding", summary="Ask the next question of the questionnaire")
async def next_question(request: Request, wanted: Annotated[OnboardingParameters, Query()]) -> OnboardingAnswer:
    """Return the item whose answer would tell most about the newcomer's segment, given the answers so far.

    It is asked of the most used items. With `k` there is also a list of what those use who would have answered alike,
    in which noes count as well: a strategy's list knows of yeses alone. What a named user used or banned is neither in
    it nor asked about. Keep a yes by putting it among the user's picks, or as an event with the signal onboarding.
    Where the store does not answer, only the answers in the request count, and `signals_from` says so.
    """
    service = service_of(request)
    served = service.holder.current
    signals, source = await _read(service, wanted.user_id)
    answers, ignored = _collect(served, wanted, signals)
    batch, _ = served.trained.catalogue.read([signals])
    closed = batch.closed_items(served.trained.config.signals).columns.tolist()
    question = served.questions.next_item(answers.yes, answers.no, closed)
    likely = np.argsort(-served.questions.believe(answers.yes, answers.no), kind="stable")[:3]
    found = None
    if wanted.k is not None:
        found = await asyncio.to_thread(_recommend, served, answers, closed, wanted.k)
        service.metrics.answered(found.strategy, found.route)
    return OnboardingAnswer(
        model=served.version,
        signals_from=source,
        answered=len(answers),
        ignored=ignored,
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


async def _read(service: Service, user_id: str | None) -> tuple[Signals, Source]:
    """Return what the store knows of a user; nothing where none is named."""
    if user_id is None:
        return Signals(), "request"
    (signals,), source = await service.batcher.read_signals([user_id])
    return signals, source


def _collect(served: ServedModel, wanted: OnboardingParameters, signals: Signals) -> tuple[Answers, list[str]]:
    """Return the answers in the request and the stored picks, and a sentence for each that does not count."""
    items, ignored = served.trained.catalogue.items, []
    found: list[set[int]] = []
    picked = [str(identity) for signal, entity, identity in signals.interactions if (signal, entity) == _PICK]
    for told in ([*wanted.liked, *picked], wanted.passed):
        indexes = {identity: items.index_of(identity) for identity in told}
        ignored += [f"item {identity!r} is unknown" for identity, index in indexes.items() if index < 0]
        found.append(set(indexes.values()) - {-1})
    yes, no = found
    ignored += [f"item {str(items[index])!r} is answered with yes and no; yes counts" for index in sorted(yes & no)]
    return Answers(tuple(sorted(yes)), tuple(sorted(no - yes))), ignored


def _recommend(served: ServedModel, answers: Answers, closed: list[int], k: int) -> Recommendation:
    """Return a list by all answers, without what was used or banned before.

    Where the model keeps no warm users, it is made from the yeses by the model's own strategy.
    """
    if served.questionnaire is None:
        return recommend_from_yeses(served.recommender, ITEM, answers, k, left_out=closed)
    return recommend_answered(served.trained, served.questionnaire, answers, k, closed)
