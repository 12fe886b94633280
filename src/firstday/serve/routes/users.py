"""Profiles and events of users: store, read and delete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.routing import APIRoute
from pydantic import TypeAdapter
from starlette.routing import Match
from starlette.types import Scope

from firstday.features.encoder import understand_picks
from firstday.features.signals import Signals
from firstday.serve.event_stream import store_stream
from firstday.serve.http_errors import ApiError
from firstday.serve.middleware import require_json
from firstday.serve.schemas import (
    EventBody,
    EventsAnswer,
    EventsBody,
    MergeAnswer,
    MergeBody,
    PutAnswer,
    StreamAnswer,
    UserAnswer,
    UserBody,
    UserIdText,
    json_response,
)
from firstday.serve.service import Service, ServiceDep
from firstday.serve.store.records import Event, Profile

MAX_IGNORED = 10
"""Maximum number of events in `EventsAnswer.ignored`."""

_EVENTS = TypeAdapter(EventBody)

reading = APIRouter(prefix="/v1", tags=["users"])
writing = APIRouter(prefix="/v1", tags=["users"])

UserIdPath = Annotated[UserIdText, Path(description="Your user id.")]


@writing.put(
    "/users/{user_id}", summary="Set a user's profile, picks and friends", dependencies=[Depends(require_json)]
)
async def put_user(service: ServiceDep, user_id: UserIdPath, body: UserBody) -> PutAnswer:
    """Replace the user's registration data; events are unchanged. The data is durable once this responds.

    The body has the form of `signals` in `POST /v1/recommendations`, or is what `GET` returns. On every call, its
    interactions and impressions count as newly received. Send data with timestamps as events instead.
    """
    served = service.holder.current
    values = body.model_dump(exclude_defaults=True)
    signals = understand_picks(served.trained.encoder, Signals.of(values))
    await service.store.append([(user_id, Profile(values))])
    _, ignored = served.trained.read_signals([signals])
    return PutAnswer(user_id=user_id, model=served.version, ignored=list(ignored[0]))


class _StreamRoute(APIRoute):
    """A route that matches only streams; `add_events` documents it in OpenAPI."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match the path if the body is a stream."""
        return super().matches(scope) if scope.get("firstday.is_stream") else (Match.NONE, {})


async def add_stream(service: ServiceDep, request: Request) -> StreamAnswer:
    """Store events as they arrive; if the stream is interrupted, the error says how many lines are stored."""

    async def store(events: Sequence[EventBody]) -> dict[str, int]:
        counts, _ = await _store(service, [(event.user_id, event) for event in events])
        return counts

    totals, errors = await store_stream(request.stream(), _EVENTS, store, "events")
    return StreamAnswer(**totals, errors=errors)


writing.add_api_route(
    "/events", add_stream, methods=["POST"], include_in_schema=False, route_class_override=_StreamRoute
)

_LINES = (
    '{"event_id": "e-1", "user_id": "u-4711", "signal": "stream", "entity_id": "i81"}\n'
    '{"event_id": "e-2", "user_id": "u-12", "entity_id": 81, "timestamp": "2026-01-31T12:00:00Z"}\n'
)
_STREAM_BODY = {
    "schema": {"type": "string", "description": "One event per line, as a JSON object; any number of lines."},
    "examples": {"lines": {"summary": "Two events", "value": _LINES}},
}


@writing.post(
    "/events",
    response_model=StreamAnswer | EventsAnswer,
    summary="Add events",
    dependencies=[Depends(require_json)],
    openapi_extra={"requestBody": {"content": {"application/x-ndjson": _STREAM_BODY}}},
)
async def add_events(service: ServiceDep, request: Request, body: EventsBody) -> Response:
    """Store a batch of events, all or none. Retry if no response arrives.

    An event is identified by `event_id` and `user_id`; a stored event is not changed by a duplicate. Once this
    responds, the events are durable and the next list takes them into account.

    A body of type `application/x-ndjson`, with one event per line, may be much larger. Invalid lines are rejected
    individually, with their numbers; all others are stored, a thousand at a time.
    """
    events = [(event.user_id, event) for event in body.events]
    token_user = request.scope["firstday.token_user"]
    if token_user and dict(events).keys() != {token_user}:
        raise ApiError(403, "forbidden", "A token opens only its user's lists and events; ask your own server.")
    counts, unknown = await _store(service, events)
    return json_response({**counts, "ignored": list(dict.fromkeys(unknown[:MAX_IGNORED]))})


async def _store(service: Service, events: Sequence[tuple[str, Event]]) -> tuple[dict[str, int], list[str]]:
    """Store and count events; return the counts, and a sentence for each event with an unknown signal, entity or id."""
    accepted = await service.store.append(events) if events else 0
    find_unknown = service.holder.current.recommender.catalogue.find_unknown
    sentences = (
        find_unknown(None if event.is_impression else event.signal, event.entity, event.entity_id)
        for _, event in events
    )
    unknown = [sentence for sentence in sentences if sentence]
    service.metrics.events.labels("accepted").inc(accepted)
    service.metrics.events.labels("duplicate").inc(len(events) - accepted)
    service.metrics.events_not_understood.inc(len(unknown))
    counts = {"accepted": accepted, "duplicates": len(events) - accepted, "not_understood": len(unknown)}
    return counts, unknown


@reading.get("/users/{user_id}", response_model=UserAnswer, summary="Read everything known about a user")
async def read_user(service: ServiceDep, user_id: UserIdPath) -> dict[str, Any]:
    """Return profile, picks, friends, events and impressions; 404 if nothing is known about the user."""
    (user,) = await service.store.read([user_id])
    if user.first_us is None:
        raise ApiError(404, "not_found", "Nothing is known about this user.")
    profile = user.profile or Profile({})
    # The columns under `profile` take the place of the record of this name.
    return {
        **vars(user),
        "user_id": user.person_id or user_id,
        "put_us": profile.put_us,
        "profile": {},
        **profile.signals,
    }


@writing.post("/users/{user_id}/merge", summary="Merge a guest into a user", dependencies=[Depends(require_json)])
async def merge_guest(service: ServiceDep, user_id: UserIdPath, body: MergeBody) -> MergeAnswer:
    """Make everything stored about a guest, and all that follows, that of the user. Repeating the call is safe.

    A guest has one person, a person with guests cannot become a guest, and only deletion ends a merge. The first day
    begins with the guest's first event, and the earliest experiment variant applies.
    """
    is_new = await service.store.merge(user_id, body.guest_id)
    (user,) = await service.store.read([user_id])
    return MergeAnswer(user_id=user_id, guest_ids=list(user.guest_ids), is_new=is_new, n_left_out=user.n_left_out)


@writing.delete("/users/{user_id}", status_code=204, summary="Delete a user")
async def delete_user(service: ServiceDep, user_id: UserIdPath) -> Response:
    """Delete everything stored about a user and merged guests. The response is the same if nothing was stored."""
    await service.store.delete(user_id)
    return Response(status_code=204)
