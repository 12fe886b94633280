"""Open the configured log."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from firstday.errors import ConfigError
from firstday.serve.settings import ServeSettings
from firstday.serve.store.log import DAY_US, Log, Retention
from firstday.serve.store.sqlite import SqliteLog


def open_log(settings: ServeSettings, *, read_only: bool = False) -> Log:
    """Open the configured log; with `read_only`, open it for a scan alone: a SQLite file read-only."""
    rules = Retention(
        settings.max_events_per_user,
        round(settings.retention_days * DAY_US),
        settings.max_lists_per_user,
        settings.max_shown_per_user,
    )
    timeouts_s = settings.store_timeout_s, settings.store_retry_s
    if re.match("postgres(ql)?://", settings.store_url):
        from firstday.serve.store.postgres import PostgresLog

        return PostgresLog(settings.store_url, rules, *timeouts_s, read_only=read_only)
    if re.fullmatch("rediss?://[^/?#]+([/?][^@#]*)?", settings.store_url):
        from firstday.serve.store.redis import RedisLog

        with suppress(ValueError):  # it may quote the password
            return RedisLog(settings.store_url, rules, settings.redis_prefix, *timeouts_s)
    if file := re.fullmatch("sqlite:///(.+)", settings.store_url):
        return SqliteLog(Path(file[1]), rules, settings.sqlite_synchronous, read_only=read_only)
    raise ConfigError(
        "store: the URL is not supported; give sqlite:///PATH, postgresql://HOST/DATABASE, redis://HOST or "
        "rediss://HOST, and percent-encode special characters of a password."
    )
