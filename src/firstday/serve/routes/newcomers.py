"""What is shown to newcomers: profile columns, the segment map, and the segments nearest to a user."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import polars as pl
from fastapi import APIRouter, Query

from firstday.recommend.query import Query as ModelQuery
from firstday.recommend.segment_description import describe_segment, describe_segments
from firstday.segment.segments import weigh_segments
from firstday.serve.explain import N_TITLES, nearest_liked
from firstday.serve.models import ServedModel
from firstday.serve.routes.users import UserIdPath
from firstday.serve.schemas import MapAnswer, NearAnswer, NearParameters, ProfileAnswer
from firstday.serve.service import ModelDep, ServiceDep

MAX_VALUES = 500
"""Maximum values of a profile column in a response, most frequent first."""

router = APIRouter(prefix="/v1", tags=["newcomers"])


@router.get("/profile", response_model=ProfileAnswer, summary="List profile fields for newcomers")
async def read_profile(served: ModelDep) -> dict[str, Any]:
    """Return the profile columns known to the model, with the values of warm users."""
    groups = served.trained.profile_groups
    groups_by_name = served.trained.catalogue.groups
    ages = np.flatnonzero(groups["age"].sizes if "age" in groups else ())
    return {
        "model": served.version,
        "age": {"youngest": ages[0], "oldest": ages[-1]} if len(ages) else None,
        "columns": [
            _describe_column(name, groups_by_name[name], groups[name].sizes)
            for name in groups_by_name
            if name in groups
        ],
    }


def _describe_column(name: str, names: Sequence[str], sizes: np.ndarray) -> dict[str, Any]:
    """Return the most frequent values of a profile column among warm users, sorted by value."""
    values = pl.DataFrame({"value": names, "users": sizes}).filter(pl.col("users") > 0)
    top = values.top_k(MAX_VALUES, by="users").sort("value")
    return {"column": name, "values": top.to_dicts(), "values_left_out": values.height - top.height}


@router.get("/map", response_model=MapAnswer, summary="Map segments in two dimensions")
async def read_map(served: ModelDep) -> dict[str, Any]:
    """Return all segments, projected onto two dimensions, with their most distinctive items.

    The dimensions are the two directions in which the segments differ most.
    """
    layout = await asyncio.to_thread(lambda: served.segment_map)
    segments = [
        {**vars(row), **_point(layout.centres[row.number]), "radius": layout.radii[row.number]}
        for row in describe_segments(served.trained, N_TITLES)
    ]
    return {
        "model": served.version,
        "everyone": _point(layout.everyone),
        "kept": layout.explained_variance,
        "segments": segments,
    }


@router.get("/users/{user_id}/segments", response_model=NearAnswer, summary="List segments near a user")
async def read_near_segments(
    service: ServiceDep, user_id: UserIdPath, parameters: Annotated[NearParameters, Query()]
) -> dict[str, Any]:
    """Return the segments near a user, with weights and lists, and the user's position on the map.

    Weights are those of `soft_segments`. If nothing is known about the user, no segments are returned.
    """
    signals, source = await service.lists.read_signals(user_id)
    served = service.holder.current
    layout = await asyncio.to_thread(lambda: served.segment_map)
    model = served.trained
    query = ModelQuery(model, model.read_signals([signals])[0], k=1)
    centre = layout.everyone
    segments = []
    if query.has_features[0]:
        (near,), (shares,) = weigh_segments(query.predicted[:1], model.segments, model.mixing)
        order = np.lexsort((near, -shares))
        near = near[order]
        weights = shares[order].astype(np.float64)
        centre = weights @ layout.centres[near] / weights.sum()
        segments = [
            {
                **vars(describe_segment(model, segment, N_TITLES)),
                "weight": weight,
                "items": _list_of_segment(served, query, segment, parameters.items),
            }
            for segment, weight in zip(near[: parameters.limit].tolist(), weights, strict=False)
        ]
    return {
        "model": served.version,
        "user_id": user_id,
        "signals_from": source,
        "place": _point(centre),
        "segments": segments,
    }


def _list_of_segment(served: ServedModel, query: ModelQuery, segment: int, n_items: int) -> list[dict[str, Any]]:
    """Return the most used items of a segment, except those that the user has used or banned."""
    model = served.trained
    top = describe_segment(model, segment, model.n_items).top
    items = model.segments.top_items[segment][: len(top)]
    positions = np.flatnonzero(~np.isin(items, query.excluded.row(0)))[:n_items]
    likes = nearest_liked(served, query, items[positions])
    return [{**vars(top[position]), "most_like": like} for position, like in zip(positions, likes, strict=True)]


def _point(point: np.ndarray) -> dict[str, float]:
    return {"x": point[0], "y": point[1]}
