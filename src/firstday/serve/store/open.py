"""Open the log that a URL names."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from firstday.errors import ConfigError
from firstday.serve.store.base import Log, Rules
from firstday.serve.store.sqlite import SqliteLog


def open_log(
    url: str,
    rules: Rules,
    *,
    synchronous: Literal["full", "normal"] = "full",
    prefix: str = "firstday",
    timeout_s: float = 10.0,
    retry_s: float = 0.0,
    is_copy: bool = False,
) -> Log:
    """Open the log that a URL names.

    Parameters
    ----------
    url, rules
        ``sqlite:///PATH``, ``redis://HOST`` or ``rediss://HOST``; caps and retention.
    synchronous, is_copy
        See `SqliteLog`.
    prefix, timeout_s, retry_s
        See `firstday.serve.store.redis.RedisLog`.

    Raises
    ------
    ConfigError
        The URL is invalid, or the file cannot be opened.
    MissingExtraError
        Redis is configured but its client is not installed.
    """
    scheme, _, rest = url.partition("://")
    if scheme in ("redis", "rediss") and urlsplit(url).hostname:
        from firstday.serve.store.redis import RedisLog

        return RedisLog(url, rules, prefix, timeout_s, retry_s)
    if scheme == "sqlite" and len(rest) > 1 and rest[0] == "/":
        return SqliteLog(Path(rest[1:]), rules, synchronous, is_copy=is_copy)
    raise ConfigError("store: the URL is not supported; give sqlite:///PATH, redis://HOST or rediss://HOST.")
