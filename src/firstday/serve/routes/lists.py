"""Lists: for a user in the store, and for signals that come with the request."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from firstday.serve.app import ERRORS
from firstday.serve.auth import guarded
from firstday.serve.batching import Ask, Reply
from firstday.serve.explain import explain as explain_list
from firstday.serve.quick import QuickRoute
from firstday.serve.routes.users import UserIdPath
from firstday.serve.schemas import ListAnswer, ListParameters, NoQuery, RecommendBody
from firstday.serve.service import json_response, service_of

MAX_IGNORED = 20
"""Sentences on what the model does not understand, at most."""

quick = APIRouter(prefix="/v1", route_class=QuickRoute, tags=["lists"], responses=ERRORS)
router = APIRouter(prefix="/v1", route_class=guarded("read"), tags=["lists"], responses=ERRORS)


@quick.get("/users/{user_id}/recommendations", response_model=ListAnswer, summary="Recommend to a user")
async def recommend_to_user(
    request: Request,
    user_id: UserIdPath,
    wanted: Annotated[ListParameters, Query()],
) -> Response:
    """Return a list from all that is known of the user, who need not be known at all.

    Where the store does not answer, the list rests on nothing of the user, and `signals_from` says so.
    """
    reply = await service_of(request).batcher.ask(Ask(user_id, None, wanted.k, wanted.strategy, wanted.keep_used))
    return json_response(_write(reply, user_id, explain=wanted.explain))


@router.post("/recommendations", response_model=ListAnswer, summary="Recommend to someone described in the request")
async def recommend_to_signals(request: Request, body: RecommendBody, _query: NoQuery) -> Response:
    """Return a list from the signals in the body; nothing is read from the store or kept."""
    ask = Ask(None, body.signals.to_signals(), body.k, body.strategy, body.keep_used)
    reply = await service_of(request).batcher.ask(ask)
    return json_response(_write(reply, None, explain=body.explain))


def _write(reply: Reply, user_id: str | None, *, explain: bool) -> dict[str, Any]:
    """Return a list as the values of `ListAnswer`."""
    served, segment = reply.model, reply.segment
    ids, titles = served.item_ids, served.titles
    ignored = list(reply.ignored[:MAX_IGNORED])
    if len(reply.ignored) > MAX_IGNORED:
        ignored.append(f"and {len(reply.ignored) - MAX_IGNORED:,} more")
    values: dict[str, Any] = {
        "model": served.version,
        "user_id": user_id,
        "strategy": reply.strategy,
        "route": reply.route,
        "signals_from": reply.source,
        "segment": segment,
        "segment_size": None if segment is None else int(served.trained.segments.items.sizes[segment]),
        "items": [
            {"item_id": ids[item], "title": titles[item], "score": score}
            for item, score in zip(reply.items, reply.scores, strict=True)
        ],
        "ignored": ignored,
    }
    if explain:
        values["explanation"] = explain_list(reply)
    return values
