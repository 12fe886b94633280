"""Structured logs and Prometheus metrics."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal

import pydantic_core
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from firstday.serve.store.log import StoreError

_log = logging.getLogger("firstday.serve")


class Lines(logging.Formatter):
    """Formats the time, level, event and fields of a record as one line: a JSON object, or NAME=VALUE text."""

    def __init__(self, *, is_text: bool) -> None:
        super().__init__()
        self._is_text = is_text

    def format(self, record: logging.LogRecord) -> str:
        """Format a record."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        if self._is_text:
            return " ".join(f"{name}={value}" for name, value in line.items())
        return pydantic_core.to_json(line, fallback=str).decode()


def set_up_logs(level: str, log_format: Literal["auto", "json", "text"]) -> None:
    """Send the logs of the service, psycopg and uvicorn to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines(is_text=log_format == "text" or (log_format == "auto" and sys.stderr.isatty())))
    for name, minimum in (("firstday", level), ("psycopg", "error"), ("uvicorn", "warning")):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(minimum.upper())


DURATION_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)

disable_created_metrics()  # type: ignore[no-untyped-call]  # an unneeded extra series for each counter


class Metrics:
    """Metrics of one service, in a registry of its own, since a process may run several services."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        options: dict[str, Any] = {"namespace": "firstday", "registry": self.registry}
        self._requests = Counter("requests", "Requests answered.", ["method", "route", "status"], **options)
        self._seconds = Histogram(
            "request_seconds",
            "Time from the arrival of a request to its last byte.",
            ["method", "route"],
            buckets=DURATION_BUCKETS_S,
            **options,
        )
        self.lists = Counter("recommendations", "Recommended lists.", ["strategy", "answered_by"], **options)
        self.variant_lists = Counter(
            "experiment_recommendations",
            "Recommended lists for users who take part in an experiment.",
            ["experiment", "variant", "answered_by"],
            **options,
        )
        self.events = Counter("events", "Events received: new ones, or duplicate ids.", ["outcome"], **options)
        self.events_not_understood = Counter(
            "events_not_understood", "Events with a signal, entity or id that the model does not know.", **options
        )
        self._store_errors = Counter("store_errors", "Calls to the store that failed.", ["call"], **options)
        self.store_up = {"reads": True, "writes": True}
        up = Gauge("store_up", "1 if the last read or write of the store succeeded, else 0.", ["for"], **options)
        for use in self.store_up:
            up.labels(use).set_function(partial(self.store_up.__getitem__, use))
        self.lists_not_recorded = Counter("lists_not_recorded", "Lists that could not be recorded.", **options)
        self.reloads = Counter("model_reloads", "Reloads of the model.", ["outcome"], **options)
        self.reloads.labels("refused")  # counted from 0, since a first sample of 1 is no increase
        self._model = Info("model", "The current model.", **options)
        self._items = Gauge(
            "items", "Items that are new, that differ from the model, or that are withdrawn.", ["state"], **options
        )
        self._model_loaded = Gauge("model_loaded_timestamp_seconds", "Time at which the model was loaded.", **options)

    def set_items(self, n_new: int, n_changed: int, n_withdrawn: int) -> None:
        """Set the numbers of new items, of the model's items that differ from it, and of withdrawn ones."""
        for state, n in (("new", n_new), ("changed", n_changed), ("withdrawn", n_withdrawn)):
            self._items.labels(state).set(n)

    def count_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(method, route, status).inc()
        self._seconds.labels(method, route).observe(seconds)

    @contextmanager
    def store_call(self, call: str) -> Iterator[None]:
        """Count a failed call to the store; log only the first of consecutive failures to read or to write."""
        use = "reads" if call == "read" else "writes"
        try:
            yield
        except StoreError as error:
            self._store_errors.labels(call).inc()
            if self.store_up[use]:
                _log.error("store failed", extra={"fields": {"call": call, "error": str(error)}})
            self.store_up[use] = False
            raise
        if not self.store_up[use]:
            _log.warning("store recovered", extra={"fields": {"call": call}})
            self.store_up[use] = True

    def set_model(self, version: str, loaded_at_s: float) -> None:
        """Set the version and load time of the current model."""
        self._model.info({"version": version})
        self._model_loaded.set(loaded_at_s)
