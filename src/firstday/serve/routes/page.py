"""The page on which people try the model: fixed files, open to everyone who reaches the service."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Request, Response
from starlette.routing import BaseRoute

from firstday.serve.access import guarded
from firstday.serve.errors import ApiError
from firstday.serve.page_files import PageFile, PageFiles


def page_routes(page: PageFiles) -> Sequence[BaseRoute]:
    """Return the routes of the page, which are no part of the described API.

    Parameters
    ----------
    page
        Its files.
    """
    router = APIRouter(route_class=guarded("open"), include_in_schema=False)

    @router.get("/")
    async def read_page(request: Request) -> Response:
        return _send(page.index, request)

    @router.get("/page/{name}")
    async def read_part(request: Request, name: str) -> Response:
        if name not in page.parts:
            raise ApiError(404, "not_found", "The page has no such file.")
        return _send(page.parts[name], request)

    return router.routes


def _send(file: PageFile, request: Request) -> Response:
    """Send a file, or say that the browser's copy is still the same."""
    same = request.headers.get("if-none-match") == file.headers["ETag"]
    return Response(b"" if same else file.content, 304 if same else 200, headers=dict(file.headers))
