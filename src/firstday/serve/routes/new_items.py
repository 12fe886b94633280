"""Items: what holds of one, new items and updates, one or in bulk, and withdrawals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import TypeAdapter
from starlette.convertors import PathConvertor, register_url_convertor

from firstday.features.wire_types import IdText
from firstday.recommend.new_items.value_types import check_types
from firstday.serve.event_stream import store_stream
from firstday.serve.http_errors import ApiError, invalid
from firstday.serve.middleware import STREAM_TYPES, require_json
from firstday.serve.schemas import (
    ItemAnswer,
    ItemBody,
    ItemLine,
    ItemPutAnswer,
    ItemStreamAnswer,
    WithdrawParameters,
)
from firstday.serve.service import ServiceDep
from firstday.serve.stored_items import describe_ignored, describe_item


class _ItemConvertor(PathConvertor):
    """Reads an id from a path, with slashes; that of similar items is another path."""

    regex = ".*(?<!/similar)"


register_url_convertor("item", _ItemConvertor())
writing = APIRouter(prefix="/v1/items", tags=["items"])
reading = APIRouter(prefix="/v1/items", tags=["items"])

ItemIdPath = Annotated[IdText, Path(description="Your item id.")]
_LINES = TypeAdapter(ItemLine)
_EXAMPLE = """{"item_id": "n1", "title": "Dawn", "artist_id": ["a7"]}
{"item_id": "n2", "title": "Dusk", "artist_id": ["a7"]}
"""
_CONTENT = {"schema": {"type": "string"}, "examples": {"lines": {"summary": "Two items", "value": _EXAMPLE}}}


@reading.get("/{item_id:item}", summary="Read what holds of an item")
async def read_item(service: ServiceDep, item_id: ItemIdPath) -> ItemAnswer:
    """Return the item as lists have it now, and what was said of it last; 404 if it is unknown."""
    found = describe_item(service.holder.current, item_id, service.items.find_put(item_id))
    if found is None:
        raise ApiError(404, "not_found", f"{item_id!r} is unknown to the model, and was not put.")
    return ItemAnswer(**found)


@writing.put("/{item_id:item}", summary="Add or update an item", dependencies=[Depends(require_json)])
async def put_item(service: ServiceDep, item_id: ItemIdPath, body: ItemBody) -> ItemPutAnswer:
    """Add or replace an item that came after training, or the whole update of one that the model knows.

    It is durable once this responds, and in the lists of every worker within a second. The vector of a new item and how
    often it is used are predicted from its words and entities. Once users of a model used it, what the model learned
    counts. A value of an update ends when a loaded model has it. A withdrawn item stays so unless `recommendable` is
    true.
    """
    values = body.model_dump(mode="json", exclude_defaults=True)
    if str(values.pop("item_id", item_id)) != item_id:
        raise invalid(
            [("item_id", f"is that of another item than {item_id!r} in the path; omit it, or change the path")]
        )
    if faults := check_types(service.holder.current.trained.catalogue.columns, values):
        raise invalid(faults)
    await service.items.put_items({item_id: values})
    served = service.holder.current
    return ItemPutAnswer(item_id=item_id, model=served.version, ignored=describe_ignored(served, item_id, values))


@writing.delete("/{item_id:item}", status_code=204, summary="Withdraw an item")
async def withdraw_item(
    service: ServiceDep, item_id: ItemIdPath, parameters: Annotated[WithdrawParameters, Query()]
) -> Response:
    """Withdraw an item: it is in no list until a `PUT` restores it. 404 if neither the model nor the store knows it.

    It is durable once this responds, and outlives new models. With `ahead`, an item that is still unknown will not be
    listed by later models, either.
    """
    await service.items.withdraw(item_id, ahead=parameters.ahead)
    return Response(status_code=204)


@writing.post(
    "",
    summary="Add or update items in bulk",
    openapi_extra={"requestBody": {"content": {STREAM_TYPES[0]: _CONTENT}, "required": True}},
)
async def add_items(service: ServiceDep, request: Request) -> ItemStreamAnswer:
    """Add or update items, one JSON object per line. Valid lines are stored, in batches, all or none of a batch.

    Withdrawn items stay so.
    """
    if not request.scope.get("firstday.is_stream"):
        raise ApiError(
            415, "unsupported_media_type", f"The body must be JSON Lines; send Content-Type: {STREAM_TYPES[0]}."
        )

    def check(line: ItemLine) -> list[tuple[str, str]]:
        return check_types(service.holder.current.trained.catalogue.columns, line.model_extra or {})

    async def store(lines: Sequence[ItemLine]) -> dict[str, int]:
        items = {
            line.item_id: line.model_dump(mode="json", exclude_defaults=True, exclude={"item_id"}) for line in lines
        }
        if items:
            await service.items.put_items(items, may_restore=False)
        return {"accepted": len(lines)}

    totals, errors = await store_stream(request.stream(), _LINES, store, "items", check)
    return ItemStreamAnswer(**totals, errors=errors)
