"""A record shop in front of firstday: a page of three rows under the shop's own rules; see README.md."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID, uuid4

import httpx
from fastapi import Cookie, FastAPI, HTTPException, Request
from fastapi.responses import RedirectResponse, Response
from fastapi.templating import Jinja2Templates

SERVICE_URL = os.environ.get("SERVICE_URL", "http://localhost:8000")
ITEMS = Path(os.environ.get("SHOP_TABLES", "shop-tables"), "items.jsonl")
RECORDS = {record["item_id"]: record for record in map(json.loads, ITEMS.read_text(encoding="utf-8").splitlines())}
COUNTRIES = sorted({country for record in RECORDS.values() for country in record["sold_in"]})
AVAILABLE = "user.country in sold_in and item_id not in lists.sold_out"
sold_out: set[str] = set()
"""Ids of records out of stock. A shop with a database reads them there."""
templates = Jinja2Templates(Path(__file__).parent / "templates")
Visitor = Annotated[UUID | None, Cookie()]


@asynccontextmanager
async def connect(app: FastAPI) -> AsyncIterator[None]:
    """Connect to the service, and put the list that the filters read."""
    async with httpx.AsyncClient(base_url=SERVICE_URL) as app.state.service:
        await put_sold_out()
        yield


app = FastAPI(lifespan=connect)


async def call(method: str, path: str, body: Any = None) -> Any:
    """Return the service's answer, or raise its error message."""
    try:
        answer = await app.state.service.request(method, path, json=body)
    except httpx.TransportError:
        raise HTTPException(503, "The recommendation service does not answer; try again later.") from None
    if answer.is_error:
        raise HTTPException(502, answer.json()["message"])
    return answer.json()


async def put_sold_out() -> None:
    """Send the service the records that are out of stock."""
    await call("PUT", "/v1/lists/sold_out", {"items": sorted(sold_out)})


@app.exception_handler(HTTPException)
async def show_error(request: Request, error: HTTPException) -> Response:
    """Show an error as a page."""
    return templates.TemplateResponse(request, "page.html", {"message": error.detail}, error.status_code)


@app.get("/")
async def show_front(request: Request, visitor: Visitor = None, genre: str = "jazz") -> Response:
    """Show three rows without repeats, recorded as shown; or, before the visitor has a country, none."""
    rows = [
        {"name": "For you"},
        {"name": "New", "filter": 'added_at >= "2024-01-01"'},
        {"name": f"More {genre}", "filter": "genre == user.genre"},
    ]
    # A visitor's text is a value, never part of a filter.
    rules = {"filter": AVAILABLE, "cap": {"artist": 1}, "context": {"genre": genre}}
    page: dict[str, Any] = {}
    if visitor:
        body = {"k": 4, "rows": rows, "rules": rules, "record": True}
        page = await call("POST", f"/v1/users/{visitor}/recommendations", body)
    return templates.TemplateResponse(request, "front.html", {**page, "records": RECORDS, "countries": COUNTRIES})


@app.post("/country/{country}")
async def set_country(country: str, visitor: Visitor = None) -> Response:
    """Set the visitor's country; a new visitor gets an id."""
    user_id = str(visitor or uuid4())
    await call("PUT", f"/v1/users/{user_id}", {"profile": {"country": country}})
    answer = RedirectResponse("/", 303)
    for name, value in {"visitor": user_id, "country": country}.items():
        answer.set_cookie(name, value, httponly=True, samesite="lax")
    return answer


@app.post("/buy/{item_id}")
async def buy(item_id: str, visitor: Annotated[UUID, Cookie()], list_id: str | None = None) -> Response:
    """Report that the visitor bought a record from a list, and show more of its genre."""
    if item_id not in RECORDS or item_id in sold_out:
        raise HTTPException(404, "This record is not for sale.")
    event_id = f"{list_id}-{item_id}"  # a second click is the same event
    event = {"event_id": event_id, "user_id": str(visitor), "entity_id": item_id, "list_id": list_id}
    await call("POST", "/v1/events", {"events": [event]})
    return RedirectResponse(f"/?genre={RECORDS[item_id]['genre']}", 303)


@app.get("/staff")
async def show_staff(request: Request) -> Response:
    """Show all records with their stock."""
    return templates.TemplateResponse(request, "staff.html", {"records": RECORDS, "sold_out": sold_out})


@app.post("/staff/{item_id}/{stock}")
async def set_stock(item_id: str, stock: bool) -> Response:
    """Mark a record as in stock or sold out."""
    if stock:
        sold_out.discard(item_id)
    else:
        sold_out.add(item_id)
    await put_sold_out()
    return RedirectResponse(f"/staff#{item_id}", 303)
