"""What the page shows a newcomer: what they may say of themselves, the map, and the segments near them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request, Response

from firstday.recommend.query import Query as ModelQuery
from firstday.recommend.segment_description import describe_segment
from firstday.segment.segments import weigh_segments
from firstday.serve.explain import N_TITLES, nearest_liked
from firstday.serve.middleware import service_of
from firstday.serve.models import ServedModel
from firstday.serve.routes.users import UserIdPath
from firstday.serve.schemas import (
    AgeRange,
    MapAnswer,
    NearAnswer,
    NearParameters,
    NoQuery,
    ProfileAnswer,
    ProfileColumn,
    ProfileValue,
    json_response,
)

MAX_VALUES = 500
"""Values of one profile column in an answer, at most: the most frequent."""

router = APIRouter(prefix="/v1", tags=["newcomers"])


@router.get("/profile", summary="What a newcomer may say of themselves")
async def read_profile(request: Request, _query: NoQuery) -> ProfileAnswer:
    """Return the profile columns that the model knows, with the values of warm users."""
    served = service_of(request).holder.current
    groups, known = served.trained.profile_groups, served.trained.catalogue.groups
    ages = np.flatnonzero(groups["age"].sizes).tolist() if "age" in groups else []
    return ProfileAnswer(
        model=served.version,
        age=AgeRange(youngest=ages[0], oldest=ages[-1]) if ages else None,
        columns=[_describe_column(name, known[name], groups[name].sizes) for name in known if name in groups],
    )


def _describe_column(name: str, names: Sequence[str], sizes: np.ndarray) -> ProfileColumn:
    """Return the values of a profile column that warm users have, the most frequent ones where there are many."""
    frequent = [code for code in np.argsort(-sizes, kind="stable").tolist() if sizes[code] > 0]
    return ProfileColumn(
        column=name,
        values=[
            ProfileValue(value=names[code], users=int(sizes[code]))
            for code in sorted(frequent[:MAX_VALUES], key=lambda code: names[code])
        ],
        values_left_out=max(0, len(frequent) - MAX_VALUES),
    )


@router.get("/map", response_model=MapAnswer, summary="All segments in two dimensions")
async def read_map(request: Request, _query: NoQuery) -> Response:
    """Return where the segments lie by the two directions in which they differ most, and what sets each apart."""
    served = service_of(request).holder.current
    drawn = await asyncio.to_thread(served.draw_map)
    order = np.argsort(-served.trained.segments.items.sizes, kind="stable").tolist()
    segments = [
        _describe_segment(served, segment, **_place(drawn.places[segment]), radius=float(drawn.radii[segment]))
        for segment in order
    ]
    values = {"model": served.version, "everyone": _place(drawn.everyone), "kept": drawn.kept, "segments": segments}
    return json_response(values)


@router.get("/users/{user_id}/segments", response_model=NearAnswer, summary="The segments near to a user")
async def read_near_segments(
    request: Request, user_id: UserIdPath, parameters: Annotated[NearParameters, Query()]
) -> Response:
    """Return the segments that speak for a user, each with its weight and its list, and the user's place on the map.

    Weights are those of `soft_segments`. Where nothing is known of the user there are none.
    """
    service = service_of(request)
    signals, source = await service.lists.read_signals(user_id)
    served = service.holder.current
    drawn = await asyncio.to_thread(served.draw_map)
    model = served.trained
    query = ModelQuery(model, model.read_signals([signals])[0], k=1)
    place, segments = drawn.everyone, []
    if query.known[0]:
        (near,), (shares,) = weigh_segments(query.predicted[:1], model.segments, model.mixing)
        order = np.lexsort((near, -shares))
        near, weights = near[order], shares[order].astype(np.float64)
        place = weights @ drawn.places[near] / weights.sum()
        segments = [
            {
                **_describe_segment(served, segment, weight=weight),
                "items": _list_of_segment(served, query, segment, parameters.items),
            }
            for segment, weight in zip(near[: parameters.limit].tolist(), weights.tolist(), strict=False)
        ]
    values = {"model": served.version, "user_id": user_id, "signals_from": source}
    return json_response({**values, "place": _place(place), "segments": segments})


def _list_of_segment(served: ServedModel, query: ModelQuery, segment: int, n_items: int) -> list[dict[str, Any]]:
    """Return what people of a segment use most, without what the user has used or banned."""
    segments, popularity = served.trained.segments, served.trained.popularity
    top = segments.top_items[segment]
    places = np.flatnonzero((top >= 0) & ~np.isin(top, query.excluded.row(0)))[:n_items]
    items = top[places].tolist()
    likes = nearest_liked(served, query, items) if items else []
    return [
        {
            **served.name_item(item),
            "share": share,
            "share_of_everyone": float(popularity[item]),
            "most_like": like,
        }
        for item, share, like in zip(items, segments.top_shares[segment][places].tolist(), likes, strict=True)
    ]


def _describe_segment(served: ServedModel, segment: int, **more: float) -> dict[str, Any]:
    """Return a segment's number and size, more of it, and the items that set it apart."""
    row = describe_segment(served.trained, segment, N_TITLES)
    apart = [{"item_id": item.item_id, "title": item.title, "lift": item.lift} for item in row.distinctive]
    return {"segment": segment, "users": row.n_users, **more, "apart": apart}


def _place(at: np.ndarray) -> dict[str, float]:
    """Return a place as JSON values."""
    return dict(zip(("x", "y"), at.tolist(), strict=True))
