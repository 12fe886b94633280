"""Requests that arrive together are answered together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

A = TypeVar("A")
R = TypeVar("R")

BATCH_SIZE = 32
"""Requests answered in one pass, at most: bounds how long others wait."""


class Batcher(Generic[A, R]):
    """Collects what arrives in one turn of the event loop, and answers it in one pass.

    Nothing waits for company: a request that is alone is answered alone. Under load the requests that arrive during one
    pass are the next one, so that the cost of each falls as more arrive.

    Parameters
    ----------
    answer
        Answers several requests, each by its reply or its error.
    """

    def __init__(self, answer: Callable[[Sequence[A]], Awaitable[Sequence[R | Exception]]]) -> None:
        self._answer_all = answer
        self._waiting: list[tuple[A, asyncio.Future[R]]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, ask: A) -> R:
        """Return the reply to a request, or raise its error."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._begin)
        self._waiting.append((ask, future))
        return await future

    def _begin(self) -> None:
        """Take what waits, in parts."""
        waiting, self._waiting = self._waiting, []
        for at in range(0, len(waiting), BATCH_SIZE):
            task = asyncio.get_running_loop().create_task(self._answer(waiting[at : at + BATCH_SIZE]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, waiting: Sequence[tuple[A, asyncio.Future[R]]]) -> None:
        """Hand each request its reply or its error, unless nobody waits any more."""
        results: Sequence[R | Exception]
        try:
            results = await self._answer_all([ask for ask, _ in waiting])
        except Exception as error:
            results = [error] * len(waiting)
        for (_, future), result in zip(waiting, results, strict=True):
            if future.done():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
