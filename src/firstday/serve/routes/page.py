"""The page on which people try the model: fixed files, open to everyone who reaches the service."""

from __future__ import annotations

import hashlib
from importlib.resources import files

from fastapi import APIRouter, Request, Response

from firstday.serve.http_errors import ApiError

FOLDER = "page"
INDEX = "index.html"
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",  # no text ever becomes markup
        "trusted-types 'none'",
    )
)
"""Everything comes from this host, and nothing that stands in a page or in data is run."""

_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_KEYS_UNKNOWN, _KEYS_NEEDED = b'data-keys="none"', b'data-keys="needed"'


def make_router(*, needs_keys: bool) -> APIRouter:
    """Return the routes of the page, which are no part of the described API.

    Parameters
    ----------
    needs_keys
        Whether the service has keys: the page then asks for one before it asks the service for anything.
    """
    contents = {place.name: place.read_bytes() for place in (files("firstday.serve") / FOLDER).iterdir()}
    if needs_keys:
        contents[INDEX] = contents[INDEX].replace(_KEYS_UNKNOWN, _KEYS_NEEDED, 1)
    tags = {name: f'"{hashlib.sha256(content).hexdigest()[:32]}"' for name, content in contents.items()}
    router = APIRouter(include_in_schema=False)

    def send(name: str, request: Request) -> Response:
        """Send a file, or say that the browser's copy is still the same."""
        is_same = request.headers.get("if-none-match") == tags[name]
        headers = {
            "Content-Type": _KINDS[name[name.rindex(".") :]],
            "ETag": tags[name],
            "Cache-Control": "no-cache",
            "Content-Security-Policy": POLICY,
        }
        return Response(b"" if is_same else contents[name], 304 if is_same else 200, headers)

    @router.get("/")
    async def read_page(request: Request) -> Response:
        return send(INDEX, request)

    @router.get("/page/{name}")
    async def read_part(request: Request, name: str) -> Response:
        if name == INDEX or name not in contents:
            raise ApiError(404, "not_found", "The page has no such file.")
        return send(name, request)

    return router
