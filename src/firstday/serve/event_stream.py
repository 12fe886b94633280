"""Events as a stream: a JSON object on each line, kept in groups, so that memory does not grow with the stream."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

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
        Line, field and message of the first of them.
    n_lines
        Lines of which all that is good is durable.
    """

    accepted: int = 0
    duplicates: int = 0
    not_understood: int = 0
    refused: int = 0
    errors: list[tuple[int, str, str]] = field(default_factory=list)
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

    async for number, line in _split_lines(parts):
        event = _read_line(number, line, counts)
        if event is not None:
            group.append(event)
        if len(group) == MAX_EVENTS:
            await finish()
    await finish()


def _read_line(number: int, line: bytes | None, counts: StreamCounts) -> tuple[str, Event] | None:
    """Return the event of a line; None where it has none, which is counted unless it is blank."""
    if line is not None and not line.strip():
        return None
    try:
        if line is None:
            faults = [("", f"The line has more than {MAX_LINE_BYTES:,} bytes")]
        else:
            return EventBody.model_validate_json(line).to_event()
    except ValidationError as error:
        faults = [
            ("", "The line is not JSON")
            if fault["type"] == "json_invalid"
            else (name_field(("line", *fault["loc"])) if fault["loc"] else "", describe_fault(fault))
            for fault in error.errors(include_url=False)
        ]
    counts.refused += 1
    counts.errors += [(number, name, message) for name, message in faults][: MAX_ERRORS - len(counts.errors)]
    return None


async def _split_lines(parts: AsyncIterable[bytes]) -> AsyncIterator[tuple[int, bytes | None]]:
    """Give the lines with their numbers, from 1; None stands for one that is too long, of which no more is held."""
    number, held, is_too_long = 1, b"", False
    async for part in parts:
        first, *others = part.split(b"\n")
        held += first
        for other in others:
            yield number, _whole(number, held, is_too_long=is_too_long)
            number, held, is_too_long = number + 1, other, False
        if len(held) > MAX_LINE_BYTES:
            held, is_too_long = b"", True
    if held or is_too_long:
        yield number, _whole(number, held, is_too_long=is_too_long)


def _whole(number: int, line: bytes, *, is_too_long: bool) -> bytes | None:
    if is_too_long or len(line) > MAX_LINE_BYTES:
        return None
    return line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line
