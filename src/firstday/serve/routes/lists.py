"""Recommendations for a stored user or for signals in the request."""

from __future__ import annotations

from functools import partial
from itertools import zip_longest
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.routing import Route

from firstday.errors import ConfigError
from firstday.features.signals import Signals
from firstday.features.wire_types import IdText
from firstday.recommend.recommendation import Recommendation
from firstday.serve.batching import ListRequest
from firstday.serve.http_errors import ApiError
from firstday.serve.middleware import is_foreign, require_json
from firstday.serve.routes.users import UserIdPath
from firstday.serve.schemas import (
    REPEATED,
    Explanation,
    ListAnswer,
    ListOptions,
    ListParameters,
    PageAnswer,
    RecommendBody,
    SimilarParameters,
    UserIdText,
    UserListBody,
    json_response,
)
from firstday.serve.service import Service, ServiceDep, service_of

MAX_IGNORED_SIGNALS = 20
"""Maximum sentences in `ignored`."""
MAX_COMPARISONS = 200
"""Maximum `ListRequest.n_comparisons`."""
MAX_TOKEN_COMPARISONS = 20
"""The same for a page with a token."""
MAX_TOKEN_ITEMS = 200
"""Maximum length of all lists of a request of such a page. Recorded lists are read with each later one."""
PATH = "/users/{user_id}/recommendations"
JSON = [Depends(require_json)]

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
    list_request = ListRequest(user_id, parameters, parameters.rules(), (), parameters.after, parameters.record)
    return await _recommend(service, request, list_request)


async def _recommend(service: Service, request: Request, list_request: ListRequest) -> Response:
    """Answer for a stored user; check the rights to record and to enrol."""
    list_request.has_token = bool(request.scope["firstday.token_user"])
    if list_request.record:
        if not service.keys.opens(request, "write"):
            raise ApiError(
                403, "forbidden", "record needs a key that is both a read key and a write key of the service."
            )
        if is_foreign(request.scope, request.headers):
            raise ApiError(
                403, "forbidden", "Pages of other sites cannot record lists; send the request from your own server."
            )
    list_request.enrol = (
        service.enrolment is not None
        and service.keys.opens(request, "write")
        and not is_foreign(request.scope, request.headers)
    )
    return await _answer(service, list_request)


class _QuickParameters(ListParameters):
    user_id: UserIdText


async def _recommend_quickly(request: Request) -> Response:
    """Do the same as `recommend_to_user` with the same validation, but without FastAPI's overhead."""
    request.scope["route"] = quick_route
    service = await service_of(request)
    service.keys.check(request, "read")
    try:
        query = request.query_params
        values = {name: query.getlist(name) if name in REPEATED else query[name] for name in query}
        parameters = _QuickParameters.model_validate({**values, **request.path_params})
    except ValidationError as error:
        faults = error.errors(include_url=False)
        raise RequestValidationError([{**fault, "loc": ("query", *fault["loc"])} for fault in faults]) from None
    return await recommend_to_user(service, request, parameters.user_id, parameters)


quick_route = Route(f"/v1{PATH}", _recommend_quickly)
quick_route.methods = {"GET"}
"""Serves the most frequent request in place of the router's endpoint, which only documents it in OpenAPI."""


@router.post(PATH, response_model=ListAnswer | PageAnswer, summary="Recommend to a user under rules", dependencies=JSON)
async def recommend_under_rules(
    service: ServiceDep, request: Request, user_id: UserIdPath, body: UserListBody
) -> Response:
    """Do the same as `GET`, with up to 100,000 ids in rules, and with rows of a page that do not repeat items."""
    list_request = ListRequest(user_id, body, body.rules, body.rows, body.after, body.record)
    return await _recommend(service, request, list_request)


@router.post(
    "/recommendations",
    response_model=ListAnswer | PageAnswer,
    summary="Recommend to a user described in the request",
    dependencies=JSON,
)
async def recommend_to_signals(service: ServiceDep, body: RecommendBody) -> Response:
    """Return a list based on the signals in the body. The store is neither read nor written."""
    signals = Signals.of(dict(body.signals))
    return await _answer(service, ListRequest("", body, body.rules, body.rows, signals=signals))


