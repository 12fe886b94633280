"""Errors of a server as `StoreError`, with a cool-down after a failed connection."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from firstday.serve.store.base import StoreError


class CoolDown:
    """After a failed connection, calls fail at once for `retry_s` seconds.

    `lost` are exceptions that mean that the server cannot be reached, in addition to `OSError`; `rejected` are those by
    which it refuses a call. `name` begins the messages.
    """

    def __init__(self, name: str, retry_s: float, lost: tuple[type[Exception], ...], rejected: type[Exception]) -> None:
        self.name, self._retry_s, self._lost, self._rejected = name, retry_s, (OSError, *lost), rejected
        self._until = 0.0

    @contextmanager
    def call(self) -> Iterator[None]:
        """Run a call in this context."""
        if time.monotonic() < self._until:
            raise StoreError(f"{self.name} could not be reached just now; try again in a second.")
        try:
            yield
        except self._lost as error:
            self._until = time.monotonic() + self._retry_s
            raise StoreError(f"{self.name} cannot be reached ({_describe(error)}); try again in a second.") from error
        except self._rejected as error:
            raise StoreError(f"{self.name} rejected the call ({_describe(error)}); see its log.") from error


def _describe(error: Exception) -> str:
    """Return the first line of an error's message; the others may contain data."""
    return str(error).partition("\n")[0].rstrip(".") or type(error).__name__
