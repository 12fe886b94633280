"""Lists: for a user in the store, and for signals that come with the request."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter, ValidationError
from starlette.routing import Route

from firstday.serve.explain import explain as explain_list
from firstday.serve.http_errors import ApiError
from firstday.serve.middleware import need_json, parse_parameters
from firstday.serve.routes.users import UserIdPath
from firstday.serve.schemas import ListAnswer, ListParameters, NoQuery, RecommendBody, UserIdText
from firstday.serve.service import Ask, Reply, json_response, service_of
from firstday.serve.store.base import StoredUser

MAX_IGNORED = 20
"""Sentences on what the model does not understand, at most."""
PATH = "/users/{user_id}/recommendations"

router = APIRouter(prefix="/v1", tags=["lists"])


@router.get(PATH, response_model=ListAnswer, summary="Recommend to a user")
async def recommend_to_user(
    request: Request,
    user_id: UserIdPath,
    parameters: Annotated[ListParameters, Query()],
) -> Response:
    """Return a list from all that is known of the user, who need not be known at all.

    Where the store does not answer, the list rests on nothing of the user, and `signals_from` says so. With `record` it
    is kept that the user is shown the list; where it could not be kept, there is the list without a `list_id`.
    """
    if parameters.record:
        _allow_record(request)
    service = service_of(request)
    may_keep = service.enrolment is not None and service.keys.opens(request, "write")
    ask = Ask(
        user_id,
        None,
        parameters.k,
        parameters.strategy,
        parameters.keep_used,
        parameters.record,
        enrol=may_keep and not _is_of_another_site(request),
    )
    reply = await service.batcher.ask(ask)
    if reply.variant is not None:
        request.scope["firstday.variant"] = f"{reply.experiment}/{reply.variant}"
    return json_response(_write(reply, user_id, explain=parameters.explain))


def _allow_record(request: Request) -> None:
    """Refuse to record without the right to write, or for another web page, which a browser would let ask.

    Raises
    ------
    ApiError
        401 or 403.
    """
    service_of(request).keys.check(request, "write")
    if _is_of_another_site(request):
        raise ApiError(403, "forbidden", "A page of another site may not record lists; ask from a server of yours.")


def _is_of_another_site(request: Request) -> bool:
    """Tell whether a browser asks for a page that is not the service's own."""
    return request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin")


_validate_user_id = TypeAdapter(UserIdText).validate_python


async def _recommend_quickly(request: Request) -> Response:
    """Answer as `recommend_to_user` does, with the same checks and types, each in one call."""
    request.scope["route"] = quick_route
    service_of(request).keys.check(request, "read")
    values = parse_parameters(request)
    place: tuple[str, ...] = ("path", "user_id")
    try:
        user_id = _validate_user_id(request.path_params["user_id"])
        place = ("query",)
        parameters = ListParameters.model_validate(values)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        raise RequestValidationError([{**fault, "loc": (*place, *fault["loc"])} for fault in faults]) from None
    return await recommend_to_user(request, user_id, parameters)


quick_route = Route(f"/v1{PATH}", _recommend_quickly, methods=["GET"])
"""Answers what the service is asked for most, past FastAPI's own steps, in place of the router's endpoint of that path,
which describes it in the OpenAPI document; docs/operations.md has what that saves."""


@router.post(
    "/recommendations",
    response_model=ListAnswer,
    summary="Recommend to someone described in the request",
    dependencies=[Depends(need_json)],
)
async def recommend_to_signals(request: Request, body: RecommendBody, _query: NoQuery) -> Response:
    """Return a list from the signals in the body; nothing is read from the store or kept."""
    ask = Ask(None, StoredUser(body.signals.to_profile()).to_signals(), body.k, body.strategy, body.keep_used)
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
        "score_scale": reply.score_scale,
        "n_ranked": reply.n_ranked,
        "items": [
            {"item_id": ids[item], "title": titles[item], "score": score}
            for item, score in zip(reply.items, reply.scores, strict=True)
        ],
        "ignored": ignored,
        "notes": list(reply.notes),
        "list_id": reply.list_id,
        "not_recorded": reply.not_recorded,
        "experiment": reply.experiment,
        "variant": reply.variant,
    }
    if explain:
        values["explanation"] = explain_list(reply)
    return values
