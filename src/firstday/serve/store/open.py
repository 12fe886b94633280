"""open_store: the store that the settings name."""

from __future__ import annotations

from urllib.parse import urlsplit

from firstday.errors import ConfigError
from firstday.serve.settings import ServeSettings
from firstday.serve.store.base import DAY_US, Rules, Store


def open_store(settings: ServeSettings) -> Store:
    """Open the store that the settings name.

    Raises
    ------
    ConfigError
        The URL names no store, or the file cannot be opened.
    MissingExtraError
        Redis is asked for and its library is not installed.
    """
    url = settings.store_url
    rules = Rules(
        settings.max_events_per_user,
        round(settings.retention_days * DAY_US),
        settings.max_lists_per_user,
        settings.max_shown_per_user,
    )
    scheme, _, rest = url.partition("://")
    if settings.backup_file and scheme != "sqlite":
        raise ConfigError("backup_file: is for a SQLite store; let Redis keep copies of its own.")
    if scheme == "sqlite" and rest.startswith("/") and len(rest) > 1:
        from firstday.serve.store.sqlite import SqliteStore

        return SqliteStore(rest[1:], rules, synchronous=settings.sqlite_synchronous)
    if scheme in ("redis", "rediss") and urlsplit(url).hostname:
        from firstday.serve.store.redis import RedisStore

        return RedisStore(
            url,
            rules,
            prefix=settings.redis_prefix,
            timeout_s=settings.store_timeout_s,
            retry_s=settings.store_retry_s,
        )
    raise ConfigError("store: its URL begins with neither sqlite:/// nor redis:// nor rediss://; give one that does.")
