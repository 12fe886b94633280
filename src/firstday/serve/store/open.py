"""The store that a service's settings name, and any log to be read from one end to the other."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from firstday.errors import ConfigError
from firstday.serve.settings import ServeSettings
from firstday.serve.store.base import DAY_US, Log, Rules, Store
from firstday.serve.store.sqlite import SqliteLog, SqliteStore


def _read_url(url: str) -> tuple[bool, str]:
    """Return whether a URL names a Redis, and the path of a SQLite file.

    Raises
    ------
    ConfigError
        It names neither.
    """
    scheme, _, rest = url.partition("://")
    is_redis = scheme in ("redis", "rediss") and bool(urlsplit(url).hostname)
    if not is_redis and (scheme != "sqlite" or len(rest) < 2 or rest[0] != "/"):
        raise ConfigError(
            "store: its URL begins with neither sqlite:/// nor redis:// nor rediss://; give one that does."
        )
    return is_redis, rest[1:]


def open_store(settings: ServeSettings) -> Store:
    """Open the store that the settings name.

    Raises
    ------
    ConfigError
        The URL names no store, or the file cannot be opened.
    MissingExtraError
        Redis is asked for and its library is not installed.
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
    """Open a log to read it from one end to the other.

    Parameters
    ----------
    store
        A SQLite file that no service has open, a copy of one, or its URL; or the URL of a Redis.
    redis_prefix
        What every key in Redis begins with.
    timeout_s
        How long one call to Redis may take.

    Raises
    ------
    ConfigError
        It is no store, or is in use.
    MissingExtraError
        Redis is asked for and its library is not installed.
    """
    is_redis, path = _read_url(store) if "://" in store else (False, store)
    if is_redis:
        from firstday.serve.store.redis import RedisLog

        return RedisLog(store, Rules(1, 0), redis_prefix, timeout_s, 0)
    if not Path(path).is_file():
        raise ConfigError(f"store: {path} is no file; give a store's file, a copy of one, or a URL.")
    return SqliteLog(Path(path), Rules(1, 0), is_copy=True)
