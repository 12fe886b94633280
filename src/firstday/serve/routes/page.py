"""The demo page: static files, readable without a key."""

from __future__ import annotations

import hashlib
from importlib.resources import files

from fastapi import APIRouter, Request, Response

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
        "require-trusted-types-for 'script'",  # forbids assigning text as markup
        "trusted-types 'none'",
    )
)
"""Content security policy: resources come only from this host, and no inline script runs."""

_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def make_router(*, needs_keys: bool) -> APIRouter:
    """Return the routes of the page, which are not in the OpenAPI document.

    With `needs_keys`, the page asks for a key before its first request.
    """
    router = APIRouter(include_in_schema=False)
    for file in (files("firstday.serve") / "page").iterdir():
        content = file.read_bytes()
        if needs_keys:
            content = content.replace(b'data-keys="none"', b'data-keys="needed"')
        _add_file(router, file.name, content)
    return router


def _add_file(router: APIRouter, name: str, content: bytes) -> None:
    """Serve a file; answer 304 if the browser's copy is current."""
    headers = {
        "Content-Type": _KINDS[name[name.rindex(".") :]],
        "ETag": f'"{hashlib.sha256(content).hexdigest()[:32]}"',
        "Cache-Control": "no-cache",
        "Content-Security-Policy": POLICY,
    }

    @router.get("/" if name == "index.html" else f"/page/{name}")
    async def read_file(request: Request) -> Response:
        is_same = request.headers.get("if-none-match") == headers["ETag"]
        return Response(b"" if is_same else content, 304 if is_same else 200, headers)
