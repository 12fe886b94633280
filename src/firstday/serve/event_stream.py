"""Events as a stream: a JSON object on each line, kept in groups, so that memory does not grow with the stream."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from firstday.serve.http_errors import MAX_ERRORS, describe_fault, name_field
from firstday.serve.schemas import MAX_EVENTS, EventBody
from firstday.serve.store.base import Event

MAX_LINE_BYTES = 2**16
"""A longer line is no event; it is passed over without being held."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

Keep = Callable[[Sequence[tuple[str, Event]]], Awaitable[tuple[int, list[str]]]]


@dataclass
class StreamCounts:
    """What became of a stream so far.

    Parameters
    ----------
    accepted, duplicates, not_understood
        See `firstday.serve.schemas.EventsAnswer`.
    refused
        Lines that are no events.
    errors
        The first of them, each as a `LineError`.
    n_lines
        Lines of which all that is good is durable.
    """

    accepted: int = 0
    duplicates: int = 0
    not_understood: int = 0
    refused: int = 0
    errors: list[dict[str, Any]] = field(default_factory=list)
    n_lines: int = 0


async def keep_stream(parts: AsyncIterable[bytes], keep: Keep, counts: StreamCounts) -> None:
    """Keep the events of a stream, a group at a time, and count them; a line that is none is passed over.

    Parameters
    ----------
    parts
        The stream, cut anywhere.
    keep
        Makes events durable; returns how many were new, and a sentence on each that names what is unknown.
    counts
        Grows with each group that is durable; it is right also where `parts` or `keep` raises.
    """
    group: list[tuple[str, Event]] = []
    number = 0

    async def finish() -> None:
        if group:
            accepted, unknown = await keep(group)
            counts.accepted += accepted
            counts.duplicates += len(group) - accepted
            counts.not_understood += len(unknown)
            group.clear()
        counts.n_lines = number

    async for line in _split_lines(parts):
        number += 1
        read = _read_line(line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line)
        if isinstance(read, tuple):
            group.append(read)
        elif read:
            counts.refused += 1
            faults = [{"line": number, "field": name, "message": message} for name, message in read]
            counts.errors += faults[: MAX_ERRORS - len(counts.errors)]
        if len(group) == MAX_EVENTS:
            await finish()
    await finish()


def _read_line(line: bytes) -> tuple[str, Event] | list[tuple[str, str]]:
    """Return the event of a line, or what is wrong with it, field by field; nothing is wrong with a blank line."""
    if not line.strip():
        return []
    if len(line) > MAX_LINE_BYTES:
        return [("", f"The line has more than {MAX_LINE_BYTES:,} bytes")]
    try:
        return EventBody.model_validate_json(line).to_event()
    except ValidationError as error:
        return [
            ("", "The line is not JSON")
            if fault["type"] == "json_invalid"
            else (name_field(("line", *fault["loc"])) if fault["loc"] else "", describe_fault(fault))
            for fault in error.errors(include_url=False)
        ]


async def _split_lines(parts: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Give the lines; of one that is too long no more is held than shows it."""
    held = b""
    async for part in parts:
        *lines, held = (held + part).split(b"\n")
        for line in lines:
            yield line
        held = held[: MAX_LINE_BYTES + 1]
    if held:
        yield held
