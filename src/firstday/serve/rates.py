"""How many requests a second each client may send."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

MAX_CLIENTS = 10_000
"""Clients remembered; beyond that the one that was quiet longest is forgotten."""


class RateLimit:
    """A bucket of tokens for each client: a second's worth at most, filled at the rate.

    Parameters
    ----------
    per_s
        Requests a second; 0: no limit.
    now_s
        Tells the time.
    """

    def __init__(self, per_s: float, now_s: Callable[[], float] = time.monotonic) -> None:
        self._per_s, self._now_s = per_s, now_s
        self._full = max(1.0, per_s)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str) -> float:
        """Take a token; return 0, or the seconds until there is one."""
        if not self._per_s:
            return 0.0
        now = self._now_s()
        tokens, since = self._buckets.pop(client, (self._full, now))
        tokens = min(self._full, tokens + (now - since) * self._per_s)
        wait = 0.0 if tokens >= 1 else (1 - tokens) / self._per_s
        self._buckets[client] = (tokens if wait else tokens - 1, now)
        if len(self._buckets) > MAX_CLIENTS:
            self._buckets.popitem(last=False)
        return wait
