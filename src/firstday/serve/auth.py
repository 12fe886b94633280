"""What a request must be before an endpoint looks at it: who may do what, and the form of parameters and bodies."""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from typing import Any, Literal
from urllib.parse import parse_qsl

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer

from firstday.serve.http_errors import ApiError
from firstday.serve.settings import ServeSettings

Right = Literal["read", "write", "admin"]

LISTS = ("liked", "passed")
"""Parameters that may be given more than once."""

_SCHEME = b"bearer "


class Keys:
    """The keys of each right, as digests, compared in constant time.

    Parameters
    ----------
    settings
        The keys.
    """

    def __init__(self, settings: ServeSettings) -> None:
        self.any = settings.has_keys
        by_right: dict[Right, Any] = {
            "read": settings.read_keys,
            "write": settings.write_keys,
            "admin": settings.admin_keys,
        }
        self._digests = [
            (right, _digest(key.get_secret_value().encode())) for right, keys in by_right.items() for key in keys
        ]

    def rights_of(self, authorization: bytes) -> frozenset[Right]:
        """Return what the key in an Authorization header opens; every key is compared, whatever matched before."""
        if authorization[: len(_SCHEME)].lower() != _SCHEME:
            return frozenset()
        digest = _digest(authorization[len(_SCHEME) :].strip())
        compared = [(right, hmac.compare_digest(digest, other)) for right, other in self._digests]
        return frozenset(right for right, same in compared if same)

    def check(self, request: Request, right: Right) -> None:
        """Refuse a request whose key does not open a right.

        Raises
        ------
        ApiError
            401 without a key or with one that is none, 403 with one for something else.
        """
        rights: frozenset[Right] = request.scope["firstday.rights"]
        if not self.any or right in rights:
            return
        if rights:
            raise ApiError(403, "forbidden", f"This key does not open what needs the {right} right; use another.")
        raise unauthorized(f"a {right} key", is_given=bool(request.headers.get("authorization")))


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def unauthorized(key: str, *, is_given: bool) -> ApiError:
    """Return the error of a request without a key that is known; `key` says which one is needed."""
    return ApiError(
        401,
        "unauthorized",
        f"The key {'is not known' if is_given else 'is missing'}; send {key} as Authorization: Bearer KEY.",
        headers={"WWW-Authenticate": "Bearer"},
    )


def need(right: Right) -> list[Any]:
    """Return the dependencies of endpoints that need a key: what checks it, and what describes it in the document."""

    async def check(request: Request) -> None:
        request.app.state.service.keys.check(request, right)

    return [Depends(HTTPBearer(scheme_name=right, description=f"A {right} key.", auto_error=False)), Depends(check)]


def parse_parameters(request: Request) -> dict[str, str]:
    """Return the parameters of a query.

    Raises
    ------
    RequestValidationError
        One is given more than once and has one value: which one counts would be a guess.
    """
    pairs = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    values = dict(pairs)
    if len(values) < len(pairs):
        repeats = [name for name, n in Counter(name for name, _ in pairs).items() if n > 1 and name not in LISTS]
        faults = [{"type": "repeated", "loc": ("query", name), "msg": "Given more than once"} for name in repeats]
        if faults:
            raise RequestValidationError(faults)
    return values


async def refuse_repeats(request: Request) -> None:
    """Refuse a parameter that is given more than once and has one value."""
    parse_parameters(request)


async def need_json(request: Request) -> None:
    """Refuse a body that is not JSON by its own account."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise ApiError(415, "unsupported_media_type", "The body must be JSON; send Content-Type: application/json.")
