"""Structured logs on standard error: one JSON object a line, or a plain text for a terminal."""

from __future__ import annotations

import json
import logging
import sys
import time
from datetime import UTC, datetime
from typing import Literal

_requests = logging.getLogger("firstday.serve.requests")


def _fields(record: logging.LogRecord) -> dict[str, object]:
    """Return what a record holds beside its text."""
    fields = dict(getattr(record, "fields", {}))
    if record.exc_info and record.exc_info[1] is not None:
        fields["traceback"] = logging.Formatter().formatException(record.exc_info)
    return fields


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, event, and what belongs to it."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        line = {"time": _time(record), "level": record.levelname.lower(), "event": record.getMessage()}
        return json.dumps({**line, **_fields(record)}, ensure_ascii=False, default=str)


class TextLines(logging.Formatter):
    """The same for people."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        fields = _fields(record)
        traceback = fields.pop("traceback", None)
        told = " ".join(f"{name}={value}" for name, value in fields.items())
        line = f"{_time(record)} {record.levelname.lower()} {record.getMessage()} {told}".rstrip()
        return f"{line}\n{traceback}" if traceback else line


class RequestLog:
    """A line for each request, written as `logging` would write it, at a fifth of its cost.

    Parameters
    ----------
    is_on
        Whether anything is written.
    """

    def __init__(self, *, is_on: bool) -> None:
        self._is_on = is_on and _requests.isEnabledFor(logging.INFO)
        handlers = logging.getLogger("firstday").handlers
        self._is_text = bool(handlers) and isinstance(handlers[0].formatter, TextLines)

    def write(self, request_id: str, method: str, route: str, status: int, seconds: float, client: str) -> None:
        """Write a line. None of it is the client's own text but the id, which is checked, and what a proxy calls it."""
        if not self._is_on:
            return
        now = datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds")
        ms, client = round(1000 * seconds, 2), json.dumps(client)
        if self._is_text:
            line = f"{now} info request {method} {route} {status} {ms} ms client={client} request_id={request_id}\n"
        else:
            line = (
                f'{{"time": "{now}", "level": "info", "event": "request", "request_id": "{request_id}", '
                f'"method": "{method}", "route": "{route}", "status": {status}, "ms": {ms}, "client": {client}}}\n'
            )
        sys.stderr.write(line)


def set_up_logs(level: str, form: Literal["auto", "json", "text"]) -> None:
    """Send the logs of the service and of uvicorn to standard error."""
    is_text = form == "text" or (form == "auto" and sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(TextLines() if is_text else JsonLines())
    for name, least in (("firstday", level), ("uvicorn", "warning")):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(least.upper())
