"""Items that came after training: put, delete, and put in bulk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import TypeAdapter

from firstday.serve.event_stream import store_stream
from firstday.serve.http_errors import ApiError
from firstday.serve.middleware import STREAM_TYPES, require_json
from firstday.serve.schemas import ItemBody, ItemLine, ItemPutAnswer, ItemStreamAnswer, UserIdText
from firstday.serve.service import ServiceDep
from firstday.serve.stored_items import describe_ignored

router = APIRouter(prefix="/v1/items", tags=["items"])

ItemIdPath = Annotated[UserIdText, Path(description="Your item id.")]
_LINES = TypeAdapter(ItemLine)
_EXAMPLE = """{"item_id": "n1", "title": "Dawn", "artist_id": ["a7"]}
{"item_id": "n2", "title": "Dusk", "artist_id": ["a7"]}
"""
_CONTENT = {"schema": {"type": "string"}, "examples": {"lines": {"summary": "Two items", "value": _EXAMPLE}}}


@router.put("/{item_id}", summary="Add a new item", dependencies=[Depends(require_json)])
async def put_item(service: ServiceDep, item_id: ItemIdPath, body: ItemBody) -> ItemPutAnswer:
    """Add or replace an item that came after training.

    It is durable once this responds, and in the lists of every worker within a second. Its vector and how often it is
    used are predicted from its words and entities. Once users of a model used it, what the model learned counts.
    """
    values = body.model_dump(mode="json", exclude_defaults=True)
    await service.items.put_items({item_id: values})
    served = service.holder.current
    return ItemPutAnswer(item_id=item_id, model=served.version, ignored=describe_ignored(served, item_id, values))


@router.delete("/{item_id}", status_code=204, summary="Delete a new item")
async def delete_item(service: ServiceDep, item_id: ItemIdPath) -> Response:
    """Delete an item that was put. Items of the model stay; deny them by a rule. The response is always the same."""
    await service.items.put_items({item_id: None})
    return Response(status_code=204)


@router.post(
    "",
    summary="Add new items in bulk",
    openapi_extra={"requestBody": {"content": {STREAM_TYPES[0]: _CONTENT}, "required": True}},
)
async def add_items(service: ServiceDep, request: Request) -> ItemStreamAnswer:
    """Add or replace items, one JSON object per line. Valid lines are stored, in batches, all or none of a batch."""
    if not request.scope.get("firstday.is_stream"):
        raise ApiError(
            415, "unsupported_media_type", f"The body must be JSON Lines; send Content-Type: {STREAM_TYPES[0]}."
        )

    async def store(lines: Sequence[ItemLine]) -> dict[str, int]:
        items = {
            line.item_id: line.model_dump(mode="json", exclude_defaults=True, exclude={"item_id"}) for line in lines
        }
        if items:
            await service.items.put_items(items)
        return {"accepted": len(lines)}

    totals, errors = await store_stream(request.stream(), _LINES, store, "items")
    return ItemStreamAnswer(**totals, errors=errors)
