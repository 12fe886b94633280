"""Open the configured store, or any log for reading."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from firstday.errors import ConfigError
from firstday.serve.settings import ServeSettings
from firstday.serve.store.base import DAY_US, Log, Rules, Store
from firstday.serve.store.sqlite import SqliteLog, SqliteStore


def _read_url(url: str) -> tuple[bool, str]:
    """Return whether a URL is one of Redis, and the path of a SQLite file otherwise."""
    scheme, _, rest = url.partition("://")
    is_redis = scheme in ("redis", "rediss") and bool(urlsplit(url).hostname)
    if not is_redis and (scheme != "sqlite" or len(rest) < 2 or rest[0] != "/"):
        raise ConfigError(
            "store: its URL begins with neither sqlite:/// nor redis:// nor rediss://; give one that does."
        )
    return is_redis, rest[1:]


def open_store(settings: ServeSettings) -> Store:
    """Open the configured store.

    Raises
    ------
    ConfigError
        The URL is invalid, or the file cannot be opened.
    MissingExtraError
        Redis is configured but its client is not installed.
    """
    rules = Rules(
        settings.max_events_per_user,
        round(settings.retention_days * DAY_US),
        settings.max_lists_per_user,
        settings.max_shown_per_user,
    )
    is_redis, path = _read_url(settings.store_url)
    if not is_redis:
        return SqliteStore(path, rules, synchronous=settings.sqlite_synchronous)
    if settings.backup_file:
        raise ConfigError("backup_file: is for a SQLite store; let Redis keep copies of its own.")
    from firstday.serve.store.redis import RedisStore

    return RedisStore(
        settings.store_url,
        rules,
        prefix=settings.redis_prefix,
        timeout_s=settings.store_timeout_s,
        retry_s=settings.store_retry_s,
    )


def open_readable(store: str, *, redis_prefix: str = "firstday", timeout_s: float = 10.0) -> Log:
    """Open a log for a scan.

    Parameters
    ----------
    store
        A SQLite file that no service has open, a copy of one, or its URL; or a Redis URL.
    redis_prefix
        Prefix of all keys in Redis.
    timeout_s
        Timeout of a Redis call, in seconds.

    Raises
    ------
    ConfigError
        It is not a store, or is in use.
    MissingExtraError
        Redis is requested but its client is not installed.
    """
    is_redis, path = _read_url(store) if "://" in store else (False, store)
    if is_redis:
        from firstday.serve.store.redis import RedisLog

        return RedisLog(store, Rules(1, 0), redis_prefix, timeout_s, 0)
    if not Path(path).is_file():
        raise ConfigError(f"store: {path} is no file; give a store's file, a copy of one, or a URL.")
    return SqliteLog(Path(path), Rules(1, 0), is_copy=True)
