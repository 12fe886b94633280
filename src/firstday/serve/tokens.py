"""Short-lived tokens with which a page of another origin acts for one user, and the rate limit of their users."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections import Counter
from collections.abc import Sequence
from math import ceil
from typing import Annotated

from pydantic import BaseModel, Field, FiniteFloat

HEADER = b"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
"""``{"alg":"HS256","typ":"JWT"}`` as the first part of a token."""
WINDOW_S = 10.0
"""Seconds for which `RateLimit` counts, and keeps users."""


def sign_token(user_id: str | int, key: str, origins: Sequence[str], lifetime_s: float = 900) -> str:
    """Sign a token with which pages of some origins get lists of a user and send the user's events.

    The token is a JSON Web Token (RFC 7519), signed with HMAC-SHA256 (``HS256``), so any JWT library can sign it, too.

    Parameters
    ----------
    user_id
        Your id of the user (claim ``sub``).
    key
        One of the keys in ``FIRSTDAY_SERVE_TOKEN_KEYS``.
    origins
        Origins of the pages, such as ``https://shop.example`` (claim ``aud``). The service must list them in
        ``FIRSTDAY_SERVE_ORIGINS``.
    lifetime_s
        Seconds until the token expires (claim ``exp``).

    Examples
    --------
    >>> token = sign_token("u-4711", "a-key-of-at-least-32-characters-", ["https://shop.example"])
    """
    claims = {"sub": str(user_id), "aud": list(origins), "exp": int(time.time() + lifetime_s)}
    text = HEADER + _encode(json.dumps(claims).encode())
    return (text + b"." + _sign(text, key)).decode()


class Claims(BaseModel, strict=True):
    """What a token says."""

    sub: Annotated[str, Field(min_length=1)]
    aud: Annotated[list[str], Field(min_length=1)]
    exp: FiniteFloat
    nbf: FiniteFloat = 0


def read_token(authorization: str, keys: Sequence[str]) -> Claims | None:
    """Return the claims of the token in an Authorization header, or None if no key signed it or it is not valid now.

    The token's header is signed but not read: whatever algorithm it names, the signature must be HMAC-SHA256.
    """
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        return None
    text, _, signature = token.strip().encode("latin-1").rpartition(b".")
    if not any(hmac.compare_digest(_sign(text, key), signature) for key in keys):
        return None
    try:
        claims = Claims.model_validate_json(base64.urlsafe_b64decode(text.partition(b".")[2] + b"=="))
    except ValueError:
        return None
    return claims if claims.nbf <= time.time() < claims.exp else None


def _sign(text: bytes, key: str) -> bytes:
    return _encode(hmac.digest(key.encode(), text, "sha256"))


def _encode(part: bytes) -> bytes:
    return base64.urlsafe_b64encode(part).rstrip(b"=")


class RateLimit:
    """Counts the requests of each user in windows of `WINDOW_S` seconds."""

    def __init__(self, most: int) -> None:
        self._most, self._counts, self._ends_at = most, Counter[str](), 0.0

    def wait_s(self, user_id: str) -> int:
        """Count a request; return 0, or the seconds until the next window if the user has sent too many."""
        left_s = self._ends_at - time.monotonic()
        if left_s <= 0:
            self._counts.clear()
            self._ends_at = time.monotonic() + WINDOW_S
        self._counts[user_id] += 1
        return 0 if self._counts[user_id] <= self._most else ceil(left_s)
