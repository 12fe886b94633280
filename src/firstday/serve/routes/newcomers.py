"""What the page shows a newcomer: what they may say of themselves, the map, and the segments near them."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request, Response

from firstday.artifact.trained_model import TrainedModel
from firstday.recommend.query import Query as ModelQuery
from firstday.serve.explain import nearest_liked
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
)
from firstday.serve.segment_map import near_weights
from firstday.serve.service import json_response, service_of

MAX_VALUES = 500
"""Values of one profile column in an answer, at most: the most frequent."""

router = APIRouter(prefix="/v1", tags=["newcomers"])


@router.get("/profile", summary="What a newcomer may say of themselves")
async def read_profile(request: Request, _query: NoQuery) -> ProfileAnswer:
    """Return the profile columns that the model knows, with the values of warm users."""
    served = service_of(request).holder.current
    groups = served.trained.profile_groups
    ages = np.flatnonzero(groups["age"].sizes) if "age" in groups else np.zeros(0)
    columns = [name for name in served.trained.catalogue.groups if name in groups]
    return ProfileAnswer(
        model=served.version,
        age=AgeRange(youngest=int(ages[0]), oldest=int(ages[-1])) if len(ages) else None,
        columns=[_describe_column(served.trained, name) for name in columns],
    )


def _describe_column(model: TrainedModel, name: str) -> ProfileColumn:
    """Return the values of a profile column that warm users have, the most frequent ones where there are many."""
    sizes = model.profile_groups[name].sizes
    frequent = [code for code in np.argsort(-sizes, kind="stable").tolist() if sizes[code] > 0]
    values = sorted((model.catalogue.groups[name][code], int(sizes[code])) for code in frequent[:MAX_VALUES])
    return ProfileColumn(
        column=name,
        values=[ProfileValue(value=value, users=users) for value, users in values],
        values_left_out=len(frequent) - len(values),
    )


@router.get("/map", response_model=MapAnswer, summary="All segments in two dimensions")
async def read_map(request: Request, _query: NoQuery) -> Response:
    """Return where the segments lie by the two directions in which they differ most, and what sets each apart."""
    served = service_of(request).holder.current
    segment_map = await asyncio.to_thread(served.draw_map)
    sizes = served.trained.segments.items.sizes
    values = {
        "model": served.version,
        "everyone": _place(segment_map.everyone),
        "kept": segment_map.kept,
        "segments": [
            {
                "segment": segment,
                "users": int(sizes[segment]),
                **_place(segment_map.places[segment]),
                "radius": float(segment_map.radii[segment]),
                "apart": _name_segment(served, segment),
            }
            for segment in np.argsort(-sizes, kind="stable").tolist()
        ],
    }
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
    segment_map = await asyncio.to_thread(served.draw_map)
    batch, _ = served.trained.read_signals([signals])
    query = ModelQuery(served.trained, batch, k=1)
    place, segments = segment_map.everyone, []
    if query.known[0]:
        near, weights = near_weights(query.predicted[0], served.trained)
        place = segment_map.place(near, weights)
        segments = [
            _near_segment(served, query, segment, weight, parameters.items)
            for segment, weight in zip(near[: parameters.limit].tolist(), weights.tolist(), strict=False)
        ]
    return json_response(
        {
            "model": served.version,
            "user_id": user_id,
            "signals_from": source,
            "place": _place(place),
            "segments": segments,
        }
    )


def _near_segment(served: ServedModel, query: ModelQuery, segment: int, weight: float, n_items: int) -> dict[str, Any]:
    """Describe a near segment with its list for the user."""
    segments, popularity = served.trained.segments, served.trained.popularity
    top, shares = segments.top_items[segment], segments.top_shares[segment]
    open_places = np.flatnonzero((top >= 0) & ~np.isin(top, query.excluded.row(0)))[:n_items]
    items = top[open_places].tolist()
    likes = nearest_liked(served, query, items) if items else []
    return {
        "segment": segment,
        "users": int(segments.items.sizes[segment]),
        "weight": weight,
        "apart": _name_segment(served, segment),
        "items": [
            {
                "item_id": served.item_ids[item],
                "title": served.titles[item],
                "share": share,
                "share_of_everyone": float(popularity[item]),
                "most_like": like,
            }
            for item, share, like in zip(items, shares[open_places].tolist(), likes, strict=True)
        ],
    }


def _name_segment(served: ServedModel, segment: int) -> list[dict[str, Any]]:
    """Return the items that set a segment apart."""
    items = served.draw_map().names[segment]
    return [{"item_id": item.item_id, "title": item.title, "lift": item.lift} for item in items]


def _place(at: np.ndarray) -> dict[str, float]:
    """Return a place as JSON values."""
    return {"x": float(at[0]), "y": float(at[1])}
