"""The servers that can store what the service learns, for benchmarks and tests of each."""

from __future__ import annotations

from collections.abc import Mapping

from postgres_process import PostgresProcess
from redis_process import RedisProcess

StoreServer = RedisProcess | PostgresProcess
STORE_SERVERS: Mapping[str, type[RedisProcess] | type[PostgresProcess]] = {
    "redis": RedisProcess,
    "postgres": PostgresProcess,
}
