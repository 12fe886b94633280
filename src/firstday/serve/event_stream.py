"""Streams of events in JSON Lines, read in batches to bound memory."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator

from pydantic import TypeAdapter, ValidationError

from firstday.errors import describe_fault
from firstday.serve.schemas import MAX_EVENTS, EventBody, LineError
from firstday.serve.store.base import Event

_EVENTS = TypeAdapter(EventBody)
MAX_LINE_BYTES = 2**16
"""Longer lines are rejected without being buffered in full."""


async def read_stream(
    chunks: AsyncIterable[bytes],
) -> AsyncIterator[tuple[int, list[tuple[str, Event]], list[LineError]]]:
    """Read a stream, whose chunks may end anywhere, in batches of about `MAX_EVENTS` lines.

    Yields the number of lines read so far, the user ids and events of the batch, and the errors in its lines.
    """
    events: list[tuple[str, Event]] = []
    faults: list[LineError] = []
    number = 0
    async for line in _split_lines(chunks):
        number += 1
        if len(line) > MAX_LINE_BYTES:
            faults.append(LineError(line=number, field="", message=f"Has more than {MAX_LINE_BYTES:,} bytes"))
        elif line.strip():
            try:
                event = _EVENTS.validate_json(line)
                events.append((event.user_id, event))
            except ValidationError as error:
                faults += [
                    LineError(line=number, field=field, message=message)
                    for field, message in map(describe_fault, error.errors(include_url=False))
                ]
        if len(events) + len(faults) >= MAX_EVENTS:
            yield number, events, faults
            events = []
            faults = []
    yield number, events, faults


async def _split_lines(chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Yield the lines; buffer at most `MAX_LINE_BYTES` + 1 bytes between chunks."""
    rest = b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line
        rest = rest[: MAX_LINE_BYTES + 1]
    if rest:
        yield rest
