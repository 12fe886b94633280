"""Errors of a server as `StoreError`, with a cool-down after a failed connection."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from firstday.serve.store.log import StoreError


class CoolDown:
    """Calls to a server; after a failed connection, they fail at once for `retry_s` seconds.

    `errors` are the exceptions of its client, next to `OSError`; `is_lost` returns whether one of them means that the
    server cannot be reached, rather than that it refused the call. Messages begin with `name`.
    """

    def __init__(self, name: str, retry_s: float, errors: type[Exception], is_lost: Callable[[Any], bool]) -> None:
        self.name, self._retry_s, self._errors, self._is_lost = name, retry_s, errors, is_lost
        self._until = 0.0

    @contextmanager
    def call(self) -> Iterator[None]:
        """Convert errors of a call in this context to `StoreError`."""
        if time.monotonic() < self._until:
            raise StoreError(f"{self.name} could not be reached just now; try again in a second.")
        try:
            yield
        except (OSError, self._errors) as error:
            reason = str(error).partition("\n")[0].rstrip(".") or type(error).__name__  # further lines may have data
            if isinstance(error, OSError) or self._is_lost(error):
                self._until = time.monotonic() + self._retry_s
                raise StoreError(f"{self.name} cannot be reached ({reason}); try again in a second.") from error
            raise StoreError(f"{self.name} rejected the call ({reason}); see its log.") from error
