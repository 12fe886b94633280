"""What the model knows: segments, items, and the model itself."""

from __future__ import annotations

from itertools import islice
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Path, Query, Request

from firstday.data.events import ITEM
from firstday.errors import FirstdayError
from firstday.recommend.registry import strategies_of
from firstday.serve.explain import segment_values
from firstday.serve.http_errors import ApiError
from firstday.serve.middleware import service_of
from firstday.serve.schemas import (
    FoundItem,
    ItemsAnswer,
    ItemsParameters,
    ModelAnswer,
    NoQuery,
    OneSegmentAnswer,
    ReloadAnswer,
    SegmentAnswer,
    SegmentParameters,
    SegmentsAnswer,
    SegmentsParameters,
)

reading = APIRouter(prefix="/v1", tags=["model"])
admin = APIRouter(prefix="/v1", tags=["model"])


@reading.get("/segments", summary="List the segments, largest first")
async def list_segments(
    request: Request,
    parameters: Annotated[SegmentsParameters, Query()],
) -> SegmentsAnswer:
    """Return segments with their size and what their people use."""
    served = service_of(request).holder.current
    order = np.argsort(-served.trained.segments.items.sizes, kind="stable")
    segments = [
        SegmentAnswer.model_validate(segment_values(served.trained, segment, parameters.items))
        for segment in order[parameters.offset : parameters.offset + parameters.limit].tolist()
    ]
    return SegmentsAnswer(model=served.version, total=len(order), segments=segments)


@reading.get("/segments/{segment}", summary="Read one segment")
async def read_segment(
    request: Request,
    segment: Annotated[int, Path(ge=0, le=2**31, description="Its number.", examples=[0])],
    parameters: Annotated[SegmentParameters, Query()],
) -> OneSegmentAnswer:
    """Return a segment's size and what its people use."""
    served = service_of(request).holder.current
    if segment >= len(served.trained.segments):
        raise ApiError(404, "not_found", f"The model has {len(served.trained.segments):,} segments, from 0.")
    return OneSegmentAnswer(model=served.version, **segment_values(served.trained, segment, parameters.items))


@reading.get("/items", summary="Find items by title")
async def find_items(request: Request, parameters: Annotated[ItemsParameters, Query()]) -> ItemsAnswer:
    """Return the item of that id, then those whose titles hold the text, most used first."""
    served = service_of(request).holder.current
    items = [
        FoundItem(item_id=served.item_ids[ix], title=served.titles[ix], share_of_everyone=served.trained.popularity[ix])
        for ix in islice(served.find_items(parameters.query), parameters.limit)
    ]
    return ItemsAnswer(model=served.version, items=items)


@reading.get("/model", summary="Describe the model")
async def describe_model(request: Request, _query: NoQuery) -> ModelAnswer:
    """Return what the model is, what it knows and how well it did."""
    served = service_of(request).holder.current
    model = served.trained
    return ModelAnswer(
        model=served.version,
        firstday=served.manifest["firstday"],
        created_at=served.manifest["created_at"],
        loaded_at=served.loaded_at,
        dimensions=model.dimensions,
        segments=len(model.segments),
        items=model.n_items,
        signals=list(model.catalogue.signals),
        entities=[ITEM, *model.catalogue.entities],
        profile_columns=[*(["age"] if model.catalogue.has_ages else []), *model.catalogue.groups],
        features=list(model.encoder.blocks()),
        strategies=list(strategies_of(model)),
        default_strategy=model.config.recommend.strategy,
        default_k=model.config.recommend.k,
        data=dict(model.facts.get("data", {})),
        metrics=dict(model.facts.get("metrics", {})),
    )


@admin.post("/model/reload", summary="Load the model's folder again")
async def reload_model(request: Request, _query: NoQuery) -> ReloadAnswer:
    """Verify and warm what the folder holds now, then swap it in; requests in work finish on the old one.

    Where it cannot be used the answer is 409 and says why, and the old one goes on answering.
    """
    service = service_of(request)
    before = service.holder.current.version
    try:
        changed = await service.holder.reload()
    except FirstdayError as error:
        raise ApiError(409, "model_refused", str(error)) from error
    return ReloadAnswer(model=service.holder.current.version, before=before, changed=changed)
