"""Open the configured log."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from firstday.errors import ConfigError
from firstday.serve.settings import ServeSettings
from firstday.serve.store.base import DAY_US, Log, Retention
from firstday.serve.store.sqlite import SqliteLog


def open_log(settings: ServeSettings, *, is_copy: bool = False) -> Log:
    """Open the configured log; with `is_copy`, open a SQLite file read-only, for a scan.

    Raises
    ------
    ConfigError
        The URL is not supported, or the file cannot be opened.
    MissingExtraError
        Redis is configured but its client is not installed.
    """
    rules = Retention(
        settings.max_events_per_user,
        round(settings.retention_days * DAY_US),
        settings.max_lists_per_user,
        settings.max_shown_per_user,
    )
    scheme, _, rest = settings.store_url.partition("://")
    if scheme in ("redis", "rediss") and urlsplit(settings.store_url).hostname:
        from firstday.serve.store.redis import RedisLog

        timeouts_s = settings.store_timeout_s, settings.store_retry_s
        return RedisLog(settings.store_url, rules, settings.redis_prefix, *timeouts_s)
    if scheme == "sqlite" and len(rest) > 1 and rest[0] == "/":
        return SqliteLog(Path(rest[1:]), rules, settings.sqlite_synchronous, is_copy=is_copy)
    raise ConfigError("store: the URL is not supported; give sqlite:///PATH, redis://HOST or rediss://HOST.")
