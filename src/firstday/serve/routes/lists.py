"""Recommendations for a stored user, or for signals in the request."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import TypeAdapter
from starlette.routing import Route

from firstday.serve.batching import Ask
from firstday.serve.explain import explain as explain_list
from firstday.serve.http_errors import ApiError
from firstday.serve.middleware import need_json, parse_parameters, validated
from firstday.serve.routes.users import UserIdPath
from firstday.serve.schemas import ListAnswer, ListParameters, NoQuery, RecommendBody, UserIdText, json_response
from firstday.serve.service import Service, ServiceDep, service_of
from firstday.serve.store.base import StoredUser

MAX_IGNORED = 20
"""Maximum sentences in `ignored`."""
PATH = "/users/{user_id}/recommendations"

router = APIRouter(prefix="/v1", tags=["lists"])


@router.get(PATH, response_model=ListAnswer, summary="Recommend to a user")
async def recommend_to_user(
    service: ServiceDep,
    request: Request,
    user_id: UserIdPath,
    parameters: Annotated[ListParameters, Query()],
) -> Response:
    """Return a list based on everything known about the user. Unknown users get a list, too.

    If the store does not respond, the list uses no user data, and `signals_from` says so. With `record`, the list is
    recorded as shown to the user. If recording fails, the list has no `list_id`.
    """
    # Whether a browser sends the request on behalf of another site.
    is_foreign = request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
    if parameters.record:
        service.keys.check(request, "write")
        if is_foreign:
            raise ApiError(403, "forbidden", "A page of another site may not record lists; ask from a server of yours.")
    enrol = service.enrolment is not None and service.keys.opens(request, "write") and not is_foreign
    return await _answer(
        service,
        request,
        Ask(user_id, None, parameters.k, parameters.strategy, parameters.keep_used, parameters.record, enrol),
        explain=parameters.explain,
    )


_USER_ID, _PARAMETERS = TypeAdapter(UserIdText), TypeAdapter(ListParameters)


async def _recommend_quickly(request: Request) -> Response:
    """Do the same as `recommend_to_user`, with the same validation but without FastAPI's overhead."""
    request.scope["route"] = quick_route
    service = await service_of(request)
    service.keys.check(request, "read")
    values = await parse_parameters(request)
    user_id = validated(_USER_ID, request.path_params["user_id"], "path", "user_id")
    return await recommend_to_user(service, request, user_id, validated(_PARAMETERS, values, "query"))


quick_route = Route(f"/v1{PATH}", _recommend_quickly)
quick_route.methods = {"GET"}
"""Serves the most frequent request without FastAPI's overhead, in place of the router's endpoint, which remains for the
OpenAPI document. docs/operations.md has the gain."""


@router.post(
    "/recommendations",
    response_model=ListAnswer,
    summary="Recommend to a user described in the request",
    dependencies=[Depends(need_json)],
)
async def recommend_to_signals(service: ServiceDep, request: Request, body: RecommendBody, _query: NoQuery) -> Response:
    """Return a list based on the signals in the body. The store is neither read nor written."""
    signals = StoredUser(body.signals.to_profile()).to_signals()
    return await _answer(
        service, request, Ask(None, signals, body.k, body.strategy, body.keep_used), explain=body.explain
    )


async def _answer(service: Service, request: Request, ask: Ask, *, explain: bool) -> Response:
    """Make a list and return it as a `ListAnswer`."""
    reply = await service.lists.make(ask)
    experiment = None
    if service.enrolment is not None and ask.variant is not None:
        experiment = service.enrolment.experiment.name
        request.scope["firstday.logged"] = {"variant": f"{experiment}/{ask.variant.name}"}
    served, segment, ignored = reply.model, reply.segment, list(reply.ignored)
    ids, titles = served.item_ids, served.titles
    if len(ignored) > MAX_IGNORED:
        ignored[MAX_IGNORED:] = [f"and {len(ignored) - MAX_IGNORED:,} more"]
    return json_response(
        {
            "model": served.version,
            "user_id": ask.user_id,
            "strategy": reply.strategy,
            "route": reply.route,
            "signals_from": ask.source,
            "segment": segment,
            "segment_size": None if segment is None else int(served.trained.segments.items.sizes[segment]),
            "score_scale": reply.score_scale,
            "n_ranked": reply.n_ranked,
            "items": [
                {"item_id": ids[item], "title": titles[item], "score": score}
                for item, score in zip(reply.items, reply.scores, strict=True)
            ],
            "ignored": ignored,
            "notes": reply.notes,
            "list_id": reply.list_id,
            "not_recorded": reply.not_recorded,
            "experiment": experiment,
            "variant": ask.variant and ask.variant.name,
            **({"explanation": explain_list(reply)} if explain else {}),
        }
    )
