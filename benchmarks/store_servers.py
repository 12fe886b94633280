"""The servers that can store what the service learns, for benchmarks and tests of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from postgres_process import PostgresProcess
from redis_process import RedisProcess

STORE_SERVERS: Mapping[str, type[RedisProcess] | type[PostgresProcess]] = {
    "redis": RedisProcess,
    "postgres": PostgresProcess,
}


@contextmanager
def store_settings(kind: str) -> Iterator[dict[str, Any]]:
    """Yield the settings of a service with a new store: its own file for ``sqlite``, else a server."""
    if kind == "sqlite":
        yield {}
    else:
        with STORE_SERVERS[kind]() as store:
            yield {"store": store.url}
