"""The page on which people try the model: fixed files, open to everyone who reaches the service."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True)
class PageFile:
    """A file of the page.

    Parameters
    ----------
    content
        Its bytes.
    headers
        How it is answered: its kind, its tag for caches, and for HTML the policy.
    """

    content: bytes
    headers: Mapping[str, str]


def read_files(*, needs_keys: bool) -> dict[str, PageFile]:
    """Return the files that were installed with firstday, by name.

    Parameters
    ----------
    needs_keys
        Whether the service has keys: the page then asks for one before it asks the service for anything.
    """
    contents = {place.name: place.read_bytes() for place in (files("firstday.serve") / FOLDER).iterdir()}
    if needs_keys:
        contents[INDEX] = contents[INDEX].replace(_KEYS_UNKNOWN, _KEYS_NEEDED, 1)
    return {name: _file(name, content) for name, content in contents.items()}


def _file(name: str, content: bytes) -> PageFile:
    """Put a file's headers beside it; browsers keep it and ask whether it is still the same."""
    kind = _KINDS[name[name.rindex(".") :]]
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    return PageFile(
        content,
        {"Content-Type": kind, "ETag": tag, "Cache-Control": "no-cache", "Content-Security-Policy": POLICY},
    )


def make_router(page: Mapping[str, PageFile]) -> APIRouter:
    """Return the routes of the page, which are no part of the described API.

    Parameters
    ----------
    page
        Its files by name.
    """
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def read_page(request: Request) -> Response:
        return _send(page[INDEX], request)

    @router.get("/page/{name}")
    async def read_part(request: Request, name: str) -> Response:
        if name == INDEX or name not in page:
            raise ApiError(404, "not_found", "The page has no such file.")
        return _send(page[name], request)

    return router


def _send(file: PageFile, request: Request) -> Response:
    """Send a file, or say that the browser's copy is still the same."""
    same = request.headers.get("if-none-match") == file.headers["ETag"]
    return Response(b"" if same else file.content, 304 if same else 200, headers=dict(file.headers))
