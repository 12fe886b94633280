"""A record shop in front of firstday: rows and "goes with it" under the shop's own rules, for guests who log in later.

See README.md.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qsl
from uuid import uuid4

import httpx
from fastapi import Cookie, FastAPI, HTTPException, Request
from fastapi.responses import FileResponse, PlainTextResponse, RedirectResponse, Response
from fastapi.templating import Jinja2Templates

from firstday import sign_token

SERVICE_URL = os.environ.get("SERVICE_URL", "http://localhost:8000")
KEY, TOKEN_KEY = os.environ["SERVICE_KEY"], os.environ["TOKEN_KEY"]
"""The shop's own key, which no page sees, and the key that signs what pages get."""
CLIENT = Path(__file__).parents[2] / "clients" / "js" / "dist" / "index.js"
ITEMS = Path(os.environ.get("SHOP_TABLES", "shop-tables"), "items.jsonl")
RECORDS = {record["item_id"]: record for record in map(json.loads, ITEMS.read_text(encoding="utf-8").splitlines())}
COUNTRIES = sorted({country for record in RECORDS.values() for country in record["sold_in"]})
AVAILABLE = "user.country in sold_in and item_id not in lists.sold_out"
sold_out: set[str] = set()
"""Ids of records out of stock. A shop with a database reads them there."""
templates = Jinja2Templates(Path(__file__).parent / "templates")
Visitor = Annotated[str | None, Cookie()]
"""Id of a guest or, once logged in, of a customer. A real shop signs its cookies and checks a password."""


@asynccontextmanager
async def connect(app: FastAPI) -> AsyncIterator[None]:
    """Connect to the service, and put the list that the filters read."""
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(base_url=SERVICE_URL, headers=headers) as app.state.service:
        await put_sold_out()
        yield


app = FastAPI(lifespan=connect)


async def call(method: str, path: str, body: Any = None, **parameters: Any) -> Any:
    """Return the service's answer, or raise its error message."""
    try:
        answer = await app.state.service.request(method, path, json=body, params=parameters)
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
    """Show three rows without repeats, whose records the page reports once seen; before there is a country, none."""
    newest = max(RECORDS, key=lambda item_id: RECORDS[item_id]["added_at"])
    rows = [
        {"name": "For you", "deny": [newest]},
        {"name": "New", "filter": 'added_at >= "2024-01-01"', "pin": {"1": newest}},
        {"name": f"More {genre}", "filter": "genre == user.genre"},
    ]
    # A visitor's text is a value, never part of a filter.
    rules = {"filter": AVAILABLE, "cap": {"artist": 1}, "context": {"genre": genre}}
    page: dict[str, Any] = {}
    if visitor:
        body = {"k": 4, "rows": rows, "rules": rules, "record": True}
        page = await call("POST", f"/v1/users/{visitor}/recommendations", body)
    shown = {**page, "records": RECORDS, "countries": COUNTRIES, "service_url": SERVICE_URL, "visitor": visitor}
    return templates.TemplateResponse(request, "front.html", shown)


@app.get("/client.js")
async def get_client() -> Response:
    """Return the client of the service, with which pages report what was seen."""
    return FileResponse(CLIENT, media_type="text/javascript")


@app.get("/token")
async def get_token(request: Request, visitor: Annotated[str, Cookie()]) -> Response:
    """Return a token with which the shop's pages send the visitor's events."""
    return PlainTextResponse(sign_token(visitor, TOKEN_KEY, [str(request.base_url).rstrip("/")]))


@app.get("/record/{item_id}")
async def show_record(request: Request, item_id: str, visitor: Visitor = None) -> Response:
    """Show a record, and what goes with it, best for the visitor first."""
    if item_id not in RECORDS:
        raise HTTPException(404, "The shop does not have this record.")
    user = {"user": visitor, "filter": AVAILABLE} if visitor else {"filter": "item_id not in lists.sold_out"}
    goes_with = await call("GET", f"/v1/items/{item_id}/similar", k=4, **user)
    return templates.TemplateResponse(
        request,
        "record.html",
        {"item_id": item_id, "rows": [{"name": "Goes with it", **goes_with}], "records": RECORDS},
    )


@app.post("/country/{country}")
async def set_country(country: str, visitor: Visitor = None) -> Response:
    """Set the visitor's country; a new visitor is a guest with an id of their own."""
    user_id = visitor or str(uuid4())
    await call("PUT", f"/v1/users/{user_id}", {"profile": {"country": country}})
    return remember(visitor=user_id, country=country)


@app.post("/login")
async def log_in(request: Request, visitor: Visitor = None) -> Response:
    """Make everything that the guest did that of the customer who logs in."""
    name = (await read_form(request))["name"]
    if visitor and visitor != name:
        await call("POST", f"/v1/users/{name}/merge", {"from": visitor})
    return remember(visitor=name)


def remember(**values: str) -> Response:
    """Return to the front page, and set cookies."""
    answer = RedirectResponse("/", 303)
    for name, value in values.items():
        answer.set_cookie(name, value, httponly=True, samesite="lax")
    return answer


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a form."""
    return dict(parse_qsl((await request.body()).decode()))


@app.post("/buy/{item_id}")
async def buy(item_id: str, visitor: Annotated[str, Cookie()], list_id: str | None = None) -> Response:
    """Report that the visitor bought a record from a list, and show more of its genre."""
    if item_id not in RECORDS or item_id in sold_out:
        raise HTTPException(404, "This record is not for sale.")
    event_id = f"{list_id}-{item_id}"  # a second click is the same event
    event = {"event_id": event_id, "user_id": visitor, "entity_id": item_id, "list_id": list_id}
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


@app.post("/staff/new")
async def add_record(request: Request) -> Response:
    """Sell a record that came today; it can be listed at once, though the model was trained without it."""
    form = await read_form(request)
    item_id = str(uuid4())
    now = datetime.now(UTC).isoformat()
    record = {"title": form["title"], "artist_id": form["artist"], "genre": form["genre"], "price": 20, "added_at": now}
    record = {**record, "sold_in": COUNTRIES}
    await call("PUT", f"/v1/items/{item_id}", record)
    RECORDS[item_id] = record
    return RedirectResponse(f"/record/{item_id}", 303)
