"""Group commit: writes that arrive during a commit share the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

W = TypeVar("W")


class GroupCommit(Generic[W]):
    """Writes, one commit at a time.

    `commit` returns one result per write. If it raises, all writes of the batch fail. It holds `lock` meanwhile.
    """

    def __init__(self, commit: Callable[[Sequence[W]], Awaitable[Sequence[Any]]]) -> None:
        self._commit = commit
        self._waiting: list[W] = []
        self._next: asyncio.Task[Sequence[Any]]
        self.lock = asyncio.Lock()

    async def write(self, write: W) -> Any:
        """Take part in the next commit; return the result after it."""
        if not self._waiting:
            self._next = asyncio.create_task(self._commit_waiting())
        self._waiting.append(write)
        number = len(self._waiting) - 1
        commit = self._next
        return (await asyncio.shield(commit))[number]

    async def _commit_waiting(self) -> Sequence[Any]:
        """Commit all writes that have arrived by the end of the previous commit."""
        async with self.lock:
            batch, self._waiting = self._waiting, []
            return await self._commit(batch)
