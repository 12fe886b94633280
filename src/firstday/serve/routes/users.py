"""Users: put, read, forget; and the events that they cause."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response

from firstday.features.encoder import understand_picks
from firstday.serve.http_errors import ApiError
from firstday.serve.middleware import need_json
from firstday.serve.schemas import (
    EventsAnswer,
    EventsBody,
    NoQuery,
    PutAnswer,
    RecordedItem,
    RecordedList,
    StoredAssignment,
    StoredEvent,
    StoredPick,
    UserAnswer,
    UserBody,
    UserIdText,
)
from firstday.serve.service import ServedModel, json_response, service_of
from firstday.serve.store.base import Event, StoredUser, StoreError

reading = APIRouter(prefix="/v1", tags=["users"])
writing = APIRouter(prefix="/v1", tags=["users"])

UserIdPath = Annotated[UserIdText, Path(description="The caller's id of the user.", examples=["u-4711"])]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@writing.put("/users/{user_id}", summary="Put a user's profile, picks and friends", dependencies=[Depends(need_json)])
async def put_user(request: Request, user_id: UserIdPath, body: UserBody, _query: NoQuery) -> PutAnswer:
    """Replace what the user said while registering; their events stay. Durable when answered."""
    service = service_of(request)
    profile = body.to_profile()
    try:
        await service.store.put(user_id, profile)
    except StoreError as error:
        service.metrics.store_failed("put", error)
        raise
    service.metrics.store_answered("put")
    served = service.holder.current
    signals = understand_picks(served.trained.encoder, StoredUser(profile).to_signals())
    _, ignored = served.trained.read_signals([signals])
    return PutAnswer(user_id=user_id, model=served.version, ignored=list(ignored[0]))


@writing.post("/events", response_model=EventsAnswer, summary="Tell what users did", dependencies=[Depends(need_json)])
async def add_events(request: Request, body: EventsBody, _query: NoQuery) -> Response:
    """Take a batch of events, all or none; send it again where the answer did not arrive.

    An event is known by its `event_id` together with its `user_id`: one that the user has already is left as it is.
    When this answers, the events are durable and the next list heeds them.
    """
    service = service_of(request)
    events = [event.to_event() for event in body.events]
    try:
        accepted = await service.store.add(events)
    except StoreError as error:
        service.metrics.store_failed("add", error)
        raise
    service.metrics.store_answered("add")
    strange = _count_strange(service.holder.current, [event for _, event in events])
    service.metrics.events.labels("accepted").inc(accepted)
    service.metrics.events.labels("duplicate").inc(len(events) - accepted)
    service.metrics.events_not_understood.inc(strange)
    service.metrics.impressions.labels("events").inc(sum(event.is_impression for _, event in events))
    return json_response({"accepted": accepted, "duplicates": len(events) - accepted, "not_understood": strange})


def _count_strange(served: ServedModel, events: list[Event]) -> int:
    """Return how many events name something that the model does not know."""
    catalogue = served.trained.catalogue
    return sum(
        not (event.is_impression or event.signal in catalogue.signals)
        or not catalogue.knows(event.entity, event.entity_id)
        for event in events
    )


@reading.get("/users/{user_id}", summary="Read everything known of a user")
async def read_user(request: Request, user_id: UserIdPath, _query: NoQuery) -> UserAnswer:
    """Return profile, picks, friends, events and what was shown; 404 where nothing is known."""
    service = service_of(request)
    try:
        user = (await service.store.read([user_id]))[0]
    except StoreError as error:
        service.metrics.store_failed("read", error)
        raise
    service.metrics.store_answered("read")
    if not user.is_known:
        raise ApiError(404, "not_found", "Nothing is known of this user.")
    profile = user.profile
    return UserAnswer(
        user_id=user_id,
        age=profile.age if profile else None,
        profile=dict(profile.columns) if profile else {},
        picks=[StoredPick(entity=entity, entity_id=identity) for entity, identity in profile.picks] if profile else [],
        friends=list(profile.friends) if profile else [],
        put_at=_time(profile.put_us) if profile else None,
        first_seen_at=None if user.first_us is None else _time(user.first_us),
        events=[
            StoredEvent(
                event_id=event.event_id,
                signal=event.signal,
                entity=event.entity,
                entity_id=event.entity_id,
                timestamp=None if event.timestamp_ms is None else _time(1000 * event.timestamp_ms),
                received_at=_time(event.received_us),
                list_id=event.list_id,
                position=event.position,
                propensity=event.propensity,
                policy=event.policy,
            )
            for event in user.events
        ],
        lists=[
            RecordedList(
                list_id=shown.list_id,
                policy=shown.policy,
                recorded_at=_time(shown.received_us),
                is_told=shown.is_told,
                items=[
                    RecordedItem(item_id=one.item_id, position=one.position or 1, propensity=one.propensity or 1)
                    for one in shown.to_impressions()
                ],
            )
            for shown in user.lists
        ],
        assignments=[
            StoredAssignment(experiment=given.experiment, variant=given.variant, assigned_at=_time(given.assigned_us))
            for given in user.assignments
        ],
    )


def _time(us: int) -> datetime:
    """Return microseconds since 1970 as a time in UTC."""
    return _EPOCH + timedelta(microseconds=us)


@writing.delete("/users/{user_id}", status_code=204, summary="Forget a user")
async def delete_user(request: Request, user_id: UserIdPath, _query: NoQuery) -> Response:
    """Remove everything known of a user; the answer is the same where nothing was."""
    service = service_of(request)
    try:
        await service.store.delete(user_id)
    except StoreError as error:
        service.metrics.store_failed("delete", error)
        raise
    service.metrics.store_answered("delete")
    return Response(status_code=204)
