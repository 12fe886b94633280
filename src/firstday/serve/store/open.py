"""Open the configured log."""

from __future__ import annotations

import re
from pathlib import Path

from firstday.errors import ConfigError
from firstday.serve.settings import ServeSettings
from firstday.serve.store.base import DAY_US, Log, Retention
from firstday.serve.store.sqlite import SqliteLog


def open_log(settings: ServeSettings, *, is_copy: bool = False) -> Log:
    """Open the configured log; with `is_copy`, open a SQLite file read-only, for a scan."""
    rules = Retention(
        settings.max_events_per_user,
        round(settings.retention_days * DAY_US),
        settings.max_lists_per_user,
        settings.max_shown_per_user,
    )
    if re.match("rediss?://[^/?#]", settings.store_url):
        from firstday.serve.store.redis import RedisLog

        timeouts_s = settings.store_timeout_s, settings.store_retry_s
        return RedisLog(settings.store_url, rules, settings.redis_prefix, *timeouts_s)
    if file := re.fullmatch("sqlite:///(.+)", settings.store_url):
        return SqliteLog(Path(file[1]), rules, settings.sqlite_synchronous, is_copy=is_copy)
    raise ConfigError("store: the URL is not supported; give sqlite:///PATH, redis://HOST or rediss://HOST.")
