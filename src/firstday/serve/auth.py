"""Who may do what: keys for reading, writing and administration, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, Literal

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from firstday.serve.http_errors import ApiError
from firstday.serve.settings import ServeSettings

Right = Literal["open", "read", "write", "admin"]

LISTS = ("liked", "passed")
"""Parameters that may be given more than once."""

_SCHEME = b"bearer "


class Keys:
    """The keys of each right, as digests.

    Parameters
    ----------
    settings
        The keys.
    """

    def __init__(self, settings: ServeSettings) -> None:
        self.any = settings.has_keys
        self._digests: list[tuple[Right, bytes]] = []
        for right, keys in (
            ("read", settings.read_keys),
            ("write", settings.write_keys),
            ("admin", settings.admin_keys),
        ):
            self._digests += [(right, _digest(key.get_secret_value().encode())) for key in keys]  # type: ignore[misc]

    def rights_of(self, authorization: bytes) -> frozenset[Right]:
        """Return what the key in an Authorization header opens; every key is compared, whatever was found before."""
        if authorization[: len(_SCHEME)].lower() != _SCHEME:
            return frozenset()
        given = _digest(authorization[len(_SCHEME) :].strip())
        compared = [(right, hmac.compare_digest(given, digest)) for right, digest in self._digests]
        return frozenset(right for right, same in compared if same)

    def check(self, rights: frozenset[Right], needed: Right, *, presented: bool) -> None:
        """Refuse a request that may not do what it asks.

        Parameters
        ----------
        rights
            What its key opens.
        needed
            What the path needs.
        presented
            Whether there was an Authorization header at all.

        Raises
        ------
        ApiError
            401 without a key or with one that is none, 403 with one for something else.
        """
        if needed == "open" or not self.any or needed in rights:
            return
        if rights:
            raise ApiError(403, "forbidden", f"This key does not open what needs the {needed} right; use another.")
        what = "is not known" if presented else "is missing"
        raise ApiError(
            401,
            "unauthorized",
            f"The key {what}; send a {needed} key as Authorization: Bearer KEY.",
            headers={"WWW-Authenticate": "Bearer"},
        )


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def guarded(right: Right) -> type[APIRoute]:
    """Return the kind of route that needs a right, checked before anything of the request is read."""

    class GuardedRoute(APIRoute):
        def __init__(self, path: str, endpoint: Callable[..., Any], **values: Any) -> None:
            if right != "open":
                # The empty alternative: where no key is set, none is needed.
                told: dict[str, Any] = {"security": [{right: []}, {}]}
                values["openapi_extra"] = {**(values.get("openapi_extra") or {}), **told}
            super().__init__(path, endpoint, **values)

        @staticmethod
        def check_right(request: Request) -> None:
            """Refuse a request whose key does not open this."""
            scope = request.scope
            request.app.state.service.keys.check(scope["firstday.rights"], right, presented=scope["firstday.presented"])

        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()
            takes_body = self.body_field is not None

            async def check_and_handle(request: Request) -> Response:
                self.check_right(request)
                refuse_repeats(request)
                if takes_body and not _is_json(request):
                    raise ApiError(
                        415, "unsupported_media_type", "The body must be JSON; send Content-Type: application/json."
                    )
                return await handle(request)

            return check_and_handle

    return GuardedRoute


def refuse_repeats(request: Request) -> None:
    """Refuse a parameter that is given more than once and has one value: which one counts would be a guess."""
    if b"&" not in request.scope["query_string"]:
        return
    names = Counter(name for name, _ in request.query_params.multi_items())
    repeated = [name for name, n in names.items() if n > 1 and name not in LISTS]
    if repeated:
        faults = [{"type": "repeated", "loc": ("query", name), "msg": "Given more than once"} for name in repeated]
        raise RequestValidationError(faults)


def _is_json(request: Request) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json"
