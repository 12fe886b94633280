"""Streams of events or items in JSON Lines, read in batches to bound memory."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError
from starlette.requests import ClientDisconnect

from firstday.errors import describe_fault
from firstday.serve.http_errors import MAX_ERRORS, ApiError, as_api_error, describe_bytes
from firstday.serve.schemas import MAX_EVENTS, LineError
from firstday.serve.store.log import StoreError

T = TypeVar("T")
MAX_LINE_BYTES = 2**16
"""Longer lines are rejected without being buffered in full."""
MAX_BATCH_BYTES = 2**20
"""Approximate size of a batch; other requests wait while it is read."""
_NOT_BLANK = re.compile(rb"\S[^\n]*")


async def store_stream(
    chunks: AsyncIterable[bytes],
    kind: TypeAdapter[T],
    store: Callable[[Sequence[T]], Awaitable[Mapping[str, int]]],
    noun: str,
) -> tuple[Counter[str], list[LineError]]:
    """Store records of a kind as they arrive; return the counts of `store`, with `refused`, and the first errors.

    If the stream is interrupted, the error says how many lines are stored. `noun` is the plural of the kind.
    """
    totals: Counter[str] = Counter()
    errors: list[LineError] = []
    n_lines = 0
    try:
        async for n_read, records, faults in read_stream(chunks, kind):
            totals.update(await store(records), refused=len({fault.line for fault in faults}))
            errors += faults[: MAX_ERRORS - len(errors)]
            n_lines = n_read
    except (ApiError, StoreError, ClientDisconnect) as error:
        failure = as_api_error(error)
        failure.detail += f" The {noun} of the first {n_lines:,} lines are stored; sending them again is safe."
        raise failure from None
    if not totals.total() - totals["refused"]:
        fields = [(f"line {one.line}{one.field and ', '}{one.field}", one.message) for one in errors]
        first = ": ".join([*fields, ("body", "It is empty")][0])
        raise ApiError(422, "invalid", f"No line of the stream is a valid {noun[:-1]}; first error: {first}.", fields)
    return totals, errors


async def read_stream(
    chunks: AsyncIterable[bytes], kind: TypeAdapter[T]
) -> AsyncIterator[tuple[int, list[T], list[LineError]]]:
    """Read a stream, whose chunks may end anywhere, in batches of about `MAX_EVENTS` lines or `MAX_BATCH_BYTES`.

    Yields the number of lines read so far, the records of the batch, and the errors in its lines.
    """
    records: list[T] = []
    faults: list[LineError] = []
    number = n_bytes = 0
    async for number, line in _split_lines(chunks):
        n_bytes += len(line)
        if len(line) > MAX_LINE_BYTES:
            faults.append(LineError(line=number, field="", message=f"Has more than {MAX_LINE_BYTES:,} bytes"))
        else:
            try:
                records.append(kind.validate_json(line.decode()))
            except UnicodeDecodeError as error:
                faults.append(LineError(line=number, field="", message=describe_bytes(error)))
            except ValidationError as error:
                faults += [
                    LineError(line=number, field=field, message=message)
                    for field, message in map(describe_fault, error.errors(include_url=False))
                ]
        if len(records) + len(faults) >= MAX_EVENTS or n_bytes >= MAX_BATCH_BYTES:
            yield number, records, faults
            n_bytes = 0
            records = []
            faults = []
            await asyncio.sleep(0)  # other requests
    yield number, records, faults


async def _split_lines(chunks: AsyncIterable[bytes]) -> AsyncIterator[tuple[int, bytes]]:
    """Yield number and text of lines that are not blank; buffer at most `MAX_LINE_BYTES` + 1 bytes between chunks."""
    number, rest = 1, b""
    async for chunk in chunks:
        text = rest + chunk
        at, end = 0, text.rfind(b"\n") + 1
        for line in _NOT_BLANK.finditer(text, 0, end):
            number += text.count(b"\n", at, line.start())
            at = line.start()
            yield number, line[0]
        number += text.count(b"\n", at, end)
        rest = text[end:].lstrip()[: MAX_LINE_BYTES + 1]
    if rest:
        yield number, rest