@router.get("/items/{item_id:path}/similar", response_model=ListAnswer, summary="Recommend what goes with an item")
async def recommend_similar(
    service: ServiceDep,
    item_id: Annotated[IdText, Path(description="Your id of the item.")],
    parameters: Annotated[SimilarParameters, Query()],
) -> Response:
    """Return items used together with an item, most of all on the same day; 404 if it is unknown.

    Popular items follow.
    """
    options = ListOptions(k=parameters.k, keep_used=parameters.keep_used)
    return await _answer(service, ListRequest(parameters.user or "", options, parameters.rules(), item=item_id))


async def _answer(service: Service, list_request: ListRequest) -> Response:
    """Make and count the lists; return a `ListAnswer`, or a `PageAnswer` for rows."""
    _check_price(list_request, service.holder.current.trained.config.recommend.k)
    await service.lists.make(list_request)
    if list_request.not_recorded:
        service.metrics.lists_not_recorded.inc()
    recorded = zip_longest(list_request.recommendations, list_request.list_ids)
    lists = [_as_json(service, list_request, recommendation, list_id) for recommendation, list_id in recorded]
    if list_request.options.explain:
        for one, recommendation in zip(lists, list_request.recommendations, strict=True):
            work = partial(_explain, list_request, recommendation)
            one["explanation"] = await service.lists.run(work, list_request.arrived_s)
    if not list_request.rows:
        return json_response(lists[0])
    return json_response(
        {"rows": [{"name": row.name, **one} for row, one in zip(list_request.rows, lists, strict=True)]}
    )


def _explain(list_request: ListRequest, recommendation: Recommendation) -> dict[str, Any]:
    """Return an `Explanation` as JSON values."""
    explanation = list_request.model.recommender.explain(list_request.signals, recommendation)
    values = {name: value for name, value in vars(explanation).items() if value is not None}
    return Explanation.model_validate(values, from_attributes=True).model_dump(exclude_unset=True)


def _check_price(list_request: ListRequest, default_k: int) -> None:
    """Raise ConfigError for lists that cost too much."""
    n = list_request.n_comparisons
    most = MAX_TOKEN_COMPARISONS if list_request.has_token else MAX_COMPARISONS
    if n > most:
        text = f"need about {n:,} comparisons of all items; give at most {most}, over filters, boosts, caps and rows."
        raise ConfigError(text, where="rules")
    k = list_request.options.k or default_k
    n_items = sum(row.k or k for row in list_request.rows) if list_request.rows else k
    if list_request.has_token and n_items > MAX_TOKEN_ITEMS:
        raise ConfigError(f"is {n_items:,} in all; pages get at most {MAX_TOKEN_ITEMS} items at once.", where="k")


def _as_json(
    service: Service, list_request: ListRequest, recommendation: Recommendation, list_id: str | None
) -> dict[str, Any]:
    """Count a list; return it as JSON values of a `ListAnswer`."""
    variant = list_request.variant and list_request.variant.name
    experiment = service.enrolment.experiment.name if service.enrolment and variant else None
    service.metrics.lists.labels(recommendation.strategy, recommendation.route).inc()
    if experiment:
        service.metrics.variant_lists.labels(experiment, variant, recommendation.route).inc()
    return {
        "model": list_request.model.version,
        "user_id": list_request.user_id or None,
        "strategy": recommendation.strategy,
        "route": recommendation.route,
        "signals_from": list_request.source,
        "segment": recommendation.segment,
        "segment_size": recommendation.segment_size,
        "score_scale": recommendation.score_scale,
        "n_ranked": recommendation.n_ranked,
        "items": [{"item_id": item.item_id, "title": item.title, "score": item.score} for item in recommendation],
        "ignored": recommendation.ignored[:MAX_IGNORED_SIGNALS],
        "notes": recommendation.notes,
        "list_id": list_id,
        "not_recorded": list_request.not_recorded,
        "experiment": experiment,
        "variant": variant,
    }
