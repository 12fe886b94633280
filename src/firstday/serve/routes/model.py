"""The model, its segments and its items; reload of the model."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from firstday.data.events import ITEM
from firstday.errors import FirstdayError
from firstday.recommend.model_card import describe_selection
from firstday.recommend.segment_description import describe_segment, describe_segments
from firstday.recommend.support import strategies_of
from firstday.serve.http_errors import ApiError
from firstday.serve.schemas import (
    ItemsAnswer,
    ItemsParameters,
    ModelAnswer,
    OneSegmentAnswer,
    ReloadAnswer,
    SegmentParameters,
    SegmentsAnswer,
    SegmentsParameters,
)
from firstday.serve.service import ModelDep, ServiceDep

reading = APIRouter(prefix="/v1", tags=["model"])
admin = APIRouter(prefix="/v1", tags=["model"])


@reading.get("/segments", response_model=SegmentsAnswer, summary="List the segments, largest first")
async def list_segments(
    served: ModelDep,
    parameters: Annotated[SegmentsParameters, Query()],
) -> dict[str, Any]:
    """Return segments with their size and most used items."""
    rows = describe_segments(
        served.trained,
        parameters.items,
        parameters.offset + parameters.limit,
        served.recommender.current_items,
    )
    return {
        "model": served.version,
        "total": len(served.trained.segments),
        "segments": rows[parameters.offset :],
    }


@reading.get("/segments/{segment}", response_model=OneSegmentAnswer, summary="Read one segment")
async def read_segment(
    served: ModelDep,
    segment: Annotated[int, Path(ge=0, le=2**31, description="Segment number.")],
    parameters: Annotated[SegmentParameters, Query()],
) -> dict[str, Any]:
    """Return the size and most used items of a segment."""
    if segment >= len(served.trained.segments):
        raise ApiError(404, "not_found", f"The model has {len(served.trained.segments):,} segments, numbered from 0.")
    row = describe_segment(served.trained, segment, parameters.items, served.recommender.current_items)
    return {"model": served.version, **vars(row)}


@reading.get("/items", response_model=ItemsAnswer, summary="Find items by title")
async def find_items(served: ModelDep, parameters: Annotated[ItemsParameters, Query()]) -> dict[str, Any]:
    """Return the item with this id, then items whose titles contain every word, most used first."""
    recommender = served.recommender
    catalogue = recommender.catalogue
    popularity = served.trained.popularity
    items = [
        {
            "item_id": catalogue.items[item],
            "title": catalogue.title_of(item),
            "share_of_everyone": popularity[item] if item < len(popularity) else 0.0,
        }
        for item in served.views.find_items(parameters.query, recommender.current_items)[: parameters.limit]
    ]
    return {"model": served.version, "items": items}


@reading.get("/model", response_model=ModelAnswer, response_model_exclude_unset=True, summary="Describe the model")
async def describe_model(served: ModelDep) -> dict[str, Any]:
    """Return the model's version, contents, settings and metrics."""
    model = served.trained
    return {
        "model": served.version,
        "firstday": served.manifest["firstday"],
        "created_at": served.manifest["created_at"],
        "loaded_at": served.loaded_at,
        "dimensions": model.dimensions,
        "segments": len(model.segments),
        "items": model.n_items,
        "signals": model.catalogue.signals,
        "entities": [ITEM, *model.catalogue.entities],
        "profile_columns": [*["age"] * model.catalogue.has_ages, *model.catalogue.groups],
        "item_columns": served.views.item_columns,
        "features": list(model.encoder.blocks()),
        "strategies": list(strategies_of(model)),
        "default_strategy": model.config.recommend.strategy,
        "default_k": model.config.recommend.k,
        "selection": describe_selection(model),
        "data": model.facts.get("data", {}),
        "metrics": model.facts.get("metrics", {}),
    }


@admin.post("/model/reload", summary="Reload the model folder")
async def reload_model(service: ServiceDep) -> ReloadAnswer:
    """Load, verify and warm up the model in the folder, then use it. Requests in progress finish with the old model.

    If the new model is unusable, the response is 409 with the reason, and the old model stays in use.
    """
    before = service.holder.current.version
    try:
        await service.holder.reload()
    except FirstdayError as error:
        raise ApiError(409, "model_refused", str(error)) from error
    now = service.holder.current.version
    return ReloadAnswer(model=now, before=before, changed=now != before)
