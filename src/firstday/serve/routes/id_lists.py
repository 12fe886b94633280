"""Stored lists of item ids, which filters can read."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from firstday.serve.http_errors import ApiError
from firstday.serve.middleware import require_json
from firstday.serve.schemas import FilterName, ItemListAnswer, ItemListBody, ItemListsAnswer
from firstday.serve.service import ServiceDep

reading = APIRouter(prefix="/v1/lists", tags=["rules"])
writing = APIRouter(prefix="/v1/lists", tags=["rules"])

NamePath = Annotated[FilterName, Path(description="Name of the list, as in lists.NAME.")]


@writing.put("/{name}", summary="Set a list", dependencies=[Depends(require_json)])
async def put_list(service: ServiceDep, name: NamePath, body: ItemListBody) -> ItemListAnswer:
    """Create or replace a list. It is durable once this responds, and every worker uses it within a second."""
    await service.items.put_list(name, body.items)
    return ItemListAnswer(name=name, items=body.items)


@writing.delete("/{name}", status_code=204, summary="Delete a list")
async def delete_list(service: ServiceDep, name: NamePath) -> Response:
    """Delete a list. Requests whose filters read it are rejected from then on."""
    await service.items.put_list(name, None)
    return Response(status_code=204)


@reading.get("/{name}", summary="Read a list")
async def read_list(service: ServiceDep, name: NamePath) -> ItemListAnswer:
    """Return the ids of a list; 404 if there is no list with this name."""
    items = service.items.rules.lists.get(name)
    if items is None:
        raise ApiError(404, "not_found", f"There is no list {name}.")
    return ItemListAnswer(name=name, items=list(items))


@reading.get("", summary="List the lists")
async def name_lists(service: ServiceDep) -> ItemListsAnswer:
    """Return the number of ids of each list, by name."""
    return ItemListsAnswer(lists={name: len(items) for name, items in sorted(service.items.rules.lists.items())})
