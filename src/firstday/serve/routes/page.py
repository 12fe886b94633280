"""The demo page: static files, readable without a key."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from starlette.responses import Response
from starlette.routing import Route

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


def make_routes(*, needs_keys: bool) -> list[Route]:
    """Return a route for each file; with `needs_keys`, the page asks for a key before its first request."""
    routes = []
    for file in (files("firstday.serve") / "page").iterdir():
        content = file.read_bytes()
        if needs_keys:
            content = content.replace(b'data-keys="none"', b'data-keys="needed"')
        kind = _KINDS[Path(file.name).suffix]
        headers = {"Content-Type": kind, "Cache-Control": "no-cache", "Content-Security-Policy": POLICY}
        path = "/" if file.name == "index.html" else f"/page/{file.name}"
        routes.append(Route(path, Response(content, headers=headers), methods=["GET"]))
    return routes
