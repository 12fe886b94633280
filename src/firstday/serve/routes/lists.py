"""Recommendations for a stored user, or for signals in the request."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.routing import Route

from firstday.recommend.recommendation import Recommendation
from firstday.serve.batching import ListRequest
from firstday.serve.explain import explain as explain_list
from firstday.serve.http_errors import ApiError
from firstday.serve.middleware import need_json
from firstday.serve.routes.users import UserIdPath
from firstday.serve.schemas import (
    REPEATED,
    ListAnswer,
    ListParameters,
    PageAnswer,
    RecommendBody,
    UserIdText,
    UserListBody,
    json_response,
)
from firstday.serve.service import Service, ServiceDep, service_of
from firstday.serve.store.base import StoredUser

MAX_IGNORED = 20
"""Maximum sentences in `ignored`."""
PATH = "/users/{user_id}/recommendations"
JSON = [Depends(need_json)]

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
    asked = ListRequest(user_id, parameters, parameters.rules(), (), parameters.after, parameters.record)
    return await _recommend(service, request, asked)


async def _recommend(service: Service, request: Request, asked: ListRequest) -> Response:
    """Answer for a stored user; check the rights to record and to enrol."""
    # Whether a browser sends the request on behalf of another site.
    is_foreign = request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
    if asked.record:
        service.keys.check(request, "write")
        if is_foreign:
            raise ApiError(
                403, "forbidden", "Pages of other sites may not record lists; send the request from your own server."
            )
    asked.enrol = service.enrolment is not None and service.keys.opens(request, "write") and not is_foreign
    return await _answer(service, asked)


class _QuickParameters(ListParameters):
    user_id: UserIdText


async def _recommend_quickly(request: Request) -> Response:
    """Do the same as `recommend_to_user`, with the same validation but without FastAPI's overhead."""
    request.scope["route"] = quick_route
    service = await service_of(request)
    service.keys.check(request, "read")
    try:
        given = request.query_params
        values = {name: given.getlist(name) if name in REPEATED else given[name] for name in given}
        parameters = _QuickParameters.model_validate({**values, **request.path_params})
    except ValidationError as error:
        faults = error.errors(include_url=False)
        raise RequestValidationError([{**fault, "loc": ("query", *fault["loc"])} for fault in faults]) from None
    return await recommend_to_user(service, request, parameters.user_id, parameters)


quick_route = Route(f"/v1{PATH}", _recommend_quickly)
quick_route.methods = {"GET"}
"""Serves the most frequent request without FastAPI's overhead, in place of the router's endpoint, which remains for the
OpenAPI document."""


@router.post(PATH, response_model=ListAnswer | PageAnswer, summary="Recommend to a user under rules", dependencies=JSON)
async def recommend_under_rules(
    service: ServiceDep, request: Request, user_id: UserIdPath, body: UserListBody
) -> Response:
    """Do the same as `GET`, with rules of up to 100,000 ids, or several rows without repeats."""
    asked = ListRequest(user_id, body, body.rules, body.rows, body.after, body.record)
    return await _recommend(service, request, asked)


@router.post(
    "/recommendations",
    response_model=ListAnswer | PageAnswer,
    summary="Recommend to a user described in the request",
    dependencies=JSON,
)
async def recommend_to_signals(service: ServiceDep, body: RecommendBody) -> Response:
    """Return a list based on the signals in the body. The store is neither read nor written."""
    signals = StoredUser(body.signals.to_profile()).to_signals()
    return await _answer(service, ListRequest("", body, body.rules, body.rows, signals=signals))


async def _answer(service: Service, asked: ListRequest) -> Response:
    """Make and count lists; return them as a `ListAnswer`, or a `PageAnswer` if there are rows."""
    await service.lists.make(asked)
    list_ids = asked.list_ids or [None] * len(asked.recommendations)
    lists = [
        _as_json(service, asked, listed, list_id)
        for listed, list_id in zip(asked.recommendations, list_ids, strict=True)
    ]
    if not asked.rows:
        return json_response(lists[0])
    return json_response({"rows": [{"name": row.name, **one} for row, one in zip(asked.rows, lists, strict=True)]})


def _as_json(service: Service, asked: ListRequest, listed: Recommendation, list_id: str | None) -> dict[str, Any]:
    """Count a list; return it as a `ListAnswer`."""
    variant = asked.variant and asked.variant.name
    experiment = service.enrolment.experiment.name if service.enrolment and variant else None
    service.metrics.lists.labels(listed.strategy, listed.route).inc()
    if experiment:
        service.metrics.of_variants.labels(experiment, variant, listed.route).inc()
    return {
        "model": asked.model.version,
        "user_id": asked.user_id or None,
        "strategy": listed.strategy,
        "route": listed.route,
        "signals_from": asked.source,
        "segment": listed.segment,
        "segment_size": listed.segment_size,
        "score_scale": listed.score_scale,
        "n_ranked": listed.n_ranked,
        "items": [{"item_id": one.item_id, "title": one.title, "score": one.score} for one in listed],
        "ignored": listed.ignored[:MAX_IGNORED],
        "notes": listed.notes,
        "list_id": list_id,
        "not_recorded": asked.not_recorded,
        "experiment": experiment,
        "variant": variant,
        **({"explanation": explain_list(asked, listed)} if asked.options.explain else {}),
    }
