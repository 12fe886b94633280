"""Group commit: writes that arrive during a commit share the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

MAX_BATCH = 5_000
"""Number of writes after which a batch takes no more, so that a commit does not take long."""


class GroupCommit:
    """Commits one batch of writes at a time, holding `lock`; `commit` returns a result per write, or fails them all."""

    def __init__(self, commit: Callable[[Sequence[Any]], Awaitable[list[Any]]]) -> None:
        self._commit, self.lock = commit, asyncio.Lock()
        self._waiting: list[Any] = []
        self._next: asyncio.Task[list[Any]]

    async def write(self, writes: Sequence[Any]) -> list[Any]:
        """Commit writes with the next batch; return their results."""
        if not 0 < len(self._waiting) < MAX_BATCH:
            self._waiting = []
            self._next = asyncio.create_task(self._commit_next(self._waiting))
        start = len(self._waiting)
        self._waiting += writes
        results = await asyncio.shield(self._next)
        return results[start : start + len(writes)]

    async def _commit_next(self, batch: list[Any]) -> list[Any]:
        """Commit all writes that have arrived by the end of the previous commit."""
        async with self.lock:
            if batch is self._waiting:
                self._waiting = []
            return await self._commit(batch)
